"""Files that are complete or absent: replaced whole, never overwritten, resumed after an interruption."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar

from alkit.errors import AlkitError, CampaignError, ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCRATCH = ".part."
Writer = TypeVar("Writer", bound=Callable[..., Any])


def absolute(path: Path | str, base: Path, what: str) -> Path:
    """A path of the user's made absolute, from the folder ``base``; ``~`` is the home folder.

    Raises:
        ConfigError: links that lead round in a circle, an unknown user's home, or what no path may hold.
    """
    try:
        return (base / Path(path).expanduser()).resolve()
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"{what}: {str(path)!r:.200} is no path that leads anywhere ({error}).") from None


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder with its parents. If the block fails, the folders it created are removed while empty."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in new:
            with suppress(OSError):  # it holds something by now
                path.rmdir()
        raise


def no_link(path: str, flags: int) -> int:
    """The opener for `open` that takes the file itself; a link in its place is an error."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def lock(path: Path) -> BinaryIO:
    """Open a file, made if need be, with its lock held; the lock goes when the file is closed.

    The system closes the file, and so gives the lock back, however the process ends.

    Raises:
        BlockingIOError: the lock is held elsewhere, by this process or another.
        OSError: the file cannot be opened, or its file system has no locks.
    """
    file = open(path, "a+b", opener=no_link)  # noqa: SIM115 - the caller closes it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        file.close()
        if isinstance(error, OSError):
            error.filename = str(path)  # flock knows the file's number alone; messages need its name
        raise
    return file


@contextmanager
def locked(path: Path, *, busy: AlkitError) -> Iterator[BinaryIO]:
    """Hold the lock of a file, made if need be.

    Yields:
        The open file.

    Raises:
        AlkitError: ``busy``, where the lock is held elsewhere.
    """
    try:
        file = lock(path)
    except BlockingIOError:
        raise busy from None
    with file:
        yield file


@contextmanager
def growing_table(
    out: Path, header: Sequence[str], *, made_from: str, chunk: int
) -> Iterator[tuple[int, Any]]:
    """A CSV file that grows beside ``out`` (as ``out.part``) and takes its name when the block ends well.

    Args:
        out: the CSV file to write; it must not exist.
        header: names of its columns.
        made_from: what decides the rows; a table begun from something else is not continued.
        chunk: rows are kept in multiples of this, so that a table made in pieces is the same as one made at
            once.

    Yields:
        How many rows there are already, and a function that adds rows; no cell may hold a line break.

    Raises:
        DataError: ``out`` exists, was begun from something else, or is being written by another run.
    """
    refuse_existing(out)
    partial, origin = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.part.from")
    busy = DataError(f"{partial} is being written by another run; wait for it, or give another --out.")
    with made(out.parent), locked(partial, busy=busy) as raw:
        if origin.exists() and origin.read_text(encoding="utf-8") != made_from:
            raise DataError(
                f"{partial} was begun with another model or molecules; delete it, or give another --out."
            )
        top = _as_csv([header])
        done = _cut(raw, top, chunk) if origin.exists() else 0
        if not done:  # a header alone is written again, whole or not
            raw.truncate(0)
            raw.write(top)
            raw.flush()
            replace_file(origin, lambda part: write_text(part, made_from))

        def add(new: Sequence[Sequence[Any]]) -> None:
            raw.write(_as_csv(new))
            raw.flush()

        try:
            yield done, add
        except BaseException:
            if raw.tell() == len(top):  # there is nothing to continue from
                partial.unlink()
                origin.unlink()
            raise
        if out.exists():
            raise DataError(f"{out} has appeared meanwhile; what was to be there is in {partial}.")
        os.replace(partial, out)  # while it is still locked
        origin.unlink()


def _as_csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def read_columns(path: Path, *names: str) -> NDArray[np.float64]:
    """``(n, len(names))`` numbers of a CSV file that alkit wrote, in its order."""
    import numpy as np

    with path.open(newline="", encoding="utf-8") as file:
        rows = [[float(row[name]) for name in names] for row in csv.DictReader(file)]
    return np.array(rows, dtype=np.float64).reshape(-1, len(names))


def digest(*files: Path) -> str:
    """One fingerprint of the contents of files, in this order."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _cut(file: IO[bytes], top: bytes, chunk: int) -> int:
    """Cut a table to a multiple of ``chunk`` rows, of a line each, below its header; how many they are.

    Without its whole header it is not cut, and has none.
    """
    file.seek(0)
    if file.read(len(top)) != top:
        return 0
    rows, length, end = 0, len(top), len(top)
    for line in file:
        if not line.endswith(b"\n"):
            break
        rows, length = rows + 1, length + len(line)
        if rows % chunk == 0:
            end = length
    file.truncate(end)
    file.seek(end)
    return rows // chunk * chunk


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text: the writer that `replace_file` takes for texts."""
    path.write_text(text, encoding="utf-8")


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside ``path`` and rename: a file that exists is complete.

    What is written to is a new file of a name that nobody can foresee; a link at ``path`` is replaced, not
    followed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}{_SCRATCH}", suffix=path.suffix)
    os.close(file)
    scratch = Path(name)
    try:
        write(scratch)
        scratch.chmod(0o666 & ~_umask())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes have left of `replace_file`; nobody may be writing in the folder."""
    for scratch in folder.rglob(f".*{_SCRATCH}*"):
        if scratch.is_file() and not scratch.is_symlink():
            scratch.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OverflowError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def temporary_folder(kind: str) -> Path:
    """A new temporary folder; those of its ``kind`` that killed processes have left are removed first."""
    for left in Path(tempfile.gettempdir()).glob(f"alkit-{kind}-*"):
        found = re.fullmatch(rf"alkit-{kind}-(\d+)-\w+", left.name)
        if found and not is_running(int(found[1])) and left.lstat().st_uid == os.getuid() and left.is_dir():
            shutil.rmtree(left, ignore_errors=True)  # of a link it removes nothing
    return Path(tempfile.mkdtemp(prefix=f"alkit-{kind}-{os.getpid()}-"))


def refuse_links(folder: Path) -> None:
    """Refuse a folder of alkit's in which a link leads to another folder, or stands for a database.

    Raises:
        CampaignError: there is one; alkit would write to what it leads to.
    """
    for parent, names, files in os.walk(folder):
        for name in (*names, *(name for name in files if ".sqlite" in name)):
            path = Path(parent, name)
            if path.is_symlink():
                raise CampaignError(
                    f"{path} is a link, and alkit writes through none; put the real one there."
                )


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def refuse_existing(out: Path | None, option: str = "--out") -> None:
    """Raise `DataError` if the output file exists; called before long work."""
    if out is not None and out.exists():
        raise DataError(f"{out} exists already; give another {option}, nothing is overwritten.")


def by_ending(out: Path, writers: Mapping[str, Writer]) -> Writer:
    """The function that writes a new file of that ending, such as ".csv".

    Raises:
        DataError: another ending, or the file exists.
    """
    write = writers.get(out.suffix.lower())
    if write is None:
        raise DataError(f"{out} ends in {out.suffix!r}; give a file that ends in {', '.join(writers)}.")
    refuse_existing(out)
    return write


@contextmanager
def output(out: Path | None) -> Iterator[IO[str]]:
    """A new file, or standard output; an existing file is never overwritten."""
    if out is None:
        yield sys.stdout
        return
    refuse_existing(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("x", newline="", encoding="utf-8") as file:
        yield file
