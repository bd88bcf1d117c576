"""XYZ files as people have them: atomic numbers, labels, exponents of Fortran, QM9's own, blank lines."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alkit.datasets.formats import lines
from alkit.errors import DataError

_LABEL = re.compile(r"([A-Za-z]{1,2})[\d_*'-]*$")
_QM9_TAIL = 3  # lines after the atoms of QM9's files: frequencies, SMILES, InChI
_HEAVY_HYDROGEN = {"D": "deuterium", "T": "tritium"}


class Frame(NamedTuple):
    """One molecule of a file.

    It has the first line, ``(n,)`` atomic numbers, and ``(n, 3)`` positions in the file's unit. It also has
    the file's properties by name: of the molecule, and of its atoms.
    """

    line: int
    numbers: np.ndarray
    positions: np.ndarray
    properties: dict[str, Any]


def read_frames(path: Path) -> Iterator[Frame]:
    """Read all molecules of the file; every line of it is accounted for.

    Yields:
        Molecules, one at a time.

    Raises:
        DataError: a line that belongs to no molecule; file and line are named.
    """
    numbered = ((number, line.rstrip("\r\n")) for number, line in enumerate(lines(path), 1))
    left = 0
    for number, line in numbered:
        if left or not line.strip():  # `cat` and several programs leave blank lines between frames
            left = max(0, left - 1)
            continue
        n = _count(path, number, line)
        block = [text for _, text in islice(numbered, n + 1)]
        if len(block) <= n:
            raise DataError(
                f"{path}, line {number}: {n} atoms are announced, and {max(0, len(block) - 1)} lines follow."
            )
        comment, rows = block[0], block[1:]
        if "Properties=" in comment or "Lattice=" in comment:
            yield _extended(path, number, [line, *block])
        else:
            yield _plain(path, number, comment, rows)
        left = _QM9_TAIL if comment.startswith("gdb ") else 0


def _count(path: Path, number: int, line: str) -> int:
    count = line.strip()
    if not count.isdigit() or not int(count):
        raise DataError(
            f"{path}, line {number}: {count!r:.60} is no number of atoms; a frame begins with it."
        )
    return int(count)


def _plain(path: Path, line: int, comment: str, rows: Sequence[str]) -> Frame:
    atoms = [_atom(row, f"{path}, line {line + 2 + k}") for k, row in enumerate(rows)]
    numbers = np.array([number for number, _ in atoms])
    return Frame(line, numbers, np.array([place for _, place in atoms]), _named(comment))


def _atom(row: str, where: str) -> tuple[int, list[float]]:
    words = row.split()
    if len(words) < 4:
        raise DataError(f"{where}: {row!r:.60} is no atom; a symbol and three coordinates are expected.")
    try:
        place = [float(word.replace("*^", "e").replace("D", "e").replace("d", "e")) for word in words[1:4]]
    except ValueError:
        raise DataError(f"{where}: {' '.join(words[1:4])!r:.60} are not three coordinates.") from None
    if not np.isfinite(place).all():
        raise DataError(f"{where}: a coordinate is not finite.")
    return _number(words[0], where), place


def _number(word: str, where: str) -> int:
    from ase.data import atomic_numbers, chemical_symbols

    if word.isdigit():
        if not 0 < int(word) < len(chemical_symbols):
            raise DataError(f"{where}: there is no element {word}.")
        return int(word)
    label = _LABEL.match(word)
    # CO1: cobalt, or a carbon?
    if label and len(label[1]) == 2 and label[1].isupper() and label[0] != label[1]:
        raise DataError(f"{where}: {word!r:.20} may be two elements; write the symbol alone.")
    symbol = label[1].capitalize() if label else word
    if symbol in _HEAVY_HYDROGEN:
        raise DataError(
            f"{where}: {word} is {_HEAVY_HYDROGEN[symbol]}; alkit's energies are those of the common "
            "isotopes. Write H for it."
        )
    if symbol not in atomic_numbers or not atomic_numbers[symbol]:
        raise DataError(f"{where}: {word!r:.20} is no element.")
    return int(atomic_numbers[symbol])


def _named(comment: str) -> dict[str, Any]:
    from ase.io.extxyz import key_val_str_to_dict

    try:
        return dict(key_val_str_to_dict(comment)) if "=" in comment else {}
    except Exception:  # a comment may hold anything; a SMILES has "=" too
        return {}


def _extended(path: Path, line: int, block: list[str]) -> Frame:
    from ase.io import read

    try:
        atoms = read(io.StringIO("\n".join(block) + "\n"), format="extxyz")
    except Exception as error:  # ASE raises whatever a damaged line makes it
        raise DataError(
            f"{path}, line {line}: no frame of extended XYZ that ASE can read ({error})."
        ) from error
    if atoms.pbc.any():  # type: ignore[union-attr]
        raise DataError(f"{path}, line {line}: the structure is periodic; molecules have no cell.")
    return Frame(line, np.asarray(atoms.numbers), np.asarray(atoms.positions), properties_of(atoms))  # type: ignore[union-attr]


def properties_of(atoms: Any) -> dict[str, Any]:
    """Everything in ASE's ``Atoms`` but their places: of the molecule, the atoms, and a calculator's results.

    ``charge`` is set where there is one, or a magnetic moment.
    """
    properties = {
        name: values for name, values in atoms.arrays.items() if name not in ("numbers", "positions")
    }
    properties |= dict(atoms.info)
    if atoms.calc is not None:
        properties |= {name: value for name, value in atoms.calc.results.items() if value is not None}
    moments = atoms.get_initial_magnetic_moments()
    if properties.get("charge") or atoms.get_initial_charges().sum() or moments.any():
        properties["charge"] = properties.get("charge") or 1
    return properties
