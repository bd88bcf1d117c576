"""The kind of file that a user's molecules are in, by its name and its content."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

from alkit.errors import DataError

Kind = Literal["smiles", "table", "sdf", "mol", "mol2", "xyz", "db", "traj"]

_ENDINGS: dict[str, Kind] = {
    ".smi": "smiles", ".smiles": "smiles", ".ism": "smiles", ".can": "smiles", ".txt": "smiles", "": "smiles",
    ".csv": "table", ".tsv": "table", ".tab": "table",
    ".sdf": "sdf", ".sd": "sdf", ".mol": "mol", ".mdl": "mol", ".mol2": "mol2",
    ".xyz": "xyz", ".extxyz": "xyz", ".db": "db", ".traj": "traj",
}  # fmt: skip
_READ = ".smi, .csv, .tsv, .sdf, .mol, .mol2, .xyz, .extxyz, .db and .traj"
SMILES_HEADERS = ("smiles", "canonical_smiles", "isomeric_smiles", "smi", "structure_smiles")
_SNIFFED = 40  # lines
LONGEST_LINE = 10_000_000  # characters


def lines(path: Path) -> Iterator[str]:
    """Read a UTF-8 text file, gzipped or not.

    Yields:
        Its lines.

    Raises:
        DataError: names a file that cannot be read as such.
    """
    try:
        with Path(path).open("rb") as file:  # once: it may be a pipe
            zipped = file.peek(2)[:2] == b"\x1f\x8b"
            with gzip.open(file, "rb") if zipped else file as plain:
                text = io.TextIOWrapper(plain, encoding="utf-8-sig")
                number = 0
                while line := text.readline(LONGEST_LINE):
                    number += 1
                    if "\0" in line:
                        raise DataError(f"{path} is not a UTF-8 text file (it holds NUL bytes).")
                    if len(line) == LONGEST_LINE:
                        raise DataError(f"{path}, line {number} is longer than {LONGEST_LINE:,} characters.")
                    yield line
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a UTF-8 text file ({error.reason}).") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged or incomplete .gz file ({error}).") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error


def ending(path: Path) -> str:
    """The last ending of a name, without ".gz", in small letters."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    return suffixes[-1] if suffixes else ""


def kind_of(path: Path) -> Kind:
    """The kind of a file; what stands in it counts where the name says nothing, or another thing.

    Raises:
        DataError: a kind that alkit does not read.
    """
    named = _ENDINGS.get(ending(path))
    if named in ("db", "traj", "mol"):
        return named
    if not Path(path).is_file():  # a pipe is read once; what is missing is said by whoever opens it
        return named or "smiles"
    if named is None and _is_binary(path):
        raise DataError(f"{path}: alkit does not read {ending(path) or 'such'} files; it reads {_READ}.")
    first = list(islice(lines(path), _SNIFFED))
    found = _by_content(first)
    if found is None and named is None:
        raise DataError(f"{path}: alkit does not read {ending(path)} files; it reads {_READ}.")
    # A file of lines may be a table under another name; the others say by themselves what they are.
    if named in (None, "smiles") or (found in ("sdf", "mol2") and named == "table"):
        return found or "smiles"
    return named


def delimiter_of(header: str) -> str:
    """The delimiter of a table: comma, tab, semicolon or bar."""
    counts = {mark: header.count(mark) for mark in (",", "\t", ";", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else ","


def smiles_header(names: list[str]) -> str | None:
    """The column that holds SMILES, by its usual names in any case."""
    by_name = {name.strip().lower(): name for name in reversed(names) if name}
    return next((by_name[usual] for usual in SMILES_HEADERS if usual in by_name), None)


def _by_content(first: list[str]) -> Kind | None:
    text = [line.rstrip("\r\n") for line in first]
    if any(line.startswith("@<TRIPOS>MOLECULE") for line in text):
        return "mol2"
    if any(line.rstrip().endswith(("V2000", "V3000")) for line in text[:8]) or "$$$$" in text:
        return "sdf"
    filled = [line for line in text if line.strip() and not line.startswith("#")]
    if not filled:
        return None
    if filled[0].strip().isdigit() and len(text) > 2 and len(filled[-1].split()) >= 4:
        return "xyz"
    try:
        names = next(csv.reader([filled[0]], delimiter=delimiter_of(filled[0])), [])
    except csv.Error:  # a line too long for a header
        names = []
    if len(names) > 1 and smiles_header(names):
        return "table"
    return "smiles" if _reads_as_smiles(filled) else None


def _reads_as_smiles(filled: list[str]) -> bool:
    from alkit.molecules.molecule import canonical_of_any

    words = [word for line in filled[:5] for word in line.split()[:2]]
    return any(word.lower() in SMILES_HEADERS or canonical_of_any(word) for word in words)


def _is_binary(path: Path) -> bool:
    with Path(path).open("rb") as file:
        head = file.read(1024)
    return b"\0" in head and head[:2] != b"\x1f\x8b"
