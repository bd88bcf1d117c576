"""Settings, and the way from SMILES to dense graphs and back.

Layout of a graph of at most N heavy atoms, everywhere in this package (hydrogens are implicit):

- `nodes`  `(..., N)` int: 0 for "no atom", k for `elements[k - 1]`; real atoms come first;
- `bonds`  `(..., N, N)` int: Kekulé bond order 0, 1, 2 or 3; symmetric, zero diagonal.

This module needs RDKit and NumPy, not torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase

from generator.errors import GeneratorError

BOND_TYPES = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}
MIN_MOLECULES = 20
_SHOWN = 3


@dataclass(frozen=True)
class GeneratorSettings:
    """What the generator can draw and how it learns.

    Parameters
    ----------
    max_atoms
        Largest number of heavy atoms, 2 to 64.
    elements
        Symbols of the heavy atoms that may occur, each with at least one neutral valence in RDKit's table.
    latent
        Length of the noise vector.
    hidden
        Width of the networks.
    critic_steps
        Critic updates per generator update.
    batch_size
        Molecules per update, at least 8: the critic looks at the spread of a batch.
    learning_rate
        Adam's step size for all networks, above 0 and at most 1.
    warm_up
        Updates, counted over the model's whole life, before the critic joins in; until then the generator
        only learns to reconstruct (cheap, and it spares the critic noise that anyone can tell from a
        molecule).

    Raises
    ------
    GeneratorError
        A value is out of its range; the message says which and what would be right.
    """

    max_atoms: int = 9
    elements: tuple[str, ...] = ("C", "N", "O", "F")
    latent: int = 32
    hidden: int = 128
    critic_steps: int = 1
    batch_size: int = 64
    learning_rate: float = 1e-3
    warm_up: int = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", _checked_elements(self.elements))
        for name, low, high in (
            ("max_atoms", 2, 64),
            ("latent", 1, 4096),
            ("hidden", 4, 4096),
            ("critic_steps", 1, 100),
            ("batch_size", 8, 65536),
            ("warm_up", 0, 10**9),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise GeneratorError(f"{name} is {value!r}; give a whole number from {low} to {high}.")
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0.0 < rate <= 1.0:
            raise GeneratorError(f"learning_rate is {rate!r}; give a number above 0 and at most 1.")


def _checked_elements(elements: Sequence[str]) -> tuple[str, ...]:
    if isinstance(elements, str) or not all(isinstance(symbol, str) for symbol in elements):
        raise GeneratorError(f'elements is {elements!r}; give a list of symbols such as ("C", "N", "O").')
    symbols = tuple(elements)
    if not symbols:
        raise GeneratorError('elements is empty; give at least one symbol, such as "C".')
    repeated = [symbol for symbol, count in Counter(symbols).items() if count > 1]
    if repeated:
        raise GeneratorError(f"elements names {repeated[0]} more than once; name each element once.")
    for symbol in symbols:
        if symbol == "H" or neutral_valence(symbol) < 1:
            raise GeneratorError(
                f"elements contains {symbol!r}; only heavy main-group elements that form bonds when neutral "
                "can be generated, such as C, N, O, F, S or Cl (hydrogens are implicit)."
            )
    return symbols


def neutral_valence(symbol: str) -> int:
    """Lowest neutral valence of an element in RDKit's table; 0 where it has none or is no element."""
    table = Chem.GetPeriodicTable()
    with rdBase.BlockLogs():
        try:
            number = table.GetAtomicNumber(symbol)
        except RuntimeError:  # RDKit's way to say "no such element"
            return 0
    return max(0, table.GetDefaultValence(number))


@dataclass(frozen=True)
class GraphSet:
    """M molecules as dense graphs.

    `nodes` `(M, N)`, `bonds` `(M, N, N)` as in the module's docstring, `sizes` `(M,)` heavy atoms, `weights`
    `(M,)` relative sampling weights that sum to 1, `molecules` the RDKit molecules, aromaticity perceived.
    """

    nodes: np.ndarray
    bonds: np.ndarray
    sizes: np.ndarray
    weights: np.ndarray
    molecules: tuple[Chem.Mol, ...]


