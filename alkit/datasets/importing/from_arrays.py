"""Rows of NumPy (.npz), MATLAB (.mat) and HDF5 files: arrays by name, of one molecule or of many.

Read are: atomic numbers ``(n,)`` of all geometries ``(N, n, 3)`` of one molecule (MD17, rMD17, and each group
of ANI-1x, SPICE, Transition1x); numbers ``(N, n)`` and geometries ``(N, n, 3)``, both filled up with zeros
(QM7); atoms of all molecules one after the other, with ``n_atoms (N,)``; SMILES ``(N,)``; and Coulomb
matrices ``(N, n, n)`` in place of geometries (QM7b).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from alkit.datasets.formats import SMILES_HEADERS
from alkit.datasets.importing.coulomb import geometry_of_coulomb
from alkit.datasets.importing.from_tables import NUMBERS, POSITIONS, atomic_numbers, usual
from alkit.datasets.importing.rows import Row, Source, Wanted
from alkit.errors import DataError

ENDINGS = (".npz", ".mat", ".h5", ".hdf5")
_CHUNK = 1000  # rows of an array that are in memory
_COULOMB = ("x",)
_COUNTS = ("n_atoms", "natoms")


def arrays(path: Path, wanted: Wanted, ending: str) -> Source:
    """Rows of a file of arrays.

    Raises:
        DataError: unreadable file, or no arrays of atoms or SMILES in it.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if ending in (".h5", ".hdf5"):
        return _hdf5(path, wanted)
    by_name = _npz(path) if ending == ".npz" else _mat(path)
    return Source(_block(str(path), by_name, wanted), tuple(by_name))


def _npz(path: Path) -> Mapping[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if _plain(archive, name)}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} is not a readable .npz file ({error}).") from error


def _plain(archive: Any, name: str) -> bool:
    """Whether an array holds numbers or text: one of Python objects is code, and is never loaded."""
    try:
        return archive[name].dtype.kind in "iufbSU"
    except ValueError:
        return False


def _mat(path: Path) -> Mapping[str, Any]:
    from scipy.io import loadmat

    try:
        loaded = loadmat(path)
    except NotImplementedError:
        raise DataError(f"{path} is of MATLAB 7.3, which is HDF5; give it the ending .h5.") from None
    except Exception as error:  # scipy raises whatever a damaged file makes it
        raise DataError(f"{path} is not a readable .mat file ({error}).") from error
    found = {name: np.asarray(value) for name, value in loaded.items() if not name.startswith("__")}
    # MATLAB knows no vectors: (1, N) is one.
    return {name: array[0] if array.ndim == 2 and len(array) == 1 else array for name, array in found.items()}


def _hdf5(path: Path, wanted: Wanted) -> Source:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} is not a readable HDF5 file ({error}).") from error
    groups = [group for group in _groups(file) if _is_wanted(group.name, wanted.groups)]
    if not groups:
        file.close()
        which = f" that match --groups {wanted.groups}" if wanted.groups else ""
        raise DataError(f"{path} has no groups{which} with atomic numbers and positions, or SMILES.")

    def rows() -> Iterator[Row]:
        with file:
            for group in groups:
                where = f"{path}, {group.name}"
                try:
                    by_name = {name: one for name, one in group.items() if hasattr(one, "shape")}
                    yield from _block(where, by_name, wanted)
                except OSError as error:
                    raise DataError(f"{where} is damaged ({error}).") from error

    names = tuple(name for name, one in groups[0].items() if hasattr(one, "shape"))
    return Source(rows(), names)


def _groups(group: Any) -> Iterator[Any]:
    """Groups that hold molecules, each once: links are not followed."""
    import h5py

    names = {name: None for name, one in group.items() if hasattr(one, "shape")}
    if (usual(names, NUMBERS) and usual(names, POSITIONS)) or _smiles_name(names):
        yield group
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink) and not hasattr(group[name], "shape"):
            yield from _groups(group[name])


