"""Parts of pages: plots with their words, tables, and drawings of molecules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alkit.reporting import plot_style


@dataclass(frozen=True)
class Plot:
    """A plot of a page.

    Attributes:
        name: of its files in ``plots/``.
        title: above it.
        words: what it shows, with its main numbers, for readers who see it and for those who do not.
        draw: writes it; takes the path, whose ending is the format.
        picture: whether slides want it, as a PNG beside the SVG.
    """

    name: str
    title: str
    words: str
    draw: Callable[[Path], Any]
    picture: bool = False

    def shown(self, folder: Path, *, redraw: bool, pictures: bool = False) -> dict[str, str]:
        """The plot for the page's template, drawn into ``folder`` where it is not there.

        Args:
            folder: of the plots.
            redraw: whether it is drawn again.
            pictures: whether the PNG is wanted now.
        """
        path = folder / f"{self.name}.svg"
        if redraw or not path.is_file():
            self.draw(path)
        if pictures and self.picture:
            self.draw(path.with_suffix(".png"))
        return {
            "name": self.name,
            "title": self.title,
            "words": self.words,
            "svg": plot_style.inline(path, f"{self.name}-words"),
        }


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        title: its caption.
        headings: of the columns.
        rows: of cells, as text.
        texts: how many of the first columns hold words; the others hold numbers.
        note: below it.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 0
    note: str = ""


@dataclass(frozen=True)
class Drawing:
    """A molecule with what is known of it.

    Attributes:
        svg: the drawing.
        smiles: of the molecule.
        lines: below it.
    """

    svg: str
    smiles: str
    lines: Sequence[str] = field(default=())


def tables_of(rows: Sequence[Mapping[str, str]], first: str) -> list[Table]:
    """Cells by heading, as tables narrow enough for a telephone: errors, labels saved, and the rest.

    Args:
        rows: cells by heading.
        first: heading that names the rows, in every table.
    """
    headings = [heading for heading in rows[0] if heading != first]
    saved = [heading for heading in headings if heading.startswith("labels saved")]
    errors = headings[: headings.index(saved[0])] if saved else headings
    rest = [heading for heading in headings if heading not in (*errors, *saved)]
    parts = {"Errors with all labels": errors, "Labels saved": saved, "More": rest}
    return [
        Table(
            title,
            (first, *(one.removeprefix("labels saved, ") for one in names)),
            [(row[first], *(row[name] for name in names)) for row in rows],
            texts=1,
        )
        for title, names in parts.items()
        if names
    ]


def percent(share: float) -> str:
    """``54 %``."""
    return f"{100 * share:.0f} %"


def number(count: float, one: str, more: str = "") -> str:
    """``3 molecules``, ``1 molecule``."""
    return f"{count:,.0f} {one if count == 1 else more or one + 's'}"
