"""Graphs of molecules: the atoms that interact, at which distance, and what else is known of them.

Both modes give schnetpack's networks the same thing, a list of directed pairs with a vector each. In 3D mode
it is the interatomic vector. In 2D mode SchNet's filters see its length alone, so that a topological distance
can lie along x.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surrogate.compiled import compiled
from surrogate.errors import SurrogateError

# Shortening of a bond against the sum of single-bond covalent radii, by bond order: least-squares ratios of
# textbook C-C, C=C, C#C and aromatic lengths (1.54, 1.34, 1.20, 1.40 Å).
_BOND_SHORTENING = {1.0: 1.0, 1.5: 0.91, 2.0: 0.87, 3.0: 0.78}
_ORDERS, _SHORTENINGS = (np.array(list(values)) for values in (_BOND_SHORTENING, _BOND_SHORTENING.values()))
_BOND_ORDERS = (1.0, 1.5, 2.0, 3.0)
_HYBRIDIZATIONS = ("SP", "SP2", "SP3")
_RING_SIZES = (3, 4, 5, 6, 7)
# RDKit draws every bond 1.5 units long; this is the mean of the bonds between heavy atoms of QM9, in Å.
_DRAWN_BOND, _MEAN_BOND = 1.5, 1.43
_MASS_UNIT = 16.0  # keeps the masses of organic elements near 1

# Width of what each input adds to atoms, to pairs and to the molecule as a whole.
_WIDTHS = {
    "chemistry": (
        5 + len(_HYBRIDIZATIONS) + 1 + len(_RING_SIZES),
        len(_BOND_ORDERS) + 3 + len(_RING_SIZES) + 4,
        0,
    ),
    "xtb": (3, 1, 0),
    "gfn1": (9, 1, 3),
    "gfn2": (9, 1, 3),
    "aimnet2-b973c": (1, 0, 0),
    "aimnet2-wb97m": (1, 0, 0),
    "aimnet2-b973c-learned": (1, 0, 64),
    "aimnet2-wb97m-learned": (1, 0, 64),
}
AS_THEY_ARE = frozenset({"chemistry", "xtb"})
"""Inputs that networks see unscaled; others are standardised, see `surrogate.standard`."""


def input_widths(inputs: Sequence[str]) -> tuple[int, int, int]:
    """Number of further inputs of an atom, of a pair, and of a molecule."""
    atoms, pairs, whole = ([_WIDTHS[name][i] for name in inputs] for i in range(3))
    return sum(atoms), sum(pairs), sum(whole)


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """One molecule as the network sees it.

    Attributes:
        numbers: ``(n,)`` int64, atomic numbers, hydrogens included.
        senders, receivers: ``(p,)`` int64, atom indices j and i of the directed pairs within the cutoff.
        vectors: ``(p, 3)`` float32, Å; their lengths are the distances.
        atom_inputs, pair_inputs: ``(n, k)`` and ``(p, m)`` float32: further inputs; k and m may be 0.
        baselines: ``(b,)`` eV, energies of the molecule in this geometry by cheaper methods, whose mean is
            learned on top of in delta mode.
        baseline_level: level of theory of their mean; empty where there is none.
        whole_inputs: ``(j,)`` float32, further inputs of the molecule as a whole, for kernels.
        positions: ``(n, 3)`` Å; None in 2D mode.
    """

    numbers: NDArray[np.int64]
    senders: NDArray[np.int64]
    receivers: NDArray[np.int64]
    vectors: NDArray[np.float32]
    atom_inputs: NDArray[np.float32]
    pair_inputs: NDArray[np.float32]
    baselines: tuple[float, ...] = ()
    baseline_level: str = ""
    whole_inputs: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    positions: NDArray[np.float64] | None = None

    @property
    def baseline(self) -> float:
        """eV, the mean of ``baselines``; 0 without any."""
        return float(np.mean(self.baselines)) if self.baselines else 0.0

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        baseline = f", baseline {self.baseline:.4f} eV" if self.baseline_level else ""
        return f"Graph({len(self)} atoms, {len(self.senders)} pairs{baseline})"


def graph_3d(
    numbers: NDArray,
    positions: NDArray,
    *,
    cutoff: float,
    charges: NDArray | None = None,
    bond_orders: NDArray | None = None,
    inputs: Sequence[tuple[NDArray, NDArray, NDArray]] = (),
    baselines: Sequence[float] = (),
    baseline_level: str = "",
) -> Graph:
    """Pairs of atoms nearer than ``cutoff``.

    Args:
        numbers: ``(n,)`` atomic numbers.
        positions: ``(n, 3)`` Å.
        cutoff: Å.
        charges: ``(n,)`` e, of a cheap calculation in this geometry; an input of atoms, with its square.
        bond_orders: ``(n, n)`` of the same calculation; inputs of pairs, and their sum, the valence, of
            atoms.
        inputs: further ones of atoms ``(n, k)``, pairs ``(n, n, m)`` and the molecule ``(j,)``, of one cheap
            calculation each.
        baselines: energies of cheap calculations, eV.
        baseline_level: the level of theory of their mean.

    Raises:
        SurrogateError: fewer than two atoms, shapes that disagree, or numbers that are not finite. Also one
            of charges and bond orders without the other, or bond orders that are not symmetric.
    """
    numbers = np.asarray(numbers, dtype=np.int64)
    positions = _finite("positions", positions, (len(numbers), 3), "Å")
    _check_size(numbers)
    if not np.isfinite(np.asarray(baselines, dtype=np.float64)).all():
        raise SurrogateError(f"The baselines are {list(baselines)}; each must be a finite number in eV.")
    vectors = positions[None, :, :] - positions[:, None, :]
    atom_inputs, pair_inputs = _no_inputs(len(numbers))
    if (charges is None) != (bond_orders is None):
        raise SurrogateError("Charges and bond orders come together: give both, or neither.")
    if charges is not None:
        charges = _finite("charges", charges, (len(numbers),), "e")
        orders = _finite("bond orders", bond_orders, (len(numbers), len(numbers)), "electron pairs")
        if not np.allclose(orders, orders.T, atol=1e-6):
            raise SurrogateError("Bond orders are not symmetric: that of i with j must be that of j with i.")
        orders = (orders + orders.T) / 2 * (1 - np.eye(len(orders)))
        atom_inputs = np.stack([charges, charges**2, orders.sum(axis=1)], axis=1)
        pair_inputs = orders[..., None]
    whole = np.zeros(0)
    for atoms, pairs, one in inputs:
        atom_inputs = np.hstack([atom_inputs, _finite("atom inputs", atoms, np.shape(atoms), "their units")])
        pair_inputs = np.concatenate(
            [pair_inputs, _finite("pair inputs", pairs, np.shape(pairs), "-")], axis=2
        )
        whole = np.concatenate([whole, _finite("inputs of the molecule", one, np.shape(one), "their units")])
    distances = np.linalg.norm(vectors, axis=-1)
    graph = _graph(numbers, distances, vectors, cutoff, atom_inputs, pair_inputs)
    return replace(
        graph,
        baselines=tuple(float(energy) for energy in baselines),
        baseline_level=baseline_level,
        whole_inputs=whole.astype(np.float32),
        positions=positions,
    )


def graph_2d(smiles: str, *, cutoff: float, layout: str = "topological", chemistry: bool = False) -> Graph:
    """Pairs of atoms of a drawn molecule that are nearer than ``cutoff``.

    It needs the SMILES alone, so it is the same before and after a molecule is labelled. Stereo marks of
    rings and centres do not change it.

    Args:
        smiles: the molecule; hydrogens need not be written.
        cutoff: Å.
        layout: ``topological`` distances are lengths of the shortest paths over bonds. A bond is as long as
            its atoms' covalent radii, shortened by bond order. ``depiction`` distances are those of RDKit's
            flat drawing, scaled to Å.
        chemistry: further inputs. Atoms: degree, hydrogens, formal charge, mass, ring membership,
            hybridization, aromaticity, ring sizes. Bonds: order, conjugation, ring sizes, E/Z stereo.

    Raises:
        SurrogateError: the SMILES does not parse, or names fewer than two atoms.
    """
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise SurrogateError(f"{smiles!r} is not a SMILES of a molecule.")
    if layout == "depiction":  # how a molecule is drawn depends on the order of its atoms
        molecule = Chem.MolFromSmiles(Chem.MolToSmiles(molecule))
    written = molecule.GetNumAtoms()
    molecule = Chem.AddHs(molecule)
    numbers = np.ones(molecule.GetNumAtoms(), dtype=np.int64)  # hydrogens are added behind the others
    numbers[:written] = [molecule.GetAtomWithIdx(i).GetAtomicNum() for i in range(written)]
    _check_size(numbers)
    inputs = _chemistry(molecule, written) if chemistry else _no_inputs(len(numbers))
    if layout == "depiction":
        vectors = _drawn_vectors(molecule)
        return _graph(numbers, np.linalg.norm(vectors, axis=-1), vectors, cutoff, *inputs)
    if layout != "topological":
        raise SurrogateError(f"layout is {layout!r}; it is 'topological' or 'depiction'.")
    return _graph(numbers, _topological_distances(molecule, numbers), None, cutoff, *inputs)


def _check_size(numbers: NDArray) -> None:
    if len(numbers) == 0:
        raise SurrogateError("A molecule without atoms has no energy to predict.")
    if len(numbers) == 1:
        raise SurrogateError(
            f"A single atom (Z = {numbers[0]}) has no bond to learn from; two atoms or more are needed."
        )


def _finite(name: str, values: Any, shape: tuple[int, ...], unit: str) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.shape != shape:
        raise SurrogateError(f"{name} have shape {values.shape}; {shape} is expected.")
    if not np.isfinite(values).all():
        raise SurrogateError(f"{name} contain NaN or infinity; each must be finite, in {unit}.")
    return values


def _no_inputs(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.zeros((n, 0)), np.zeros((n, n, 0))


def _topological_distances(molecule: Any, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """``(n, n)`` shortest paths in Å; infinite between fragments."""
    from rdkit import Chem

    orders = Chem.GetAdjacencyMatrix(molecule, useBO=True)
    radii = np.array([_radius(z) for z in numbers.tolist()])
    lengths = np.empty(orders.shape)
    _shortest(orders, radii, _ORDERS, _SHORTENINGS, lengths)
    return lengths


@cache
def _radius(number: int) -> float:
    from rdkit import Chem

    return float(Chem.GetPeriodicTable().GetRcovalent(number))


@compiled
def _shortest(orders, radii, known, shortenings, lengths):
    """Lengths of bonds, and of paths by Floyd and Warshall.

    For so few atoms scipy takes ten times as long.
    """
    n = len(lengths)
    for i in range(n):
        for j in range(n):
            lengths[i, j] = np.inf if i != j else 0.0
            order = max(orders[i, j], orders[j, i])  # of a dative bond RDKit names one direction
            if order > 0.0:
                shortening = 1.0
                for k in range(len(known)):
                    if order == known[k]:
                        shortening = shortenings[k]
                lengths[i, j] = shortening * (radii[i] + radii[j])
    for k in range(n):
        for i in range(n):
            for j in range(n):
                through = lengths[i, k] + lengths[k, j]
                if through < lengths[i, j]:
                    lengths[i, j] = through


def _drawn_vectors(molecule: Any) -> NDArray[np.float64]:
    """``(n, n, 3)`` Å, in the plane of RDKit's drawing; all hydrogens are drawn."""
    from rdkit.Chem import rdDepictor

    rdDepictor.Compute2DCoords(molecule, canonOrient=True)
    places = molecule.GetConformer().GetPositions() * (_MEAN_BOND / _DRAWN_BOND)
    return places[None, :, :] - places[:, None, :]