def _is_wanted(name: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(name.strip("/"), pattern.strip("/"))


def _smiles_name(names: Mapping[str, Any]) -> str:
    return usual(names, SMILES_HEADERS)


def _block(where: str, by_name: Mapping[str, Any], wanted: Wanted) -> Iterator[Row]:
    """The rows of arrays that belong together."""
    positions_name = wanted.positions or usual(by_name, POSITIONS)
    numbers_name = wanted.numbers or usual(by_name, NUMBERS)
    smiles_name, matrices = _smiles_name(by_name), usual(by_name, _COULOMB)
    for option, name in (("--positions", wanted.positions), ("--numbers", wanted.numbers)):
        if name and name not in by_name:
            raise DataError(f"{where} has no array {name!r} ({option}); it has {', '.join(by_name)}.")
    if not positions_name and not smiles_name and _is_coulomb(by_name.get(matrices)):
        yield from _of_matrices(where, by_name, matrices, wanted)
        return
    if not (positions_name and numbers_name) and not smiles_name:
        raise DataError(
            f"{where} has the arrays {', '.join(by_name) or 'none'}; name those of the atoms with --numbers "
            "and --positions."
        )
    if (counts := usual(by_name, _COUNTS)) and positions_name and by_name[positions_name].ndim == 2:
        yield from _one_after_another(where, by_name, counts, numbers_name, positions_name, wanted)
        return
    numbers = by_name.get(numbers_name)
    positions = by_name.get(positions_name) if numbers is not None else None
    smiles = by_name.get(smiles_name)
    n = _length(where, by_name, smiles, positions, wanted)
    for start in range(0, n, _CHUNK):
        part = slice(start, min(start + _CHUNK, n))
        values = {name: _part(by_name, name, part, n) for name in wanted.names}
        places = None if positions is None else np.asarray(positions[part]).reshape(part.stop - start, -1, 3)
        for k in range(part.stop - start):
            yield _row(
                f"{where}, row {start + k + 1}",
                {name: column[k] for name, column in values.items()},
                _text(smiles, start + k),
                None if numbers is None else np.asarray(numbers[start + k] if _each(numbers) else numbers),
                None if places is None else places[k],
            )


def _each(numbers: Any) -> bool:
    """Whether each row has atoms of its own."""
    return numbers.ndim == 2


def _length(where: str, by_name: Mapping[str, Any], smiles: Any, positions: Any, wanted: Wanted) -> int:
    if positions is not None:
        return 1 if positions.ndim == 2 else len(positions)
    n = len(smiles)
    for name in wanted.names:
        column, _ = _column(by_name, name)
        if len(by_name[column]) != n:
            raise DataError(f"{where}: array {column} has {len(by_name[column])} rows, and the SMILES {n}.")
    return n


def _column(by_name: Mapping[str, Any], name: str) -> tuple[str, int | None]:
    """An array's name, and its column: "T[0]" is the first of T."""
    if name in by_name:
        return name, None
    head, bracket, index = name.rstrip("]").partition("[")
    two = bracket and head in by_name and index.isdigit() and by_name[head].ndim == 2
    if two and int(index) < by_name[head].shape[1]:
        return head, int(index)
    raise DataError(f"There is no array {name!r}; there are {', '.join(by_name)}.")


def _part(by_name: Mapping[str, Any], name: str, part: slice, n: int) -> np.ndarray:
    column, index = _column(by_name, name)
    array = by_name[column]
    if n == 1 and (array.ndim == 0 or len(array) != 1):  # one geometry, with its numbers as they are
        return np.asarray(array[()])[None]
    if len(array) != n:
        raise DataError(f"Array {column} has {len(array)} rows, and there are {n} geometries.")
    rows = np.asarray(array[part])
    return rows if index is None else rows[:, index]


def _text(smiles: Any, i: int) -> str:
    if smiles is None:
        return ""
    one = smiles[i] if len(smiles) > 1 else smiles[0]  # of all geometries of a group, there is one
    return one.decode() if isinstance(one, bytes) else str(one)


def _row(
    where: str, values: Mapping[str, Any], smiles: str, numbers: Any, positions: np.ndarray | None
) -> Row:
    try:
        if numbers is None or positions is None:
            return Row(where, values, smiles)
        atoms = atomic_numbers(numbers)
        there = atoms != 0  # smaller molecules are filled up with zeros
        values = {
            name: value[there] if np.ndim(value) == 2 and len(value) == len(atoms) else value
            for name, value in values.items()
        }
        return Row(where, values, smiles, atoms[there], positions[there].astype(np.float64))
    except (ValueError, TypeError, IndexError) as error:
        return Row(where, values, problem=f"its atoms cannot be read ({error})")


def _one_after_another(
    where: str, by_name: Mapping[str, Any], counts_name: str, numbers: str, positions: str, wanted: Wanted
) -> Iterator[Row]:
    counts, n = by_name[counts_name], len(by_name[counts_name])
    smiles, end = by_name.get(_smiles_name(by_name)), 0
    if int(np.sum(counts)) != len(by_name[numbers]):
        raise DataError(f"{where}: array {counts_name} counts other atoms than {numbers} holds.")
    for i in range(n):
        atoms = slice(end, end := end + int(counts[i]))
        values = {name: _part(by_name, name, slice(i, i + 1), n)[0] for name in wanted.names}
        text = "" if smiles is None else _text(smiles, i)
        yield _row(f"{where}, row {i + 1}", values, text, by_name[numbers][atoms], by_name[positions][atoms])


def _is_coulomb(array: Any) -> bool:
    return array is not None and array.ndim == 3 and array.shape[1] == array.shape[2]


def _of_matrices(where: str, by_name: Mapping[str, Any], matrices: str, wanted: Wanted) -> Iterator[Row]:
    n = len(by_name[matrices])
    for i in range(n):
        values = {name: _part(by_name, name, slice(i, i + 1), n)[0] for name in wanted.names}
        place = f"{where}, row {i + 1}"
        try:
            yield Row(place, values, "", *geometry_of_coulomb(np.asarray(by_name[matrices][i])))
        except DataError as error:
            yield Row(place, values, problem=str(error))
