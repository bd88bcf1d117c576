"""Runs the blocks of a documentation page as a reader would who follows it in one folder.

- ``python`` runs in the page's own namespace, and its functions ``test_…`` are called; a block whose first
  line is ``# mine.py`` becomes that file.
- ``yaml`` is checked as (a part of) a campaign file; one that begins with ``# mine.yaml`` becomes that file.
- ``bash`` runs line by line; ``alkit`` runs in this process, in which its libraries are loaded once.
- After ``<!-- not run: why -->`` a block is only checked: its options, keys and syntax.
"""

import contextlib
import inspect
import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml

from alkit.cli.app import app, main
from alkit.config.loading import check_config

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>.+?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
_FILE = re.compile(r"# ([\w./-]+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    run: bool
    line: int

    @property
    def file(self) -> str | None:
        """The file that it is to be saved as."""
        named = _FILE.match(self.text)
        return named.group(1) if named else None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            one["language"], one["text"], one["why"] is None, text.count("\n", 0, one.start("language")) + 1
        )
        for one in _BLOCK.finditer(text)
        if one["language"] in ("python", "yaml", "bash")
    ]


class Reader:
    """Follows pages in a folder, which is where the process stands.

    Args:
        folder: where files go.
        base: keys that parts of a campaign file are checked with.
    """

    def __init__(self, folder: Path, base: dict[str, Any] | None = None):
        self.folder = folder
        self.base = {"name": "x", "proposer": "generator"} | (base or {})
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def follow(self, page: Path) -> None:
        """Run the page's blocks in order.

        Raises:
            AssertionError: one of them does not do what it should; the message says which.
        """
        for block in blocks_of(page):
            try:
                getattr(self, f"_{block.language}")(block)
            except Exception as error:
                raise AssertionError(f"{page.name}, line {block.line}: {error}") from error

    def _python(self, block: Block) -> None:
        code = compile(block.text, f"<line {block.line}>", "exec")
        if block.file:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
            sys.modules.pop(Path(block.file).stem, None)
        elif block.run:
            before = set(self.names)
            exec(code, self.names)
            for name in sorted(set(self.names) - before):
                if name.startswith("test_"):
                    test = self.names.pop(name)
                    test(*[self.folder / name for _ in inspect.signature(test).parameters])

    def _yaml(self, block: Block) -> None:
        if block.file:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
            self._check(block.text, {})
            return
        parts = [part for part in re.split(r"^(?=\w)", block.text, flags=re.M) if re.match(r"\w", part)]
        keys = [part.partition(":")[0] for part in parts]
        for part in parts if len(set(keys)) < len(keys) else [block.text]:
            self._check(part, self.base)

    def _check(self, text: str, base: dict[str, Any]) -> None:
        check_config(base | yaml.safe_load(text), path=self.folder / "campaign.yaml")

    def _bash(self, block: Block) -> None:
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if not words:
                continue
            if block.run:
                self._command(words, line)
            elif words[0] == "alkit":
                parse(words[1:])

    def _command(self, words: list[str], line: str) -> None:
        into = None
        if ">" in words:
            words, into = words[: words.index(">")], self.folder / words[-1]
        if words[0] == "alkit":
            said = run_alkit(words[1:])
        elif words[0] == "echo":
            said = " ".join(words[1:]) + "\n"
        elif words[0] == "cp":
            shutil.copy(*words[1:])
            said = ""
        else:
            raise AssertionError(f"nothing here runs {line!r}; say <!-- not run: why --> before the block")
        if into:
            into.write_text(said, encoding="utf-8")


def run_alkit(arguments: list[str]) -> str:
    """Run a command that must end well; what it prints."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ending:
            if ending.code not in (0, None):
                raise AssertionError(f"alkit {' '.join(arguments)}: {err.getvalue()[-2000:]}") from None
    return out.getvalue()


def parse(arguments: list[str]) -> None:
    """Check that alkit has the command and its options; nothing is run."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context("alkit", list(arguments))


def pages(docs: Path) -> Iterator[Path]:
    """All pages but the decisions, which are about what was."""
    yield from (page for page in sorted(docs.rglob("*.md")) if "decisions" not in page.parts)