def read_training_set(
    smiles: Sequence[str], settings: GeneratorSettings, weights: Sequence[float] | None = None
) -> GraphSet:
    """Check and convert a training set; stereochemistry is dropped, repeats are merged and their weights
    added.

    Raises
    ------
    GeneratorError
        SMILES that RDKit cannot read; charged, fragmented, radical or isotope-labelled molecules; elements
        outside the alphabet; too many heavy atoms; fewer than 20 different molecules of positive weight; bad
        weights.
    """
    if isinstance(smiles, str):
        raise GeneratorError("The training set is one text; give a list of SMILES.")
    masses = _checked_weights(len(smiles), weights)
    parsed = _parse(smiles)
    _refuse(smiles, parsed, settings)
    merged: dict[str, float] = {}
    kept: dict[str, Chem.Mol] = {}
    for molecule, mass in zip(parsed, masses, strict=True):
        if mass == 0.0:
            continue
        key = Chem.MolToSmiles(molecule)
        merged[key] = merged.get(key, 0.0) + mass
        if key not in kept:
            # nodes in the order of the canonical SMILES: neighbours are then mostly adjacent, and the same
            # fragment lies in the same slots in many molecules, which an MLP without symmetries can learn
            kept[key] = Chem.MolFromSmiles(key)
    if len(kept) < MIN_MOLECULES:
        raise GeneratorError(
            f"Only {len(kept)} different molecules with a positive weight can be learned from; "
            f"give at least {MIN_MOLECULES}."
        )
    molecules = tuple(kept.values())
    dense = [to_arrays(molecule, settings) for molecule in molecules]
    nodes = np.stack([pair[0] for pair in dense])
    share = np.array(list(merged.values()))
    return GraphSet(
        nodes, np.stack([pair[1] for pair in dense]), (nodes > 0).sum(axis=1), share / share.sum(), molecules
    )


def _checked_weights(count: int, weights: Sequence[float] | None) -> np.ndarray:
    if weights is None:
        return np.ones(count)
    masses = np.asarray(weights, dtype=float)
    if masses.shape != (count,):
        raise GeneratorError(
            f"There are {masses.size} weights for {count} molecules; give one weight per molecule."
        )
    if not np.isfinite(masses).all() or (masses < 0).any():
        bad = int(np.flatnonzero(~(np.isfinite(masses) & (masses >= 0)))[0])
        raise GeneratorError(f"Weight {bad} is {masses[bad]}; give finite weights of 0 or more.")
    return masses


def _parse(smiles: Sequence[str]) -> list[Chem.Mol]:
    parsed: list[Chem.Mol] = []
    bad: list[str] = []
    with rdBase.BlockLogs():
        for text in smiles:
            molecule = Chem.MolFromSmiles(text) if isinstance(text, str) else None
            if molecule is None or molecule.GetNumAtoms() == 0:
                bad.append(str(text))
                continue
            Chem.RemoveStereochemistry(molecule)
            parsed.append(molecule)
    if bad:
        raise GeneratorError(
            f"{len(bad)} SMILES cannot be read ({_first(bad)}); give SMILES that RDKit can parse."
        )
    return parsed


