"""SchNet surrogates of a molecular energy: inputs, training, ensembles, calibration.

Useful alone: nothing here knows of campaigns, labels or files of alkit. Energies are eV, lengths Å.
Names load on first use, so that ``import surrogate`` costs neither torch nor RDKit.
"""

import os
from importlib import import_module
from typing import Any

# Threads of torch that wait must sleep: spinning ones, the default, slow training more than tenfold as soon
# as anything else runs on the machine (docs/decisions/007). OpenMP reads this once, when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOME = {
    "Calibration": "calibration",
    "Ensemble": "ensemble",
    "EnsembleCalculator": "calculator",
    "Prediction": "ensemble",
    "Graph": "inputs",
    "graph_2d": "inputs",
    "graph_3d": "inputs",
    "ModelSettings": "settings",
    "TrainingSettings": "settings",
    "SurrogateError": "errors",
    "AtomReferences": "targets",
    "from_schnetpack": "export",
    "to_schnetpack": "export",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'surrogate' has no attribute {name!r}")
    return getattr(import_module(f"surrogate.{_HOME[name]}"), name)
