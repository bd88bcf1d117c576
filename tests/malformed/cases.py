"""A case, what a command does with it, and what is wrong with that."""

import contextlib
import hashlib
import io
import os
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Files = Mapping[str, bytes | None]  # None is a folder
_LONGEST = 1500  # characters of a sentence


@dataclass(frozen=True)
class Case:
    """Files of a folder, the command line that is run in it, and what is wrong with it."""

    what: str
    arguments: tuple[str, ...]
    files: Files = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, standard error, the traceback if there was one, the paths that were
    written, changed or lost, and seconds."""

    code: int
    err: str
    traceback: str
    written: tuple[str, ...]
    seconds: float

    @property
    def faults(self) -> list[str]:
        """What is wrong with that; empty if the input was refused as it should be."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        last = lines[-1] if lines else ""
        usage = "Usage:" in self.err and "Error" in self.err  # Typer's own, of options
        said = [line for line in lines if line.startswith("alkit: ")]
        found = []
        if self.traceback or "Traceback" in self.err:
            found.append(f"traceback: {self.traceback or self.err}")
        if self.code != 2:
            found.append(f"exit code {self.code}")
        if self.written:
            found.append(f"written: {', '.join(self.written)}")
        if not usage and not (len(said) == 1 and last == said[0] and len(last) > len("alkit: ") + 10):
            found.append(f"not one sentence at the end: {self.err!r:.500}")
        if not usage and (len(last) > _LONGEST or not last.isprintable()):
            found.append(f"a sentence of {len(last)} characters, or with unprintable ones: {last!r:.500}")
        return found


def run(case: Case) -> Outcome:
    """Run a case in a folder of its own, in this process."""
    from alkit.cli import app

    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for name, content in case.files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if content is None else path.write_bytes(content)
        cache_before = os.environ.get("ALKIT_LABEL_CACHE")
        os.environ["ALKIT_LABEL_CACHE"] = str(Path(scratch, "labels.sqlite"))
        before, err, trace, code = _tree(), io.StringIO(), "", 0
        started = time.perf_counter()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
                app.main(list(case.arguments))
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1 if ending.code else 0
        except Exception:  # whatever escapes is what this is about
            trace, code = traceback.format_exc(), 1
        seconds = time.perf_counter() - started
        if cache_before is None:
            del os.environ["ALKIT_LABEL_CACHE"]
        else:
            os.environ["ALKIT_LABEL_CACHE"] = cache_before
        after = _tree()
    written = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return Outcome(code, err.getvalue(), trace, tuple(written), seconds)


def _tree() -> dict[str, str]:
    return {
        str(path): "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path().rglob("*")
        # SQLite's own: of a damaged ledger in WAL mode it leaves them also where it may only read.
        if not path.name.endswith(("ledger.sqlite-shm", "ledger.sqlite-wal"))
    }
