"""Readers of the forms in which QM9 is published; each yields molecules in the units of alkit.

QM9: R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, Sci. Data 1, 140022 (2014),
DOI 10.1038/sdata.2014.22. Level of theory B3LYP/6-31G(2df,p), geometries and energies.
"""

from __future__ import annotations

import csv
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers
from ase.units import Hartree

from alkit.datasets.create import ALIASES
from alkit.datasets.database_rows import check_rows, decode_labels, read_rows
from alkit.datasets.files import open_text
from alkit.datasets.tables import parse_number
from alkit.errors import DataError
from alkit.molecules.scalars import stored_unit
from alkit.properties import QM9

LEVEL = "B3LYP/6-31G(2df,p)"
N_QM9 = 133_885
N_UNCHARACTERIZED = 3_054


class _Property(NamedTuple):
    short: str
    unit: str
    factor: float  # from the published unit, which is Hartree of everything in eV


_PROPERTIES = tuple(_Property(one.name, one.unit, Hartree if one.unit == "eV" else 1.0) for one in QM9)
UNITS = {one.stored: one.unit for one in QM9}

# The isolated atoms at the same level, Hartree: atomref.txt of the data set (DOI 10.1038/sdata.2014.22).
_ATOMS_HARTREE = {
    "u0": {1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730},
    "u298": {1: -0.498857, 6: -37.845355, 7: -54.582445, 8: -75.063163, 9: -99.717314},
    "h298": {1: -0.497912, 6: -37.844411, 7: -54.581501, 8: -75.062219, 9: -99.716370},
    "g298": {1: -0.510927, 6: -37.861317, 7: -54.598897, 8: -75.079532, 9: -99.733544},
}
ATOMREFS = {
    **{ALIASES[name]: {z: e * Hartree for z, e in atoms.items()} for name, atoms in _ATOMS_HARTREE.items()},
    "zpve": dict.fromkeys((1, 6, 7, 8, 9), 0.0),
    "heat_capacity": dict.fromkeys((1, 6, 7, 8, 9), 2.981),
}


@dataclass(frozen=True, eq=False)
class RawMolecule:
    """One molecule as its source has it, labels and positions already in alkit's units.

    ``smiles`` is None where the source has only a geometry, ``numbers`` and ``positions`` where it has none.
    """

    where: str
    gdb_id: int
    smiles: str | None
    numbers: np.ndarray | None
    positions: np.ndarray | None
    labels: dict[str, float]


@dataclass(frozen=True)
class Form:
    """A recognised source: its name, the properties and geometry that it has, its molecules."""

    name: str
    properties: tuple[str, ...]
    geometry: str
    total: int | None
    molecules: Iterable[RawMolecule]


def recognise(source: Path) -> Form:
    """The form of ``source``, judged by content where possible. Raises DataError if it is none of QM9's."""
    if source.is_dir():
        return _folder(source)
    if not source.is_file():
        raise DataError(f"There is no file or folder {source}.")
    with source.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"SQLite format 3"):
        return _database(source)
    if start.startswith(b"PK"):
        return _npz(source)
    if source.suffix == ".xyz":
        return Form("XYZ file", tuple(UNITS), "dataset", 1, (_xyz_file(path) for path in [source]))
    if _is_tar(source):
        return Form("XYZ archive", tuple(UNITS), "dataset", None, _archive(source))
    if {".csv", ".CSV"} & set(source.suffixes):
        return _csv(source)
    raise DataError(
        f"{source} is none of QM9's published forms: dsgdb9nsd.xyz.tar.bz2, its .xyz files, schnetpack's "
        "qm9.db, MoleculeNet's qm9.csv, or the .npz of alkit's development data."
    )


def read_uncharacterized(path: Path) -> frozenset[int]:
    """Ids (from 1) of a list: one on each line, or QM9's own file with its nine lines of header."""
    lines = open_text(path)
    bare = [line.strip() for line in lines if line.strip()]
    if not all(line.isdecimal() for line in bare):
        bare = [line.split()[0] for line in lines[9:] if line.strip()]
    ids = frozenset(int(word) for word in bare if word.isdecimal())
    if not ids or min(ids) < 1 or max(ids) > N_QM9:
        raise DataError(f"{path} is not a list of QM9 ids between 1 and {N_QM9}.")
    return ids


def _labels(values: Iterable[float]) -> dict[str, float]:
    """Full names and alkit's units from the fifteen published values."""
    scaled = (value * prop.factor for value, prop in zip(values, _PROPERTIES, strict=True))
    return dict(zip(UNITS, scaled, strict=True))


