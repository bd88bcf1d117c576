"""alkit.files: tables that survive an interruption anywhere."""

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.errors import CampaignError, DataError
from alkit.files import (
    digest,
    growing_table,
    lock,
    locked,
    output,
    refuse_links,
    replace_file,
    sweep,
    temporary_folder,
    write_text,
)

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


# --- locks -----------------------------------------------------------------------------------------------
def test_a_lock_is_held_once_and_keeps_what_the_file_holds(tmp_path: Path) -> None:
    path, busy = tmp_path / "a", DataError("somebody else has it")
    path.write_text("text")
    with locked(path, busy=busy) as file:
        with pytest.raises(DataError, match="somebody else has it"), locked(path, busy=busy):
            pass
        with pytest.raises(BlockingIOError) as caught:
            lock(path)
        assert caught.value.filename == str(path)
        file.seek(0)
        assert file.read() == b"text"
    lock(path).close()
    with locked(path, busy=busy):
        pass


def test_a_lock_ends_with_an_error_in_its_block(tmp_path: Path) -> None:
    busy = DataError("busy")
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "a", busy=busy):
        raise KeyboardInterrupt
    with locked(tmp_path / "a", busy=busy):
        pass


_HOLDER = """
import sys, time
from pathlib import Path
from alkit.files import lock
file = lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_a_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError):
            lock(tmp_path / "a")
        holder.kill()
        holder.wait()
        lock(tmp_path / "a").close()


def test_a_lock_that_cannot_be_opened_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError) as caught, locked(tmp_path / "a", busy=DataError("busy")):
        pass
    assert caught.value.filename == str(tmp_path / "a")


def test_a_replaced_file_is_new_whole_and_follows_no_link(tmp_path: Path) -> None:
    victim, target = tmp_path / "thesis.tex", tmp_path / "run" / "report.html"
    victim.write_text("precious")
    target.parent.mkdir()
    target.symlink_to(victim)
    for name in ("report.part.html", ".report.part.html"):  # names that another hand may foresee
        (target.parent / name).symlink_to(victim)
    replace_file(target, lambda path: write_text(path, "page"))
    assert victim.read_text() == "precious"
    assert not target.is_symlink()
    assert target.read_text() == "page"
    mask = os.umask(0o022)
    os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("before")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        replace_file(target, fail)
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_kill_leaves_is_swept(tmp_path: Path) -> None:
    kept = tmp_path / "rounds" / "01" / "predictions.npz"
    kept.parent.mkdir(parents=True)
    kept.touch()
    script = (
        "import os, sys; from pathlib import Path; from alkit.files import replace_file\n"
        "replace_file(Path(sys.argv[1]), lambda path: os.kill(os.getpid(), 9))"
    )
    subprocess.run([sys.executable, "-c", script, kept], check=False)
    assert len(list(kept.parent.iterdir())) == 2
    sweep(tmp_path)
    assert list(kept.parent.iterdir()) == [kept]


def test_links_out_of_a_folder_are_refused(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (folder / "rounds" / "00").mkdir(parents=True)
    elsewhere.mkdir()
    refuse_links(folder)
    for name in ("plots", "rounds/01", "ledger.sqlite", "ledger.sqlite-wal"):
        (folder / name).symlink_to(elsewhere)
        with pytest.raises(CampaignError, match=f"{name} is a link"):
            refuse_links(folder)
        (folder / name).unlink()


def test_new_files_and_locks_follow_no_link(tmp_path: Path) -> None:
    (tmp_path / "out.csv").symlink_to(tmp_path / "made")
    with pytest.raises(FileExistsError), output(tmp_path / "out.csv"):
        pass
    with pytest.raises(OSError, match=r"out\.csv"):
        lock(tmp_path / "out.csv")
    assert not (tmp_path / "made").exists()


def test_temporary_folders_of_killed_processes_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, other = tmp_path / f"alkit-dask-{ended.pid}-abc", tmp_path / f"alkit-parsl-{ended.pid}-abc"
    for folder in (dead, other, tmp_path / "alkit-dask-mine", tmp_path / "kept"):
        folder.mkdir()
        (folder / "file").touch()
    link = tmp_path / f"alkit-dask-{ended.pid}-xyz"
    link.symlink_to(tmp_path / "kept")
    first, second = temporary_folder("dask"), temporary_folder("dask")
    assert first.is_dir()  # its process, this one, is running
    assert second.is_dir()
    assert not dead.exists()
    assert (other / "file").exists()
    assert (tmp_path / "alkit-dask-mine" / "file").exists()
    assert (tmp_path / "kept" / "file").exists()
