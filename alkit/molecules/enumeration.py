"""alkit's own enumeration of small organic molecules: the quickstart's seed molecules and pool.

The packaged list ``alkit/data/seed_molecules.smi`` is written by::

    python -m alkit.molecules.enumeration --max-heavy 7 --out alkit/data/seed_molecules.smi

Nothing is copied from a published data set. The idea is that of the GDB enumerations: graphs, then
unsaturation, then heteroatoms, each step filtered by chemical rules (https://doi.org/10.1021/ci600423u).
Three breadth-first steps, each without repeats by canonical SMILES:

1. **skeletons**: saturated hydrocarbons, grown atom by atom; a new atom is bonded to one or more old ones.
   Every connected graph has an atom whose removal leaves it connected, so none is missed.
2. **unsaturation**: bond orders raised by one at a time.
3. **heteroatoms**: carbons replaced by N, O or F one at a time, where the valence (N 3, O 2, F 1) allows.

Rules of rings (``MAX_RINGS``, :func:`_sound_rings`) and of unsaturation (``MAX_PI_BONDS``,
:func:`_may_raise`): at most two rings; two 3- or 4-membered rings share no atom; no multiple bond inside a 3-
or 4-membered ring, on an atom of a 3-membered ring, or on a fusion or bridgehead atom; no triple bond in a
ring; no cumulated multiple bonds. Heteroatoms have :func:`_few_heteroatoms` and two tables. ``NEVER`` holds
while growing. ``NEVER_AT_THE_END`` holds for finished molecules, as a forbidden intermediate may lead to an
allowed one. Every molecule is neutral, closed-shell, without stereo marks, and sanitises in RDKit.

The rules leave many more molecules of 7 heavy atoms than of all smaller sizes together. ``per_size`` bounds
each size by a sample that depends on nothing but ``seed`` and the SMILES (:func:`_sample`), never on platform
or NumPy.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import resources
from itertools import combinations
from pathlib import Path

from rdkit import Chem

from alkit.errors import DataError

__all__ = ["enumerate_molecules", "seed_molecules", "write_molecules"]

MAX_RINGS = 2
MAX_PI_BONDS = 4
MAX_N_O = 4
MAX_F = 3  # and, beside F, of N + O + F
PER_SIZE = 4000
_SMALL_RING = 4
_LARGEST = 8  # beyond, the enumeration no longer fits in minutes

_VALENCE = {7: 3, 8: 2, 9: 1}

NEVER: dict[str, str] = {
    "O-O": "[#8]~[#8]",
    "N-N outside an aromatic ring": "[#7;!a]~[#7]",
    "N-O other than in an oxime or an aromatic ring": "[#7;!a;!$([NX2]=[#6])]~[#8]",
    "O on an aromatic N": "[n]~[#8;!a]",
    "N-O-N outside an aromatic ring": "[#7]~[#8;!a]~[#7]",
    "O-N-N in an aromatic ring, which opens to a diazo ketone": "[o]~[n]~[n]",
    "four N in a row": "[#7]~[#7]~[#7]~[#7]",
    "F on anything but C": "[#9;!$([#9]~[#6])]",
    "F on a carbon that bears N or O": "[#9]~[#6]~[#7,#8]",
    "F on a triple bond": "[#9]~[#6]#*",
    "two N or O in a 3- or 4-membered ring": "[$([#7,#8;r3]~[#7,#8;r3]),$([#7,#8;r4]~[#6;r4]~[#7,#8;r4])]",
    "three N or O on an sp3 carbon": "[CX4](~[#7,#8])(~[#7,#8])~[#7,#8]",
}
"""Name and SMARTS of what no molecule holds, not even while growing."""

NEVER_AT_THE_END: dict[str, str] = {
    "gem-diol, hemiacetal, hemiaminal": "[CX4]([#7,#8])[#7,#8;!H0]",
    "aminal": "[CX4]([#7])[#7,#8]",
    "enol": "[OX2H][CX3;!a]=[#6]",
    "enamine with N-H": "[NX3;!H0;!a][CX3;!a]=[#6;!$([#6]=[#8])]",
    "hydroxy on an aromatic five-membered ring": "[OX2H][c;r5]",
    "ketene aminal and the like: two N or O on C=C": "[CX3;!a]([#7,#8])([#7,#8])=[#6]",
    "imidic acid": "[OX2H][CX3;!a]=[#7]",
    "imine with N-H, other than an amidine": "[#7;!H0;!a]=[#6;!$([#6]-[#7X3])]",
    "imine with a multiple bond at its N": "[#6]=[NX2;!a]-[$([#6]=*),$([#6]#*)]",
    "N or O on a C-C triple bond": "[#7,#8]~[CX2]#[CX2]",
    "cyanate": "[#8]~[CX2]#[NX1]",
    "cyanide of C=O or C=N": "[#7,#8]=[#6]~[CX2]#[NX1]",
    "C=C on an aromatic ring, as RDKit sees ortho-quinoid rings": "[#6;!a]=[c]",
    "triple bonds joined": "*#[CX2]~[CX2]#*",
    "carbonic or carbamic acid": "[OX2H][CX3](=[OX1])[#7,#8]",
    "anhydride": "[CX3](=[OX1])[OX2][CX3]=[OX1]",
    "C=C or C=N on a 4-membered ring": "[#6;r4]=[!#8]",
    "two C=N on one N": "[#7]=[#6;!a]~[#7;!a]~[#6;!a]=[#7]",
    "F other than alone or as CF3": "[#9]~[#6;!$([#6](~[#9])(~[#9])~[#9])].[#9]",
    "keto form of a phenol": "[$(O=C1[#6X4,#7X3]C=CC=C1),$(O=C1C=C[#6X4]C=C1)]",
    "anti-Bredt amide or enamine": "[#7;R2]~[#6;!X4]",
    "oxime of an acid derivative": "[#8][NX2]=[#6]~[#7,#8]",
}
"""Name and SMARTS of what no finished molecule holds; intermediates may, on their way to something sound."""


@cache
def _patterns(at_the_end: bool) -> list[Chem.Mol]:
    return [Chem.MolFromSmarts(smarts) for smarts in (NEVER_AT_THE_END if at_the_end else NEVER).values()]


def _matches(molecule: Chem.Mol, at_the_end: bool) -> bool:
    return any(molecule.HasSubstructMatch(pattern) for pattern in _patterns(at_the_end))


def _edited(molecule: Chem.Mol, edit: Callable[[Chem.RWMol], None]) -> Chem.Mol | None:
    """A sanitised copy after ``edit``, or None if RDKit refuses the result."""
    copy = Chem.RWMol(molecule)
    edit(copy)
    product = copy.GetMol()
    failed = Chem.SanitizeMol(product, catchErrors=True)
    return None if failed else product


def _distinct(molecules: Iterable[Chem.Mol | None]) -> dict[str, Chem.Mol]:
    """Canonical SMILES -> molecule, the first of each; None is passed over."""
    distinct: dict[str, Chem.Mol] = {}
    for molecule in molecules:
        if molecule is not None:
            distinct.setdefault(Chem.MolToSmiles(molecule), molecule)
    return distinct


def _kekule(molecule: Chem.Mol) -> Chem.Mol:
    copy = Chem.Mol(molecule)
    Chem.Kekulize(copy, clearAromaticFlags=True)
    return copy


# --- 1. skeletons ----------------------------------------------------------------------------------


def _skeletons(max_heavy: int) -> list[dict[str, Chem.Mol]]:
    """Saturated hydrocarbons with at most MAX_RINGS rings; element k holds those of k + 1 carbons."""
    sizes = [_distinct([Chem.MolFromSmiles("C")])]
    while len(sizes) < max_heavy:
        sizes.append(_distinct(larger for smaller in sizes[-1].values() for larger in _grown(smaller)))
    return sizes


def _grown(skeleton: Chem.Mol) -> Iterator[Chem.Mol | None]:
    """Every skeleton with one more carbon; each of its bonds beyond the first closes a ring."""
    free = [atom.GetIdx() for atom in skeleton.GetAtoms() if atom.GetDegree() < 4]
    rings = skeleton.GetNumBonds() - skeleton.GetNumAtoms() + 1
    for n_bonds in range(1, min(4, MAX_RINGS - rings + 1) + 1):
        for neighbours in combinations(free, n_bonds):

            def bond(copy: Chem.RWMol, neighbours: tuple[int, ...] = neighbours) -> None:
                new = copy.AddAtom(Chem.Atom(6))
                for neighbour in neighbours:
                    copy.AddBond(neighbour, new, Chem.BondType.SINGLE)

            yield _edited(skeleton, bond)


def _sound_rings(molecule: Chem.Mol) -> bool:
    """Whether there are at most MAX_RINGS rings, no two of 3 or 4 members that share an atom.

    RDKit's ring info must be set.
    """
    rings = [set(ring) for ring in molecule.GetRingInfo().AtomRings()]
    if molecule.GetNumBonds() - molecule.GetNumAtoms() + 1 > MAX_RINGS:
        return False
    return not any(
        len(a) <= _SMALL_RING and len(b) <= _SMALL_RING and a & b for a, b in combinations(rings, 2)
    )


# --- 2. unsaturation -------------------------------------------------------------------------------


def _unsaturated(skeleton: Chem.Mol) -> dict[str, Chem.Mol]:
    """The hydrocarbon with every sound pattern of multiple bonds, itself included."""
    reached = _distinct([skeleton])
    front = list(reached.values())
    for _ in range(MAX_PI_BONDS):
        new = _distinct(product for molecule in front for product in _raised(_kekule(molecule)))
        front = [molecule for smiles, molecule in new.items() if smiles not in reached]
        reached.update({Chem.MolToSmiles(molecule): molecule for molecule in front})
    return reached


def _raised(molecule: Chem.Mol) -> Iterator[Chem.Mol | None]:
    for bond in molecule.GetBonds():
        if _may_raise(bond):
            order = (Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)[int(bond.GetBondTypeAsDouble()) - 1]

            def raise_order(
                copy: Chem.RWMol, index: int = bond.GetIdx(), order: Chem.BondType = order
            ) -> None:
                copy.GetBondWithIdx(index).SetBondType(order)

            yield _edited(molecule, raise_order)


def _may_raise(bond: Chem.Bond) -> bool:
    """Whether a Kekulé bond may go one order up: valence, ring strain, no cumulated double bonds."""
    ring = bond.GetOwningMol().GetRingInfo()
    if bond.GetBondType() == Chem.BondType.TRIPLE or any(
        bond.IsInRingSize(size) for size in (3, _SMALL_RING)
    ):
        return False
    if bond.GetBondType() == Chem.BondType.DOUBLE and bond.IsInRing():
        return False
    for atom in (bond.GetBeginAtom(), bond.GetEndAtom()):
        others = [other for other in atom.GetBonds() if other.GetIdx() != bond.GetIdx()]
        cumulated = any(other.GetBondType() != Chem.BondType.SINGLE for other in others)
        fused = ring.NumAtomRings(atom.GetIdx()) > 1
        if not atom.GetTotalNumHs() or cumulated or fused or atom.IsInRingSize(3):
            return False
    return True


# --- 3. heteroatoms --------------------------------------------------------------------------------


def _substituted(hydrocarbons: Iterable[Chem.Mol]) -> set[str]:
    """Canonical SMILES of the hydrocarbons and of all their N, O and F analogues that obey the rules."""
    front = _distinct(hydrocarbons)
    seen = set(front)
    kept: set[str] = set()
    while front:
        kept.update(smiles for smiles, molecule in front.items() if not _matches(molecule, at_the_end=True))
        new = _distinct(product for molecule in front.values() for product in _replaced(_kekule(molecule)))
        front = {smiles: molecule for smiles, molecule in new.items() if smiles not in seen}
        seen.update(front)
    return kept


def _replaced(molecule: Chem.Mol) -> Iterator[Chem.Mol | None]:
    """Every molecule with one more heteroatom that obeys NEVER and the limits on heteroatoms."""
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() != 6:
            continue
        for element, valence in _VALENCE.items():
            if 4 - atom.GetTotalNumHs() > valence:
                continue

            def replace(copy: Chem.RWMol, index: int = atom.GetIdx(), element: int = element) -> None:
                copy.GetAtomWithIdx(index).SetAtomicNum(element)

            product = _edited(molecule, replace)
            if product is not None and _few_heteroatoms(product) and not _matches(product, at_the_end=False):
                yield product


def _few_heteroatoms(molecule: Chem.Mol) -> bool:
    elements = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    n_o = elements.count(7) + elements.count(8)
    if elements.count(9) and n_o + elements.count(9) > MAX_F:
        return False
    return n_o <= MAX_N_O and n_o <= elements.count(6) + 2


# --- the list --------------------------------------------------------------------------------------


def enumerate_molecules(max_heavy: int, *, per_size: int | None = None, seed: int = 0) -> list[str]:
    """All molecules of 1 ... ``max_heavy`` heavy atoms that obey the rules of this module.

    Args:
        max_heavy: largest number of heavy atoms, 1 ... 8; on one core 7 takes about 10 s, 8 minutes.
        per_size: at most so many molecules of each number of heavy atoms, a seeded sample; None for all.
        seed: of the sample; without ``per_size`` it changes nothing.

    Returns:
        Canonical SMILES (RDKit), distinct, sorted by number of heavy atoms, then as text.

    Raises:
        DataError: ``max_heavy`` or ``per_size`` out of range.
    """
    if not 1 <= max_heavy <= _LARGEST:
        raise DataError(f"max_heavy is {max_heavy}; the enumeration can do 1 to {_LARGEST} heavy atoms.")
    if per_size is not None and per_size < 1:
        raise DataError(f"per_size is {per_size}; it must be at least 1.")
    molecules: list[str] = []
    for skeletons in _skeletons(max_heavy):
        sound = [skeleton for skeleton in skeletons.values() if _sound_rings(skeleton)]
        hydrocarbons = [molecule for skeleton in sound for molecule in _unsaturated(skeleton).values()]
        molecules += _sample(_substituted(hydrocarbons), per_size, seed)
    return molecules


def _sample(smiles: Iterable[str], n: int | None, seed: int) -> list[str]:
    """The ``n`` SMILES with the smallest SHA-256 of ``"seed:SMILES"`` (all if n is None), sorted as text."""

    def rank(one: str) -> bytes:
        return hashlib.sha256(f"{seed}:{one}".encode()).digest()

    return sorted(sorted(smiles, key=rank)[:n])


def write_molecules(path: Path, molecules: list[str], command: str) -> None:
    """Write one SMILES a line under a header that says whence; the file appears whole or not at all.

    Raises:
        DataError: the folder does not exist or cannot be written to.
    """
    header = [
        "# Small organic molecules (H, C, N, O, F), by alkit's enumeration (alkit/molecules/enumeration.py).",
        f"# Written by: {command}",
        f"# {len(molecules)} molecules; canonical SMILES, one per line, sorted by heavy atoms, then as text.",
    ]
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text("\n".join([*header, *molecules]) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise DataError(
            f"Cannot write {path}: {error.strerror}; name a file in a folder that exists."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def seed_molecules() -> list[str]:
    """The packaged ``alkit/data/seed_molecules.smi``: canonical SMILES, sorted by heavy atoms, then as text.

    Raises:
        DataError: the installation lacks the file.
    """
    source = resources.files("alkit") / "data" / "seed_molecules.smi"
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"alkit is installed without {source}; install it again.") from error
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def main(arguments: list[str] | None = None) -> int:
    """``python -m alkit.molecules.enumeration``; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m alkit.molecules.enumeration", description="Enumerate small organic molecules."
    )
    parser.add_argument("--max-heavy", type=int, required=True, help="largest number of heavy atoms (1-8)")
    parser.add_argument("--out", type=Path, required=True, help="SMILES file to write")
    parser.add_argument(
        "--per-size", type=int, default=PER_SIZE, help="at most so many of each size; 0 for all"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample that --per-size takes")
    options = parser.parse_args(arguments)
    try:
        molecules = enumerate_molecules(
            options.max_heavy, per_size=options.per_size or None, seed=options.seed
        )
        write_molecules(options.out, molecules, _command(options))
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{len(molecules)} molecules -> {options.out}")
    return 0


def _command(options: argparse.Namespace) -> str:
    """The command that repeats this run, without the folder: the same file wherever it is written."""
    return (
        f"python -m alkit.molecules.enumeration --max-heavy {options.max_heavy} --per-size {options.per_size}"
        f" --seed {options.seed} --out {options.out.name}"
    )


if __name__ == "__main__":
    sys.exit(main())