# --- XYZ -------------------------------------------------------------------------------------------


def _folder(source: Path) -> Form:
    paths = sorted(source.glob("*.xyz"))
    if not paths:
        raise DataError(f"The folder {source} holds no .xyz files.")
    return Form("XYZ folder", tuple(UNITS), "dataset", len(paths), (_xyz_file(path) for path in paths))


def _xyz_file(path: Path) -> RawMolecule:
    return parse_xyz("\n".join(open_text(path)), str(path))


def _is_tar(source: Path) -> bool:
    try:
        return tarfile.is_tarfile(source)
    except (EOFError, OSError):  # cut within the first block
        return False


def _archive(source: Path) -> Iterator[RawMolecule]:
    try:
        with tarfile.open(source, "r|*") as archive:
            for member in archive:
                name = Path(member.name).name
                file = (
                    archive.extractfile(member)
                    if name.endswith(".xyz") and not name.startswith(".")
                    else None
                )
                if file is not None:
                    text = file.read().decode("utf-8", errors="replace")
                    yield parse_xyz(text, f"{source.name}:{name}")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{source} is damaged or cut short ({error}); fetch it again.") from error


def parse_xyz(text: str, where: str) -> RawMolecule:
    """Read one molecule in QM9's own XYZ dialect.

    It has numbers such as 1.2*^-5, and two SMILES, the second of them of the relaxed geometry.

    Raises:
        DataError: naming file and line of what is broken.
    """
    lines = text.splitlines()
    head = lines[0].strip() if lines else ""
    if not head.isdecimal() or int(head) < 1:
        raise DataError(f"{where}, line 1: {head!r} is not a number of atoms.")
    n = int(head)
    if len(lines) < n + 4:
        raise DataError(f"{where}, line {len(lines)}: the file ends early; {n} atoms take {n + 5} lines.")
    words = lines[1].split()
    if len(words) != 17 or words[0] != "gdb" or not words[1].isdecimal():
        raise DataError(
            f"{where}, line 2: expected 'gdb', an id and 15 properties, found {len(words)} words."
        )
    labels = _labels(_number(word, where, 2) for word in words[2:])
    atoms = [_atom(line, where, number) for number, line in enumerate(lines[2 : n + 2], 3)]
    smiles = lines[n + 3].split()
    if len(smiles) != 2:
        raise DataError(f"{where}, line {n + 4}: expected two SMILES, found {len(smiles)}.")
    numbers = np.array([atom[0] for atom in atoms])
    positions = np.array([atom[1:] for atom in atoms])
    return RawMolecule(where, int(words[1]), smiles[1], numbers, positions, labels)


def _atom(line: str, where: str, number: int) -> tuple[int, float, float, float]:
    words = line.split()
    if len(words) not in (4, 5) or words[0] not in atomic_numbers:
        raise DataError(f"{where}, line {number}: {line.strip()!r} is not an element with x, y, z.")
    x, y, z = (_number(word, where, number) for word in words[1:4])
    return atomic_numbers[words[0]], x, y, z


def _number(word: str, where: str, number: int) -> float:
    return parse_number(word.replace("*^", "e"), f"{where}, line {number}")


# --- MoleculeNet's CSV -----------------------------------------------------------------------------


def _csv(source: Path) -> Form:
    lines = open_text(source)
    try:
        header = next(csv.reader(lines), [])
    except csv.Error as error:
        raise DataError(f"{source}, line 1: not a table ({error}).") from None
    known = {prop.short: prop for prop in _PROPERTIES if prop.short in header}
    if "smiles" not in header or "u0" not in known:
        raise DataError(
            f"{source} is not MoleculeNet's qm9.csv: it lacks a column smiles or u0 (in Hartree)."
        )
    names = tuple(ALIASES.get(short, short) for short in known)
    return Form("MoleculeNet CSV", names, "none", None, _csv_rows(source, lines, known))


def _rows_of(source: Path, reader: csv.DictReader) -> Iterator[dict[str, str]]:
    """The rows; what the reader cannot read is named with its line."""
    try:
        yield from reader
    except csv.Error as error:
        raise DataError(f"{source}, line {reader.line_num}: not a table ({error}).") from None


def _csv_rows(source: Path, lines: list[str], known: dict[str, _Property]) -> Iterator[RawMolecule]:
    reader = csv.DictReader(lines, restval="")
    for row in _rows_of(source, reader):
        where = f"{source}, line {reader.line_num}"
        labels = {
            ALIASES.get(short, short): parse_number(row[short], f"{where}, column {short}") * prop.factor
            for short, prop in known.items()
        }
        number = re.fullmatch(r"gdb_(\d+)", row.get("mol_id", ""))
        yield RawMolecule(where, int(number[1]) if number else 0, row["smiles"], None, None, labels)