def _refuse(smiles: Sequence[str], parsed: Sequence[Chem.Mol], settings: GeneratorSettings) -> None:
    """Raise for the first kind of molecule that the graphs cannot hold."""
    allowed = set(settings.elements)
    atoms = [list(molecule.GetAtoms()) for molecule in parsed]
    foreign = sorted({a.GetSymbol() for row in atoms for a in row} - allowed)
    checks = (
        (
            [any(a.GetFormalCharge() for a in row) for row in atoms],
            "formal charges; give neutral molecules",
        ),
        (
            [any(a.GetNumRadicalElectrons() or a.GetIsotope() for a in row) for row in atoms],
            "radical centres or isotope labels; give closed-shell molecules without isotopes",
        ),
        (
            [len(Chem.GetMolFrags(molecule)) > 1 for molecule in parsed],
            "more than one fragment; give one connected molecule per SMILES",
        ),
        (
            [any(a.GetSymbol() not in allowed for a in row) for row in atoms],
            f"elements outside the alphabet {', '.join(settings.elements)} (namely {', '.join(foreign)}); "
            "leave them out or add the elements to the settings",
        ),
        (
            [len(row) > settings.max_atoms for row in atoms],
            f"more than {settings.max_atoms} heavy atoms (at most {max(map(len, atoms), default=0)}); "
            "leave them out or raise max_atoms",
        ),
        (
            [any(b.GetBondType() == Chem.BondType.DATIVE for b in m.GetBonds()) for m in parsed],
            "dative bonds; give molecules with covalent bonds only",
        ),
    )
    for flags, what in checks:
        if any(flags):
            shown = [text for text, flag in zip(smiles, flags, strict=True) if flag]
            verb = "has" if len(shown) == 1 else "have"
            noun = "molecule" if len(shown) == 1 else "molecules"
            head, _, remedy = what.partition("; ")
            raise GeneratorError(f"{len(shown)} {noun} {verb} {head} ({_first(shown)}); {remedy}.")


def _first(texts: Sequence[str]) -> str:
    shown = ", ".join(repr(text) for text in texts[:_SHOWN])
    return shown + (", …" if len(texts) > _SHOWN else "")


def to_arrays(molecule: Chem.Mol, settings: GeneratorSettings) -> tuple[np.ndarray, np.ndarray]:
    """Dense graph of one molecule: nodes `(N,)` and Kekulé bonds `(N, N)`, both int8."""
    kekule = Chem.Mol(molecule)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    size = settings.max_atoms
    nodes = np.zeros(size, dtype=np.int8)
    bonds = np.zeros((size, size), dtype=np.int8)
    for atom in kekule.GetAtoms():
        nodes[atom.GetIdx()] = 1 + settings.elements.index(atom.GetSymbol())
    for bond in kekule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        bonds[i, j] = bonds[j, i] = round(bond.GetBondTypeAsDouble())
    return nodes, bonds


def to_molecule(nodes: np.ndarray, bonds: np.ndarray, elements: Sequence[str]) -> Chem.Mol:
    """Sanitised RDKit molecule of one dense graph; `MolSanitizeException` where a valence is broken."""
    molecule = Chem.RWMol()
    count = int((nodes > 0).sum())
    for kind in nodes[:count]:
        molecule.AddAtom(Chem.Atom(elements[int(kind) - 1]))
    for i, j in zip(*np.nonzero(np.triu(bonds[:count, :count], 1)), strict=True):
        molecule.AddBond(int(i), int(j), BOND_TYPES[int(bonds[i, j])])
    result = molecule.GetMol()
    Chem.SanitizeMol(result)
    return result


def largest_valences(graphs: GraphSet, elements: Sequence[str]) -> tuple[int, ...]:
    """Valence that each element may use: the largest seen (hydrogens counted), 0 for an element never seen.

    Learned rather than taken from a table, so that sulfur is hypervalent only after sulfones were seen.
    """
    seen = dict.fromkeys(elements, 0)
    for molecule in graphs.molecules:
        for atom in molecule.GetAtoms():
            seen[atom.GetSymbol()] = max(seen[atom.GetSymbol()], atom.GetTotalValence())
    return tuple(seen[symbol] for symbol in elements)