def _chemistry(molecule: Any, written: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``(n, k)`` of atoms and ``(n, n, m)`` of bonds; zero for pairs that are not bonded.

    Atoms from ``written`` on are hydrogens that were added: they are all alike, and so are their bonds.
    """
    n, (width, pair_width, _) = molecule.GetNumAtoms(), _WIDTHS["chemistry"]
    rings = molecule.GetRingInfo()
    of_atoms, of_bonds = _sizes(rings.AtomRings()), _sizes(rings.BondRings())
    # GetBonds() takes twice as long.
    bonds = [molecule.GetBondWithIdx(i) for i in range(molecule.GetNumBonds())]
    firsts = [bond.GetBeginAtomIdx() for bond in bonds]
    seconds = [bond.GetEndAtomIdx() for bond in bonds]
    atoms, pairs = np.zeros((n, width)), np.zeros((n, n, pair_width))
    atoms[:written] = [_atom_inputs(molecule.GetAtomWithIdx(i), of_atoms.get(i, ())) for i in range(written)]
    if own := len(bonds) - (n - written):  # bonds that were added come last
        rows = np.array([_bond_inputs(bond, of_bonds.get(i, ())) for i, bond in enumerate(bonds[:own])])
        pairs[firsts[:own], seconds[:own]] = pairs[seconds[:own], firsts[:own]] = rows
    if written < n:
        atoms[written:] = _atom_inputs(molecule.GetAtomWithIdx(n - 1), ())
        row = np.array(_bond_inputs(bonds[-1], ()))
        pairs[firsts[own:], seconds[own:]] = pairs[seconds[own:], firsts[own:]] = row
    return atoms, pairs


def _sizes(rings: Sequence[Sequence[int]]) -> dict[int, tuple[int, ...]]:
    """Sizes of the rings that an atom, or a bond, is in, by its number."""
    found: dict[int, tuple[int, ...]] = {}
    for ring in rings:
        for number in ring:
            found[number] = (*found.get(number, ()), len(ring))
    return found


def _atom_inputs(atom: Any, sizes: tuple[int, ...]) -> list[float]:
    return [
        atom.GetDegree() / 4,
        atom.GetTotalNumHs(includeNeighbors=True) / 4,
        atom.GetFormalCharge(),
        atom.GetMass() / _MASS_UNIT,
        bool(sizes),
        *_hybridization(atom.GetHybridization()),
        atom.GetIsAromatic(),
        *_ring_sizes(sizes),
    ]


def _bond_inputs(bond: Any, sizes: tuple[int, ...]) -> list[float]:
    aromatic = bool(sizes) and bond.GetBeginAtom().GetIsAromatic() and bond.GetEndAtom().GetIsAromatic()
    return [
        *_order(bond.GetBondTypeAsDouble()),
        1.0,
        bond.GetIsConjugated(),
        bool(sizes),
        *_ring_sizes(sizes),
        *_stereo(bond.GetStereo()),
        aromatic,
        len(sizes) > 1,
    ]


# Names of RDKit's enumerations take longer than all the rest: each is read once.


@cache
def _hybridization(kind: Any) -> tuple[bool, ...]:
    return tuple(str(kind) == name for name in _HYBRIDIZATIONS)


@cache
def _stereo(kind: Any) -> tuple[bool, bool]:
    """Whether a double bond is E or trans, and whether it is Z or cis."""
    return str(kind) in ("STEREOE", "STEREOTRANS"), str(kind) in ("STEREOZ", "STEREOCIS")


@cache
def _order(order: float) -> tuple[bool, ...]:
    return tuple(order == known for known in _BOND_ORDERS)


@cache
def _ring_sizes(sizes: tuple[int, ...]) -> tuple[bool, ...]:
    """Which of the sizes that count are among these."""
    return tuple(size in sizes for size in _RING_SIZES)


def _graph(
    numbers: NDArray,
    distances: NDArray,
    vectors: NDArray | None,
    cutoff: float,
    atom_inputs: NDArray,
    pair_inputs: NDArray,
) -> Graph:
    """The graph of ``(n, n)`` distances; without ``vectors`` they lie along x."""
    near = distances < cutoff
    np.fill_diagonal(near, False)
    receivers, senders = near.nonzero()
    if vectors is None:
        along = np.zeros((len(senders), 3), dtype=np.float32)
        along[:, 0] = distances[near]
    else:
        along = vectors[near].astype(np.float32)
    return Graph(
        numbers,
        senders,
        receivers,
        along,
        atom_inputs.astype(np.float32),
        pair_inputs[near].astype(np.float32)
        if pair_inputs.shape[-1]
        else np.zeros((len(senders), 0), dtype=np.float32),
    )