# --- the development data's NPZ --------------------------------------------------------------------


def _npz(source: Path) -> Form:
    names = ["gdb_id", "n_atoms", "Z", "R", "smiles", *(prop.short for prop in _PROPERTIES)]
    try:
        with np.load(source, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in names}
    except KeyError as error:
        raise DataError(f"{source} is not a QM9 .npz: {error.args[0]}.") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{source} is not a readable .npz file ({error}).") from error
    if arrays["n_atoms"].dtype.kind not in "iu" or arrays["n_atoms"].ndim != 1 or not len(arrays["n_atoms"]):
        raise DataError(f"{source}: array n_atoms is not a list of whole numbers.")
    n, m = len(arrays["n_atoms"]), int(arrays["n_atoms"].sum())
    for name, array in arrays.items():
        wanted = m if name in "ZR" else n
        if not array.ndim or len(array) != wanted:
            rows = len(array) if array.ndim else 0
            raise DataError(f"{source}: array {name} has {rows} rows, expected {wanted}.")
        kinds = "U" if name == "smiles" else "iu" if name in ("gdb_id", "n_atoms", "Z") else "fiu"
        if array.dtype.kind not in kinds or array.shape[1:] != ((3,) if name == "R" else ()):
            raise DataError(f"{source}: array {name} holds {array.dtype} of shape {array.shape}.")
        if kinds == "fiu" and not np.isfinite(array).all():
            raise DataError(f"{source}: array {name} holds a value that is not a finite number.")
    Z = arrays["Z"]
    if min(arrays["n_atoms"].min(), Z.min()) < 1 or Z.max() >= len(atomic_numbers):
        raise DataError(f"{source}: array n_atoms or Z holds a number that no molecule has.")
    return Form("NPZ", tuple(UNITS), "dataset", n, _npz_rows(source, arrays))


def _npz_rows(source: Path, arrays: dict[str, np.ndarray]) -> Iterator[RawMolecule]:
    ends = np.cumsum(arrays["n_atoms"])
    values = np.stack([arrays[prop.short] for prop in _PROPERTIES], axis=1)
    for i, end in enumerate(ends):
        atoms = slice(end - arrays["n_atoms"][i], end)
        yield RawMolecule(
            f"{source}, row {i}",
            int(arrays["gdb_id"][i]),
            str(arrays["smiles"][i]),
            arrays["Z"][atoms].astype(np.int64),
            arrays["R"][atoms].astype(np.float64),
            _labels(values[i].tolist()),
        )


# --- schnetpack's database -------------------------------------------------------------------------


def _database(source: Path) -> Form:
    metadata, rows = read_rows(source)
    if "alkit" in metadata:
        raise DataError(f"{source} is alkit's own database already; open it as it is.")
    stored = metadata["_property_unit_dict"]
    names = tuple(name for name in UNITS if name in stored)
    if "energy_U0" not in names:
        raise DataError(f"{source} has no property energy_U0; it holds {', '.join(stored) or 'none'}.")
    if metadata["_distance_unit"] not in ("Ang", "Angstrom"):
        raise DataError(f"{source} has lengths in {metadata['_distance_unit']!r}; alkit reads Ang.")
    factors = [_factor(source, name, stored[name]) for name in names]
    try:
        check_rows(rows)
        labels = decode_labels([row[3] for row in rows], names) * factors
    except (KeyError, ValueError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{source} is damaged ({error}).") from error
    return Form(
        "schnetpack database", names, "dataset", len(rows), _database_rows(source, rows, names, labels)
    )


def _factor(source: Path, name: str, unit: str) -> float:
    try:
        return stored_unit(name, unit)[0]
    except DataError as error:
        raise DataError(f"{source}: property {name}: {error}.") from None


def _database_rows(
    source: Path, rows: list[tuple], names: tuple[str, ...], labels: np.ndarray
) -> Iterator[RawMolecule]:
    whole = len(rows) == N_QM9  # only then is the row number known to be the id
    for i, row in enumerate(rows):
        numbers = np.frombuffer(row[0], dtype="<i4").astype(np.int64)
        positions = np.frombuffer(row[1], dtype="<f8").reshape(-1, 3)
        values = dict(zip(names, labels[i].tolist(), strict=True))
        yield RawMolecule(f"{source}, row {i + 1}", i + 1 if whole else 0, None, numbers, positions, values)
