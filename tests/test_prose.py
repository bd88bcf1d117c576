"""Plain words in everything that a person reads; CONTRIBUTING.md has the rules."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("alkit", "surrogate", "generator", "benchmarks", "campaigns", "docs", "tests")
WORDS = re.compile(r"\b(told|mend|mends|mended|mending|anew|shall|hitherto)\b", re.IGNORECASE)
OF = re.compile(r"(?:^|[.!?:] )Of [a-z]")
RULES = ("CONTRIBUTING.md", "tests/test_prose.py")  # they name the words
STORED = {"alkit/studies/geometry/running.py": {"told"}}  # a name in files of earlier revisions


def texts(*endings: str) -> list[Path]:
    inside = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.suffix in endings]
    found = [*(path for path in ROOT.glob("*") if path.suffix in endings), *inside]
    return sorted(
        path for path in found if "fixtures" not in path.parts and str(path.relative_to(ROOT)) not in RULES
    )


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of prose with their numbers; comments and texts of a Python file."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(content.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            for number, line in enumerate(token.string.splitlines(), token.start[0]):
                yield number, line.strip().lstrip("rfb\"'# ")


@pytest.mark.parametrize("path", texts(".py", ".md", ".yaml", ".html"), ids=lambda path: path.name)
def test_usual_words(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = [
        f"{name}:{number}: {match.group()}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in WORDS.finditer(line)
        if match.group() not in STORED.get(name, ())
    ]
    assert not found


@pytest.mark.parametrize("path", texts(".py", ".md"), ids=lambda path: path.name)
def test_sentences_name_their_subject(path: Path) -> None:
    """No sentence begins with "Of"."""
    assert not [f"{path.name}:{number}: {line}" for number, line in sentences(path) if OF.search(line)]
