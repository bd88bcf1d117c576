"""Long tables that are written as they grow, and gone on with after an interruption."""

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alkit.errors import DataError


@contextmanager
def growing_table(
    out: Path, header: Sequence[str], *, made_from: str, chunk: int
) -> Iterator[tuple[int, Any]]:
    """A CSV file that grows beside ``out`` (as ``out.part``) and takes its name when the block ends well.

    Args:
        made_from: what decides the rows; a table begun from something else is not gone on with.
        chunk: rows are kept in multiples of this, so that a table made in pieces is the same as one made at
            once.

    Yields:
        How many rows there are already, and a function that adds rows, of at most ``chunk``.

    Raises:
        DataError: ``out`` exists, or was begun from something else.
    """
    if out.exists():
        raise DataError(f"{out} exists already; give another --out, nothing is overwritten.")
    partial, told = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.part.from")
    out.parent.mkdir(parents=True, exist_ok=True)
    if partial.exists():
        if not told.exists() or told.read_text(encoding="utf-8") != made_from:
            raise DataError(
                f"{partial} was begun with another model or molecules; delete it, or give another --out."
            )
        done = _cut(partial, chunk)
    else:
        done = 0
        told.write_text(made_from, encoding="utf-8")
        with partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(header)
    empty = partial.stat().st_size
    with partial.open("a", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)

        def add(new: Sequence[Sequence[Any]]) -> None:
            rows.writerows(new)
            file.flush()

        try:
            yield done, add
        except BaseException:
            if not done and partial.stat().st_size == empty:  # there is nothing to go on with
                partial.unlink()
                told.unlink()
            raise
    os.replace(partial, out)
    told.unlink()


def digest(*files: Path) -> str:
    """One fingerprint of the contents of files, in this order."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _cut(path: Path, chunk: int) -> int:
    """Cut a table to a multiple of ``chunk`` rows below its header; how many they are."""
    rows, length, end = -1, 0, 0
    with path.open("r+b") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            rows, length = rows + 1, length + len(line)
            if rows % chunk == 0:
                end = length
        file.truncate(end)
    return max(rows, 0) // chunk * chunk
