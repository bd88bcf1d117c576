"""Plain words in everything that a person reads; CONTRIBUTING.md has the rules."""

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("alkit", "surrogate", "generator", "benchmarks", "campaigns", "docs", "examples", "tests")
WORDS = re.compile(r"\b(told|mend|mends|mended|mending|anew|shall|hitherto)\b", re.IGNORECASE)
OF = re.compile(r"(?:^|[.!?:] )Of [a-z0-9]")
RULES = ("CONTRIBUTING.md", "tests/test_prose.py")  # they name the words
PACKAGES = ("alkit/", "surrogate/", "generator/")
LONGEST = 24  # words of a sentence
FRAGMENTS = re.compile(r"(?:What|Those|That of|As|From|By|In|Into|Of|To|So|Such|Also|Called|Raises) ")
# Where the next line of a docstring begins a text of its own: a list, an argument or an error.
_ITEM = re.compile(r"\s*(?:[-*] |\d+\. |[*\w]+: |\w+:$)")
# What a page has beside its prose: code, tables, headings, HTML and directives.
_NOT_PROSE = re.compile(r"^ *(`{3,})[^`].*?^ *\1$|^ *[|#<:].*?$", re.DOTALL | re.MULTILINE)
_BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*] |\d+\. ))")
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


PAGES = [*(path for path in texts(".md") if path.name != "CHANGELOG.md"), ROOT / "CONTRIBUTING.md"]
PACKAGED = [path for path in texts(".py") if str(path.relative_to(ROOT)).startswith(PACKAGES)]


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


def _message(node: ast.AST) -> str:
    """The text of a literal; each value in an f-string counts as one word."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _paragraphs(docstring: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*inspect.cleandoc(docstring).splitlines(), ""]:
        if lines and (not line.strip() or _ITEM.match(line)):
            yield " ".join(lines)
            lines = []
        lines += [line.strip()] if line.strip() else []


def _docstrings(tree: ast.Module) -> set[str]:
    documented = (
        node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    )
    return {text for node in documented if (text := ast.get_docstring(node, clean=False))}


def _read_by_people(tree: ast.Module) -> Iterator[str]:
    """Docstrings, which are the help of commands too, and messages; not SQL and other texts of many lines."""
    docstrings = _docstrings(tree)
    for text in docstrings:
        yield from _paragraphs(text)
    values = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if node not in values and (text := _message(node)) not in docstrings and "\n" not in text.strip():
            yield text


def _too_long(paragraphs: Iterable[str], ends: str) -> list[str]:
    parts = (part for text in paragraphs for part in re.split(rf"(?<=[{ends}])\s+", text))
    return [part for part in parts if sum(any(map(str.isalnum, word)) for word in part.split()) > LONGEST]


def _long_sentences(source: str) -> list[str]:
    return _too_long(_read_by_people(ast.parse(source)), ends=".!?;")


def _prose(page: str) -> Iterator[str]:
    """Paragraphs and items of lists, without markup; inline code is one word, a link its text."""
    for text in _BREAK.split(_NOT_PROSE.sub("\n\n", page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]+`", "X", text))
        yield " ".join(text.replace("**", "").split())


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.name)
def test_summaries_are_noun_phrases_or_verbs(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    fragments = [text for text in _docstrings(tree) if FRAGMENTS.match(text)]
    assert not fragments


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.name)
def test_sentences_are_short(path: Path) -> None:
    """Docstrings, help and messages of the packages have sentences of fewer than 25 words."""
    long = _long_sentences(path.read_text(encoding="utf-8"))
    assert not long


def test_long_sentences_are_seen() -> None:
    long = "word " * LONGEST + "end"
    assert _long_sentences(f'"""Summary.\n\n{long[:60]}\n{long[60:]}.\n"""') == [f"{long}."]
    assert _long_sentences(f'raise ValueError(f"{{x}} {long}.")') == [f"X {long}."]
    assert _long_sentences(f'"""{long[5:]}. Another one.\n\nArgs:\n    x: {long[10:]}\n"""') == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_sentences_of_pages_are_short(path: Path) -> None:
    """A colon ends a sentence of a page too: lists follow it."""
    long = _too_long(_prose(path.read_text(encoding="utf-8")), ends=".!?;:")
    assert not long


def test_long_sentences_of_pages_are_seen() -> None:
    long = "word " * LONGEST + "end"
    page = f"# {long}\n\n```bash\n{long}\n```\n| {long} |\n\n- {long[:60]}\n  {long[60:]}.\n- `{long}`.\n"
    assert _too_long(_prose(page), ends=".!?;:") == [f"- {long}."]
