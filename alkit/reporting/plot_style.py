"""The one look of all plots: width, font size, colours, markers and dashes; as files, and inside a page.

Every figure is equally wide, so that its text is equally large wherever several stand beside each other. The
colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers distinguish;
every series has a marker and a dash of its own too.
"""

from __future__ import annotations

import io
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from alkit.files import replace_file

BLUE, RED, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY, GREY, INK = "#e69f00", "#56b4e9", "#7d8590", "#1d2430"
# In a page, `style.css` gives each a value for light and one for dark; ink is the text's own colour.
_IN_A_PAGE = {
    BLUE: "var(--blue)",
    RED: "var(--red)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
    ORANGE: "var(--orange)",
    SKY: "var(--sky)",
    GREY: "var(--grey)",
    INK: "currentColor",
}
FONT = 10  # points
WIDTH, HEIGHT = 4.7, 3.6  # inches
MOST_VECTORS = 400  # points of a series; more become a picture inside the SVG, so that files stay small
_DPI = 160
_MOST_TICKS = 9


@dataclass(frozen=True)
class Style:
    """How one series is drawn, so that it is recognised without its colour."""

    colour: str
    marker: str
    dash: str | tuple[int, tuple[int, ...]]


SERIES = (
    Style(BLUE, "o", "-"),
    Style(RED, "s", "--"),
    Style(GREEN, "^", ":"),
    Style(PURPLE, "D", "-."),
    Style(ORANGE, "v", (0, (5, 1, 1, 1, 1, 1))),
    Style(SKY, "P", (0, (8, 2))),
    Style(INK, "X", (0, (3, 1, 1, 1))),
    Style(GREY, "*", (0, (1, 1))),
)


def series(k: int) -> Style:
    """The style of the ``k``-th series; more than there are repeat the colours with other markers."""
    n = len(SERIES)
    return Style(SERIES[k % n].colour, SERIES[(k + k // n) % n].marker, SERIES[(k + k // n) % n].dash)


def figure(*, height: float = HEIGHT, width: float = WIDTH, columns: int = 1) -> tuple[Figure, Any]:
    """A figure and its axes; several axes in a row where there are several ``columns``."""
    drawn = Figure(figsize=(width * columns, height), layout="constrained", facecolor="none")
    grid = drawn.subplots(1, columns, squeeze=False)[0]
    for axes in grid:
        axes.set_facecolor("none")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(INK)
        axes.tick_params(which="both", labelsize=FONT, colors=INK)
        axes.grid(color=GREY, alpha=0.3, lw=0.6)
        axes.set_axisbelow(True)
    return drawn, grid if columns > 1 else grid[0]


def save(drawn: Figure, path: Path, *, legend: int = 0) -> Path:
    """Write a figure in the format of the path's ending, its text in one size and colour.

    Args:
        drawn: the figure; size and colour of its text are set.
        path: of the file; its ending is the format.
        legend: columns of the legend below the axes; 0 for none.
    """
    _finish(drawn, legend)
    if path.suffix == ".svg":
        replace_file(path, lambda part: _print_svg(drawn, part, path.stem))
    elif path.suffix == ".png":
        drawn.set_facecolor("white")
        replace_file(path, FigureCanvasAgg(drawn).print_png)
    else:
        replace_file(path, lambda part: drawn.savefig(part, facecolor="white"))
    return path


def svg_text(drawn: Figure, *, legend: int = 0) -> str:
    """The figure as SVG for HTML that has no `style.css`, such as a notebook's: ink is the text's colour."""
    _finish(drawn, legend)
    buffer = io.BytesIO()
    _print_svg(drawn, buffer, uuid.uuid4().hex)
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def _finish(drawn: Figure, legend: int) -> None:
    if legend and any(axes.get_legend_handles_labels()[0] for axes in drawn.axes):
        drawn.legend(loc="outside lower center", ncols=legend, frameon=False, fontsize=FONT, handlelength=2.6)
    for text in drawn.findobj(Text):
        text.set_fontsize(FONT)
        text.set_color(INK)
    drawn.dpi = _DPI


def _print_svg(drawn: Figure, target: Any, salt: str) -> None:
    """Text stays text, and two runs with one ``salt`` write one and the same file.

    `savefig` lays a figure out twice and draws it twice; this does both once, in half the time.
    """
    drawn.set_facecolor("none")
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        FigureCanvasSVG(drawn).print_svg(target, metadata={"Date": None})


def save_both(drawn: Figure, path: Path, *, legend: int = 0) -> Path:
    """Write a figure as SVG, for the page, and as PNG, for slides and MLflow; returns the SVG's path."""
    save(drawn, path.with_suffix(".svg"), legend=legend)
    drawn.set_layout_engine("none")  # it has been laid out, which takes a third of the time
    save(drawn, path.with_suffix(".png"))
    return path.with_suffix(".svg")


def plain_ticks(axis: Any) -> None:
    """0.1 and 0.2, not powers of ten, on a logarithmic axis; from two to nine of them."""
    low, high = sorted(axis.get_view_interval())
    every, quarters = tuple(range(1, 10)), tuple(k / 4 for k in range(4, 40))
    subs: tuple[float, ...]
    for subs in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,), every, quarters):
        ticks = sum(low <= tick <= high for tick in LogLocator(subs=subs, numticks=99).tick_values(low, high))
        if 2 <= ticks <= _MOST_TICKS:
            break
    axis.set_major_locator(LogLocator(subs=subs, numticks=99 if ticks <= _MOST_TICKS else _MOST_TICKS))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def inline(path: Path, named_by: str) -> str:
    """A plot's SVG for the inside of a page, in the page's font and colours.

    Args:
        path: of the SVG file.
        named_by: id of the element that says in words what the plot shows.
    """
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"font: [^;\"]*;? ?", "", text)
    for colour, name in _IN_A_PAGE.items():
        text = text.replace(colour, name)
    text = _own_names(text, path.stem)
    box = re.search(r'viewBox="([^"]*)"', text)
    opening = f'<svg viewBox="{box.group(1) if box else ""}" role="img" aria-labelledby="{named_by}">'
    return re.sub(r"\n\s*", "\n", re.sub(r"<svg\b[^>]*>", lambda _: opening, text, count=1))


def _own_names(text: str, prefix: str) -> str:
    """Names that are used carry the plot's, as a page has many plots; the others are left out."""
    used = {a or b for a, b in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)}

    def rename(found: re.Match[str]) -> str:
        return f' id="{prefix}-{found.group(1)}"' if found.group(1) in used else ""

    text = re.sub(r' id="([^"]*)"', rename, text)
    return re.sub(r'(href="|url\()#', rf"\1#{prefix}-", text)
