"""Words that settings may have, each list in one place; the surrogate's own stand in `surrogate.settings`.

Plain types: nothing is imported, so that the command line and workers can read them.
"""

from typing import Literal

Learning = Literal["direct", "delta"]
Embedding = Literal["etkdg", "mmff"]  # geometries that RDKit makes from a SMILES
SmilesGeometry = Literal[
    "etkdg", "mmff", "xtb", "gfn2", "aimnet2"
]  # geometries that alkit makes from a SMILES
ModelGeometry = Literal[
    "mmff", "etkdg", "xtb", "gfn2", "aimnet2", "dataset"
]  # what a surrogate can be trained on
Geometry = Literal["etkdg", "mmff", "xtb", "gfn2", "aimnet2", "dataset", "given"]
Engine = Literal["local", "parsl", "dask"]
Features = Literal["embeddings", "soap"]
Energy = Literal["atomization", "total"]
LabelKind = Literal["atomization", "total", "extensive", "intensive"]  # of a table's labels
GFNMethod = Literal["GFN2-xTB", "GFN1-xTB", "GFN-FF"]
PoolingChoice = Literal["auto", "sum", "mean", "attention"]  # auto: by what the property is
TargetSet = Literal["seeds", "pool", "file"]
KnownAs = Literal["list", "distribution"]
ProposerKind = Literal["generator", "pool", "evolution", "custom"]
