"""The plots: any numbers are drawn, one font size, names that do not meet in a page, ticks on every axis."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from alkit.reporting import plot_style, plots
from alkit.reporting.residuals import Residual

ROUND = {"labels": 120, "mae": 0.2, "q95": 0.6, "baseline_elements": 0.6, "baseline_bonds": 0.4}


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_plots_are_drawn_from_any_numbers(tmp_path: Path, spread: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20)
    predicted, std = truth + spread * rng.normal(size=20), np.full(20, 0.1) + spread * rng.random(20)
    plots.learning_curve([ROUND], [np.inf], tmp_path / "a.svg")
    plots.parity(truth, predicted, std, tmp_path / "b.svg")
    plots.uncertainty(truth, predicted, std, tmp_path / "c.svg")
    plots.calibration(np.linspace(0, 1, len(std)), tmp_path / "d.svg")
    plots.rejection(predicted - truth, std, tmp_path / "e.svg")
    plots.residuals([Residual("nitrile", 1, 0.0, 0.1, np.inf)], 0.1, tmp_path / "f.svg")
    plots.funnel({"proposed": 0}, tmp_path / "g.svg")
    plots.stage_times({"label": 0.0}, tmp_path / "h.svg")
    none = np.empty((0, 2))
    plots.chemical_space(none, none, np.empty(0), none, (0.0, 0.0), tmp_path / "i.svg")
    plots.learning_curve([ROUND], [np.inf], tmp_path / "a.png")
    plots.parity(truth, predicted, std, tmp_path / "b.png")
    plots.uncertainty(truth, predicted, std, tmp_path / "c.png")
    plots.calibration(np.linspace(0, 1, len(std)), tmp_path / "d.png")
    for name in "abcd":
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for name in "abcdefghi":
        assert (tmp_path / f"{name}.svg").read_text().endswith("</svg>\n")


def test_text_has_one_size_and_stays_text(tmp_path: Path) -> None:
    drawn, axes = plot_style.figure()
    axes.plot([1, 2], [3, 4], label="a series")
    axes.set_title("large", fontsize=30)
    plot_style.save(drawn, tmp_path / "a.svg", legend=1)
    sizes = {text.get_fontsize() for text in drawn.findobj(Text)}
    assert sizes == {plot_style.FONT}
    assert ">a series</text>" in (tmp_path / "a.svg").read_text()


def test_names_of_two_plots_do_not_meet_in_a_page(tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        plots.calibration(np.linspace(0, 1, 9), tmp_path / f"{name}.svg")
        pages.append(plot_style.inline(tmp_path / f"{name}.svg", f"{name}-words"))
    names = [re.findall(r' id="([^"]+)"', page) for page in pages]
    assert names[0]
    assert not set(names[0]) & set(names[1])
    for page, own in zip(pages, names, strict=True):
        assert len(own) == len(set(own))
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(own)
        assert "var(--blue)" in page
        assert plot_style.BLUE not in page


def test_many_points_are_a_picture_inside_the_plot(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    none = np.empty((0, 2))
    for n in (plot_style.MOST_VECTORS, 50_000):
        points = rng.normal(size=(n, 2))
        plots.chemical_space(points, none, np.empty(0), none, (0.5, 0.2), tmp_path / f"{n}.svg")
    assert "<image" not in (tmp_path / f"{plot_style.MOST_VECTORS}.svg").read_text()
    large = (tmp_path / "50000.svg").read_text()
    assert "data:image/png;base64" in large
    assert len(large) < 300_000


@given(st.floats(1e-6, 1e3), st.floats(1.02, 1e6))
@settings(max_examples=60, deadline=None)
def test_a_logarithmic_axis_has_from_two_to_nine_ticks(low: float, ratio: float) -> None:
    _, axes = plot_style.figure()
    axes.set(yscale="log", ylim=(low, low * ratio))
    plot_style.plain_ticks(axes.yaxis)
    inside = [tick for tick in axes.yaxis.get_majorticklocs() if low <= tick <= low * ratio]
    assert (2 if ratio > 1.3 else 0) <= len(inside) <= 9


def test_every_series_is_recognised_without_its_colour() -> None:
    looks = {(style.marker, str(style.dash)) for style in plot_style.SERIES}
    assert len(looks) == len(plot_style.SERIES)
    n = len(plot_style.SERIES)
    assert len({(style.colour, style.marker) for style in map(plot_style.series, range(2 * n))}) == 2 * n


def test_rounds_are_grouped_where_they_are_many() -> None:
    assert plots.spans(np.array([1, 2, 2])) == [("round 1", [1]), ("round 2", [2])]
    groups = plots.spans(np.arange(1, 21))
    assert [name for name, _ in groups][:2] == ["rounds 1 to 4", "rounds 5 to 8"]
    assert [one for _, some in groups for one in some] == list(range(1, 21))
