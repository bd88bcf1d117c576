"""Draws the picture of the loop, for light and for dark pages: python docs/images/draw_loop.py."""

from pathlib import Path

WIDTH, HEIGHT, BOX, TALL, GAP = 620, 404, 180, 92, 28
LIGHT = {
    "ink": "#1c2733",
    "soft": "#54626f",
    "box": "#f4f7fa",
    "line": "#b4c0cb",
    "own": "#0b5cab",
    "tint": "#e6f0fa",
}
DARK = {
    "ink": "#e8eef4",
    "soft": "#a9b6c2",
    "box": "#1d2730",
    "line": "#4d5b68",
    "own": "#7cb7ff",
    "tint": "#15304a",
}

# column, row, name, what it does, whether the reader's own code has a place here
STAGES = [
    (0, 0, "propose", ("a generator, a pool,", "evolution"), True),
    (1, 0, "screen", ("domain, repeats,", "a geometry for each"), False),
    (2, 0, "predict", ("energies with", "their uncertainty"), False),
    (2, 1, "acquire", ("whose labels", "help most?"), True),
    (2, 2, "label", ("GFN2-xTB, DFT,", "looked up, by hand"), True),
    (1, 2, "train", ("surrogate", "and generator"), False),
    (0, 2, "evaluate", ("on a fixed random", "test set"), False),
    (0, 1, "stop?", ("error, labels,", "rounds or hours"), False),
]


def x_of(column: int) -> float:
    """Left edge of a column."""
    return (WIDTH - 3 * BOX - 2 * GAP) / 2 + column * (BOX + GAP)


def y_of(row: int) -> float:
    """Upper edge of a row."""
    return 6 + row * (TALL + GAP)


def text(x: float, y: float, size: int, fill: str, words: str, weight: int = 400) -> str:
    """One centred line."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="middle">{words}</text>'
    )


def box(
    column: int, row: int, name: str, lines: tuple[str, str], own: bool, look: dict[str, str]
) -> list[str]:
    """A stage."""
    x, y, middle = x_of(column), y_of(row), x_of(column) + BOX / 2
    stroke, fill = (look["own"], look["tint"]) if own else (look["line"], look["box"])
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{BOX}" height="{TALL}" rx="12" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="{2.5 if own else 1.5}"/>',
        text(middle, y + 32, 21, look["own"] if own else look["ink"], name, 700),
        text(middle, y + 56, 16, look["soft"], lines[0]),
        text(middle, y + 76, 16, look["soft"], lines[1]),
    ]


def arrows(look: dict[str, str]) -> list[str]:
    """From each stage to the next, around the ledger."""
    drawn = []
    for (c, r, *_), (d, s, *_) in zip(STAGES, [*STAGES[1:], STAGES[0]], strict=True):
        x, y = x_of(c) + BOX / 2 + (d - c) * BOX / 2, y_of(r) + TALL / 2 + (s - r) * TALL / 2
        tip_x, tip_y = x + (d - c) * (GAP - 4), y + (s - r) * (GAP - 4)
        drawn.append(
            f'<line x1="{x + 3 * (d - c):g}" y1="{y + 3 * (s - r):g}" x2="{tip_x:g}" y2="{tip_y:g}" '
            f'stroke="{look["soft"]}" stroke-width="2.5" marker-end="url(#tip)"/>'
        )
    return drawn


def draw(look: dict[str, str]) -> str:
    """The picture in these colours."""
    middle, top = WIDTH / 2, y_of(1)
    bottom = y_of(2) + TALL + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif">',
        "<title>The loop: propose, screen, predict, acquire, label, train, evaluate, stop or go on</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="5" markerHeight="5" '
        f'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{look["soft"]}"/></marker></defs>',
        *arrows(look),
        *(line for stage in STAGES for line in box(*stage, look)),
        f'<rect x="{x_of(1) + 8:g}" y="{top + 4:g}" width="{BOX - 16}" height="{TALL - 8}" rx="12" '
        f'fill="none" stroke="{look["soft"]}" stroke-dasharray="5 5" stroke-width="1.5"/>',
        text(middle, top + 34, 19, look["ink"], "ledger", 700),
        text(middle, top + 56, 15, look["soft"], "every candidate,"),
        text(middle, top + 75, 15, look["soft"], "label and reason"),
        text(
            middle,
            bottom,
            16,
            look["soft"],
            "Round 0 labels random molecules. "
            f'<tspan fill="{look["own"]}" font-weight="700">Blue: your own code fits here.</tspan>',
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    for name, look in (("light", LIGHT), ("dark", DARK)):
        (Path(__file__).parent / f"loop-{name}.svg").write_text(draw(look), encoding="utf-8")
