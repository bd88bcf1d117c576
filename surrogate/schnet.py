"""schnetpack's SchNet with an atom-wise energy head, built from settings."""

from typing import Any

import torch
from torch import Tensor, nn

from surrogate.batches import TARGET
from surrogate.compat import schnetpack
from surrogate.settings import ModelSettings

_keys = schnetpack.properties


def build_model(settings: ModelSettings, *, seed: int) -> nn.Module:
    """A ``NeuralNetworkPotential`` with freshly drawn weights; the global random state is left as it was.

    SchNet: Schütt et al., J. Chem. Phys. 148, 241722 (2018), https://doi.org/10.1063/1.5019779
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        radial_basis = schnetpack.nn.GaussianRBF(n_rbf=settings.gaussians, cutoff=settings.cutoff)
        representation = schnetpack.representation.SchNet(
            n_atom_basis=settings.features,
            n_interactions=settings.interactions,
            radial_basis=radial_basis,
            cutoff_fn=schnetpack.nn.CosineCutoff(settings.cutoff),
        )
        head = schnetpack.atomistic.Atomwise(n_in=settings.features, output_key=TARGET)
        # No PairwiseDistances module: batches carry the pair vectors, which 2D mode has no positions for.
        return schnetpack.model.NeuralNetworkPotential(
            representation=representation, input_modules=[], output_modules=[head]
        )


def embed(model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Energy and embedding of every molecule of a batch.

    Returns:
        ``(b,)`` energies in eV relative to the atom references, and ``(b, features)`` sums over atoms of the
        last atom features, from which the head computes the energy.
    """
    features = model.representation(dict(batch))
    energies = model.output_modules[0](features)[TARGET]
    atoms = features["scalar_representation"]
    pooled = atoms.new_zeros(len(batch[_keys.n_atoms]), atoms.shape[1])
    return energies, pooled.index_add(0, batch[_keys.idx_m], atoms)
