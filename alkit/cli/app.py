"""``alkit …``: parses, calls, prints. What is heavy is imported inside the commands, so help is instant."""

import errno
import logging
import os
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

import alkit
from alkit import interrupts
from alkit.cli.baseline import baseline
from alkit.cli.campaign import campaign
from alkit.cli.data import data
from alkit.cli.doctor import doctor
from alkit.cli.generator import generate, generator
from alkit.cli.models import export_model, import_model, label, predict, score, train
from alkit.cli.study import study

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(campaign, name="campaign")
app.add_typer(data, name="data")
app.add_typer(baseline, name="baseline")
app.add_typer(study, name="study")
app.add_typer(generator, name="generator")
for command in (train, predict, score, label, generate, doctor):
    app.command()(command)
app.command("export")(export_model)
app.command("import")(import_model)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"alkit {alkit.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Active learning that makes a molecular-energy surrogate chemically accurate from few labels."""


_INTERRUPTED = 130
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_AGAIN = "fix that and give the same command again: what was done is kept."
_LONGEST = 1000  # characters of an error


def _sentence(error: Exception) -> str | None:
    """The sentence for an error that the user can fix, else None."""
    if hasattr(error, "exit_code"):
        return str(error)
    if isinstance(error, OSError) and error.errno in _STORAGE:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{os.strerror(error.errno).lower()}; {_AGAIN}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}."
    if isinstance(error, RuntimeError) and "Symlink loop" in str(error):
        return f"{error}: links that lead round in a circle are no path."
    if isinstance(error, sqlite3.Error):
        return f"A database could not be read or written: {error}; {_AGAIN}"
    return None


def main(arguments: list[str] | None = None) -> None:
    """Run a command. An error the user can fix gives one sentence and exit code 2, no traceback."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.showwarning = _show_warning
    try:
        with interrupts.listening(), _log_kept_apart():
            app(args=arguments)
    except SystemExit as ending:
        if ending.code == _INTERRUPTED:  # Typer has turned a KeyboardInterrupt into this
            _end_as_interrupted()
        raise
    except Exception as error:
        if interrupts.requested():  # in the middle of an import, which has made another error of it
            _end_as_interrupted()
        sentence = _sentence(error)
        if sentence is None:
            raise
        typer.echo(f"alkit: {_one_line(sentence)}", err=True)
        sys.exit(2)


@contextmanager
def _log_kept_apart() -> Iterator[None]:
    """Keep the log off the terminal, which has its lines; some libraries send all logs there again."""
    log = logging.getLogger("alkit")
    before, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.propagate = before


def _end_as_interrupted() -> NoReturn:
    typer.echo("\nInterrupted; what was done is kept.", err=True)
    # A KeyboardInterrupt inside exec("…"), as when a dataclass is made, leaves a mark by which Python ends
    # itself with SIGINT in place of the exit code; the next exec takes the mark away.
    exec("")
    sys.exit(_INTERRUPTED)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"alkit: {_one_line(str(message))}", err=True)


def _one_line(text: str) -> str:
    """A sentence that quotes a file may hold anything: breaks, a terminal's commands, a million letters."""
    line = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in " ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST * 3 // 4]} … {line[-_LONGEST // 4 :]}"


if __name__ == "__main__":
    main()
