"""Forces: the negative slope of the energy, computed so that training can follow it.

Energies and forces are one function of the geometry, and are learned together, as schnetpack's ``Forces``
are (Schütt et al., J. Chem. Phys. 158, 144801 (2023), https://doi.org/10.1063/5.0138367).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from surrogate.batches import FIRSTS, SECONDS, VECTORS
from surrogate.errors import SurrogateError
from surrogate.inputs import Graph
from surrogate.settings import ModelSettings
from surrogate.stack import evaluate_heads

Labelled = tuple[Sequence[Graph], NDArray] | tuple[Sequence[Graph], NDArray, Sequence[NDArray]]
"""Graphs, ``(n,)`` labels in eV and, where forces are learned, each molecule's ``(atoms, 3)`` in eV/Å."""
_SMALLEST = 1e-6  # eV/Å; below it there is rounding alone


def evaluate_forces(
    members: Sequence[Any], batch: dict[str, Tensor], *, learning: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs ``(s, h, b)`` of all heads, last atom features ``(s, n, features)`` and forces ``(s, n, 3)``.

    Args:
        members: ``s`` networks of one architecture with ``h`` heads.
        batch: of a `surrogate.batches.GraphDataset` that is ``sloped``.
        learning: whether gradients of the results are wanted.

    Returns:
        Forces are those of the mean over heads, in its unit over Å.
    """
    with torch.enable_grad():
        # Vectors of their own: the slope of one member's energy must not hold another's.
        vectors = batch[VECTORS].expand(len(members), -1, -1).clone().requires_grad_()
        heads, atoms = evaluate_heads(members, batch | {VECTORS: vectors})
        energies = heads.mean(dim=1).sum()
        (slopes,) = torch.autograd.grad(energies, vectors, create_graph=learning)
    # A vector leads from the first atom to the second: a rising energy pulls the first one along it.
    forces = slopes.new_zeros(*atoms.shape[:2], 3).index_add(1, batch[FIRSTS], slopes)
    forces = forces.index_add(1, batch[SECONDS], slopes, alpha=-1)
    return (heads, atoms, forces) if learning else (heads.detach(), atoms.detach(), forces)


def check_sloped(settings: ModelSettings) -> None:
    """Whether the energy is a function of the geometry alone, with a slope.

    Raises:
        SurrogateError: it is not.
    """
    if why := _without_slope(settings):
        raise SurrogateError(f"Forces need schnet or painn in 3d mode, learning directly; {why}.")


def is_sloped(settings: ModelSettings) -> bool:
    """The same as an answer."""
    return not _without_slope(settings)


def _without_slope(settings: ModelSettings) -> str:
    """Why there are no forces; empty where there are."""
    if settings.mode == "2d":
        return "2d mode sees no geometry"
    if settings.representation not in ("schnet", "painn"):
        return f"representation is {settings.representation}"
    if settings.baseline or settings.inputs:
        return "a baseline and inputs have slopes of their own, which are not computed"
    if settings.intensive:
        return f"pooling is {settings.pooling}, of a property that is no energy"
    return ""


def learned_forces(settings: ModelSettings, sets: Sequence[Labelled]) -> list[list[NDArray]]:
    """The forces of each set.

    Raises:
        SurrogateError: there are none, or not of every atom, or the model has no slope.
    """
    check_sloped(settings)
    found = []
    for graphs, _, *forces in sets:
        if not forces:
            raise SurrogateError(
                "forces_weight is above 0, and the molecules come without forces; give them, or set it to 0."
            )
        found.append(_checked(graphs, forces[0]))
    return found


def _checked(graphs: Sequence[Graph], forces: Sequence[NDArray]) -> list[NDArray]:
    """Finite forces on every atom of every molecule, eV/Å.

    Raises:
        SurrogateError: they are not.
    """
    if len(forces) != len(graphs):
        raise SurrogateError(f"Forces are of {len(forces)} molecules; there are {len(graphs)}.")
    found = [np.asarray(one, dtype=np.float64) for one in forces]
    for i, (graph, one) in enumerate(zip(graphs, found, strict=True)):
        if one.shape != (len(graph), 3):
            raise SurrogateError(
                f"Forces of molecule {i} have shape {one.shape}; {(len(graph), 3)} is expected."
            )
        if not np.isfinite(one).all():
            raise SurrogateError(
                f"Forces of molecule {i} hold NaN or infinity; each molecule needs its own, finite, in eV/Å."
            )
    return found


def root_mean_square(forces: Sequence[NDArray]) -> float:
    """Root mean square in eV/Å of all components; never zero."""
    return max(float(np.sqrt(np.mean(np.square(np.concatenate(forces))))), _SMALLEST)


def centre(
    members: Sequence[Any], graphs: Sequence[Graph], errors: NDArray, left_out: NDArray[np.bool_] | None
) -> None:
    """Give every head the last bias that fits the energies it learned from.

    With their small weight in the loss the constant of energies is left to chance, from step to step; forces
    do not see it.

    Args:
        members: networks, changed in place.
        graphs: ``n`` molecules that the energies belong to.
        errors: ``(s * h, n)``, labels less outputs of each member's heads, over the scale.
        left_out: ``(n, s)``, which members have not learned from a molecule.
    """
    errors = errors.reshape(len(members), -1, len(graphs))
    atoms = np.array([len(graph) for graph in graphs])
    for k, member in enumerate(members):
        learned = atoms if left_out is None else atoms * ~left_out[:, k]
        shifts = (errors[k] * learned).sum(axis=1) / (learned * atoms).sum()
        bias = member.output_modules[0].outnet[-1].bias
        bias.data += torch.from_numpy(shifts).to(bias)