def motifs(molecule: Chem.Mol) -> set[str]:
    """Local patterns of a sanitised molecule, as readable keys: atom environments, rings and ring fusions.

    - atom: element, hydrogens, bonds to neighbours by order and element, and whether the bond is in a ring;
    - ring position: element, sizes of the rings through the atom, orders of its bonds within and outside
    rings;
    - ring: size and the orders of its bonds; fusion: sizes of two rings and the number of atoms they share;
    - system: sizes of all rings that hang together.
    """
    info = molecule.GetRingInfo()
    rings = [frozenset(ring) for ring in info.AtomRings()]
    found = {_atom_motif(atom) for atom in molecule.GetAtoms()}
    for ring, bond_ids in zip(rings, info.BondRings(), strict=True):
        orders = "".join(sorted(_order(molecule.GetBondWithIdx(k)) for k in bond_ids))
        found.add(f"ring {len(ring)} {orders}")
        found.update(_ring_position(molecule.GetAtomWithIdx(k), rings) for k in ring)
    for a, first in enumerate(rings):
        for second in rings[a + 1 :]:
            shared = len(first & second)
            if shared:
                small, large = sorted((len(first), len(second)))
                found.add(f"fusion {small} {large} {shared}")
    found.update(_ring_systems(rings))
    return found


def _ring_systems(rings: Sequence[frozenset[int]]) -> set[str]:
    """The ring sizes of every set of rings that hang together by shared atoms, as in "system 3,4,5"."""
    systems: list[list[frozenset[int]]] = []
    for ring in rings:
        touching = [system for system in systems if any(ring & other for other in system)]
        systems = [system for system in systems if system not in touching]
        systems.append([ring, *(other for system in touching for other in system)])
    return {"system " + ",".join(map(str, sorted(map(len, system)))) for system in systems}


def outline(molecule: Chem.Mol) -> str:
    """Make-up of a sanitised molecule in a few counts: rings, pi bonds, each hetero element."""
    kekule = Chem.Mol(molecule)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    pi_bonds = sum(round(bond.GetBondTypeAsDouble()) - 1 for bond in kekule.GetBonds())
    hetero = Counter(atom.GetSymbol() for atom in molecule.GetAtoms() if atom.GetSymbol() != "C")
    counts = " ".join(f"{symbol}{count}" for symbol, count in sorted(hetero.items()))
    return f"rings {molecule.GetRingInfo().NumRings()} pi {pi_bonds} {counts}"


def outline_shares(graphs: GraphSet) -> dict[str, float]:
    """Weighted share of each `outline` in a training set; sums to 1."""
    shares: dict[str, float] = {}
    for molecule, weight in zip(graphs.molecules, graphs.weights, strict=True):
        key = outline(molecule)
        shares[key] = shares.get(key, 0.0) + float(weight)
    return shares


def _order(bond: Chem.Bond) -> str:
    return "a" if bond.GetIsAromatic() else str(round(bond.GetBondTypeAsDouble()))


def _atom_motif(atom: Chem.Atom) -> str:
    around = sorted(
        _order(bond) + bond.GetOtherAtom(atom).GetSymbol() + ("r" if bond.IsInRing() else "")
        for bond in atom.GetBonds()
    )
    return f"atom {atom.GetSymbol()}H{atom.GetTotalNumHs()} {' '.join(around)}"


def _ring_position(atom: Chem.Atom, rings: Sequence[frozenset[int]]) -> str:
    sizes = sorted(len(ring) for ring in rings if atom.GetIdx() in ring)
    bonds = list(atom.GetBonds())
    inside = "".join(sorted(_order(bond) for bond in bonds if bond.IsInRing()))
    outside = "".join(sorted(_order(bond) for bond in bonds if not bond.IsInRing()))
    return f"position {atom.GetSymbol()} {','.join(map(str, sizes))} {inside}|{outside}"


def size_shares(graphs: GraphSet, max_atoms: int) -> tuple[float, ...]:
    """Weighted share of molecules with 1, 2, … `max_atoms` heavy atoms; sums to 1."""
    shares = np.bincount(graphs.sizes, weights=graphs.weights, minlength=max_atoms + 1)[1:]
    return tuple(float(share) / math.fsum(shares) for share in shares)
