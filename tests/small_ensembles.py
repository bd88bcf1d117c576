"""Molecules, labels and a quick fit that tests of ensembles share."""

import numpy as np

from surrogate import (
    Ensemble,
    ModelSettings,
    TrainingSettings,
    graph_2d,
)

SMILES = [
    "C",
    "CC",
    "CCO",
    "CO",
    "C=O",
    "CC=O",
    "C#N",
    "CCN",
    "CN",
    "O",
    "N",
    "C=C",
    "C#C",
    "CCC",
    "COC",
    "NCO",
]
SETTINGS = ModelSettings(mode="2d", features=16, interactions=2, gaussians=8)
QUICK = TrainingSettings(epochs=3, batch_size=4, device="cpu")
GRAPHS = [graph_2d(smiles, cutoff=5.0) for smiles in SMILES]
LABELS = np.array([-3.0 * len(graph) - 0.3 * len(graph.senders) ** 0.5 for graph in GRAPHS])
SETS = {"training": (GRAPHS[:10], LABELS[:10]), "validation": (GRAPHS[10:], LABELS[10:])}


def fit(**changes) -> Ensemble:
    settings = changes.pop("settings", SETTINGS)
    training_settings = changes.pop("training_settings", QUICK)
    return Ensemble.fit(settings, training_settings, **{**SETS, "members": 2, "seed": 7, **changes})
