"""alkit.files: tables that survive an interruption anywhere."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.errors import DataError
from alkit.files import digest, growing_table

HEADER = ["smiles", "value"]


def write(out: Path, rows: list, *, chunk: int, made_from: str = "x", stop_after: int | None = None) -> int:
    """Add what is missing of ``rows``, and be interrupted after so many of them; how many were there."""
    with growing_table(out, HEADER, made_from=made_from, chunk=chunk) as (done, add):
        for start in range(done, len(rows), chunk):
            if stop_after is not None and start >= stop_after:
                raise KeyboardInterrupt
            add(rows[start : start + chunk])
    return done


@given(st.integers(0, 40), st.integers(1, 7), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 400))))
@settings(max_examples=60, deadline=None)
def test_a_table_cut_anywhere_ends_as_one_written_at_once(tmp_path_factory, n, chunk, stops) -> None:
    folder = tmp_path_factory.mktemp("tables")
    rows = [["C" * (k % 5 + 1), k] for k in range(n)]
    write(folder / "whole.csv", rows, chunk=chunk)
    out, partial = folder / "pieces.csv", folder / "pieces.csv.part"
    for stop_after, cut in stops:
        try:
            write(out, rows, chunk=chunk, stop_after=stop_after)
        except KeyboardInterrupt:
            if partial.exists():  # as kill -9 or a full disk leaves it
                partial.write_bytes(partial.read_bytes()[:cut])
        else:
            break
    if not out.exists():
        write(out, rows, chunk=chunk)
    assert out.read_bytes() == (folder / "whole.csv").read_bytes()
    assert list(csv.reader(out.open())) == [HEADER, *[[a, str(b)] for a, b in rows]]
    assert sorted(path.name for path in folder.iterdir()) == ["pieces.csv", "whole.csv"]


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    rows = [["C", k] for k in range(10)]
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.csv", rows, chunk=3, stop_after=6)
    assert write(tmp_path / "a.csv", rows, chunk=3) == 6


def test_nothing_is_overwritten_or_mixed(tmp_path: Path) -> None:
    out, rows = tmp_path / "a.csv", [["C", 1], ["O", 2]]
    with pytest.raises(KeyboardInterrupt):
        write(out, rows, chunk=1, stop_after=1)
    with pytest.raises(DataError, match=r"a\.csv\.part was begun with another model or molecules"):
        write(out, rows, chunk=1, made_from="y")
    write(out, rows, chunk=1)
    with pytest.raises(DataError, match="exists already"):
        write(out, rows, chunk=1)


def test_a_table_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.csv", [["C", 1]], chunk=1, stop_after=0)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_is_of_contents_and_their_order(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    for path, text in ((a, "1"), (b, "2"), (c, "1")):
        path.write_text(text)
    assert digest(a, b) == digest(c, b) != digest(b, a)


def test_two_runs_do_not_write_one_table(tmp_path: Path) -> None:
    with growing_table(tmp_path / "a.csv", HEADER, made_from="x", chunk=1) as (_, add):
        add([["C", 1]])
        with pytest.raises(DataError, match="is being written by another run"):
            write(tmp_path / "a.csv", [["C", 1]], chunk=1)
    assert (tmp_path / "a.csv").read_bytes() == b"smiles,value\r\nC,1\r\n"
