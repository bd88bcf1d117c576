"""Drawings of molecules: SVG for a page, in the colour of its text, and a grid as PNG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alkit.files import replace_file

_SIZE = (170, 120)


def molecule_svg(smiles: str) -> str:
    """A drawing for the inside of a page; empty for what RDKit cannot read, such as a rejected string."""
    from rdkit import Chem
    from rdkit.Chem.Draw import rdMolDraw2D

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return ""
    canvas = rdMolDraw2D.MolDraw2DSVG(*_SIZE)
    options: Any = canvas.drawOptions()
    options.clearBackground = False
    options.fixedBondLength = 26
    options.useBWAtomPalette()
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, molecule)
    canvas.FinishDrawing()
    text = canvas.GetDrawingText()
    text = text[text.index("<svg") : text.rindex("</svg>") + len("</svg>")]
    # The name of the drawing is the SMILES below it, so that a screen reader need not read it twice.
    box = f"0 0 {_SIZE[0]} {_SIZE[1]}"
    text = re.sub(r"<svg\b[^>]*>", f'<svg viewBox="{box}" aria-hidden="true">', text, count=1, flags=re.S)
    text = re.sub(r"<!--.*?-->| class='[^']*'", "", text, flags=re.S)
    text = text.replace("#000000", "currentColor")
    return re.sub(r"(\d+\.\d)\d+", r"\1", text)


def molecule_grid(smiles: Sequence[str], captions: Sequence[str], path: Path) -> None:
    """A PNG of drawings, six a row."""
    from rdkit import Chem
    from rdkit.Chem import Draw

    options: Any = Draw.rdMolDraw2D.MolDrawOptions()
    options.legendFontSize = 15
    image = Draw.MolsToGridImage(
        [Chem.MolFromSmiles(one) for one in smiles],
        molsPerRow=6,
        subImgSize=(190, 170),
        legends=list(captions),
        drawOptions=options,
        returnPNG=True,
    )
    content = image if isinstance(image, bytes) else image.data
    replace_file(path, lambda part: _write_bytes(part, content))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
