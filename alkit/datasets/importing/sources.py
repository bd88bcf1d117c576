"""Files as one source of rows, whatever kinds they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from alkit.datasets.formats import ending, kind_of
from alkit.datasets.importing import from_arrays, from_structures, from_tables
from alkit.datasets.importing.rows import Row, Source, Wanted
from alkit.errors import DataError

_FOLDER = (".xyz", ".extxyz", ".sdf", ".mol")


def open_source(files: Sequence[Path], wanted: Wanted) -> Source:
    """The rows of all files, one file after the other; or geometries of one, numbers of the other.

    Args:
        files: of one kind; or geometries (.xyz, .sdf …) and one table (.csv, .tsv); a folder stands for the
            structures in it.
        wanted: the columns and arrays to read.

    Raises:
        DataError: unreadable files, kinds that alkit does not read, or that do not go together.
    """
    paths = [path for file in files for path in _in_folder(Path(file))]
    tables = [path for path in paths if _is_text_table(path)]
    others = [path for path in paths if path not in tables]
    if tables and others:
        if len(tables) > 1:
            raise DataError(
                f"{tables[0]} and {tables[1]} are two tables beside geometries; give one, or import them "
                "apart."
            )
        return _paired(others, text_table(tables[0], wanted, needs_smiles=False), tables[0], wanted)
    sources = [_open(path, wanted) for path in paths]
    if len(sources) == 1:
        return sources[0]
    first = sources[0]
    for path, one in zip(paths[1:], sources[1:], strict=True):
        if (one.units, one.kinds, one.levels, one.length) != (
            first.units, first.kinds, first.levels, first.length,
        ):  # fmt: skip
            raise DataError(f"{paths[0]} and {path} differ in units or levels; import them apart.")
    totals = [one.total for one in sources]
    total = sum(n for n in totals if n) if all(totals) else None
    return replace(first, rows=(row for one in sources for row in one.rows), total=total)


text_table = from_tables.text_table


def _in_folder(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if ending(one) in _FOLDER)
    if not found:
        raise DataError(f"The folder {path} holds no structures ({', '.join(_FOLDER)}).")
    return found


def _is_text_table(path: Path) -> bool:
    if ending(path) in (*from_arrays.ENDINGS, ".parquet"):
        return False
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    return kind_of(path) == "table"


def _open(path: Path, wanted: Wanted) -> Source:
    suffix = ending(path)
    if suffix in from_arrays.ENDINGS:
        return from_arrays.arrays(path, wanted, suffix)
    if suffix == ".parquet":
        return from_tables.parquet(path, wanted)
    kind = kind_of(path)
    if kind == "table" or (wanted.columns.delimiter and kind == "smiles"):
        return text_table(path, wanted)
    if kind in ("sdf", "mol", "mol2"):
        return from_structures.records(path, kind)
    if kind == "xyz":
        return from_structures.frames(path)
    if kind == "db":
        return from_structures.database(path)
    if kind == "traj":
        return from_structures.trajectory(path)
    raise DataError(
        f"{path} is a list of SMILES without numbers; a table with a header, or structures with their "
        "properties, are expected here."
    )


def _paired(geometries: Sequence[Path], table: Source, path: Path, wanted: Wanted) -> Source:
    """Rows of the table with the geometries: by file name where a column has it, else in order."""
    rows = table.rows
    first = next(rows)
    names = {one.name for one in geometries} | {one.stem for one in geometries}
    values = {**first.values, "": first.name}
    column = next((name for name, value in values.items() if len(geometries) > 1 and value in names), None)
    frames = (row for one in geometries for row in _open(one, wanted).rows)
    if column is None:
        joined = _in_order(frames, _chain(first, rows), path)
    else:
        joined = _by_name(geometries, _chain(first, rows), column, wanted)
    return replace(table, rows=joined)


def _chain(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


def _in_order(frames: Iterator[Row], rows: Iterator[Row], path: Path) -> Iterator[Row]:
    last = ""
    for row in rows:
        frame = next(frames, None)
        if frame is None:
            raise DataError(
                f"{row.where}: there is no geometry left for it; geometries and rows of {path} go together "
                "in order, one for each."
            )
        last = row.where
        yield _joined(row, frame)
    if (left := next(frames, None)) is not None:
        raise DataError(f"{left.where}: {path} has no row left for it; its last is {last}.")


def _by_name(geometries: Sequence[Path], rows: Iterator[Row], column: str, wanted: Wanted) -> Iterator[Row]:
    by_name = {key: path for path in geometries for key in (path.stem, path.name)}
    used: set[Path] = set()
    for row in rows:
        name = str(row.values.get(column, "")) if column else row.name
        file = by_name.get(name)
        if file is None:
            yield row._replace(problem=f"there is no geometry file for {name!r}")
            continue
        frames = list(_open(file, wanted).rows)
        if len(frames) != 1:
            raise DataError(f"{file} holds {len(frames)} structures, and {row.where} is about one.")
        used.add(file)
        yield _joined(row, frames[0])
    if left := [path for path in geometries if path not in used]:
        raise DataError(
            f"{left[0]}{f' and {len(left) - 1} others' if left[1:] else ''}: no row of the table is theirs."
        )


def _joined(row: Row, frame: Row) -> Row:
    """The table's numbers and SMILES, the geometry's atoms."""
    problem = row.problem or frame.problem
    return row._replace(
        where=f"{row.where} ({frame.where})",
        values={**frame.values, **row.values},
        smiles=row.smiles or frame.smiles,
        numbers=frame.numbers,
        positions=frame.positions,
        charge=frame.charge,
        problem=problem,
    )
