"""Surrogates of a molecular energy: inputs, networks and kernels, training, calibration.

Useful alone: nothing here knows of campaigns, labels or files of alkit. Energies are eV, lengths Å.
Names load on first use, so that ``import surrogate`` costs neither torch nor RDKit.
"""

import os
from typing import TYPE_CHECKING

import lazy_loader

# Threads that wait must sleep: spinning ones, the default of torch's OpenMP and of numpy's OpenBLAS, slow
# work tenfold and more as soon as anything else runs on the machine (docs/decisions/007). Each reads its
# variable once, when it loads. 4 is the shortest that OpenBLAS lets a thread spin: 2⁴ cycles.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

if TYPE_CHECKING:
    from surrogate.calculator import EnsembleCalculator as EnsembleCalculator
    from surrogate.calibration import Calibration as Calibration
    from surrogate.ensemble import Ensemble as Ensemble
    from surrogate.errors import SurrogateError as SurrogateError
    from surrogate.export import from_schnetpack as from_schnetpack
    from surrogate.export import to_schnetpack as to_schnetpack
    from surrogate.fitting import Surrogate as Surrogate
    from surrogate.fitting import fit_surrogate as fit_surrogate
    from surrogate.fitting import load_surrogate as load_surrogate
    from surrogate.inputs import Graph as Graph
    from surrogate.inputs import graph_2d as graph_2d
    from surrogate.inputs import graph_3d as graph_3d
    from surrogate.prediction import Prediction as Prediction
    from surrogate.settings import ModelSettings as ModelSettings
    from surrogate.settings import TrainingSettings as TrainingSettings
    from surrogate.targets import AtomReferences as AtomReferences
else:  # a type checker must not see __getattr__, which would let every name pass
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "calculator": ["EnsembleCalculator"],
            "calibration": ["Calibration"],
            "ensemble": ["Ensemble"],
            "errors": ["SurrogateError"],
            "export": ["from_schnetpack", "to_schnetpack"],
            "fitting": ["Surrogate", "fit_surrogate", "load_surrogate"],
            "inputs": ["Graph", "graph_2d", "graph_3d"],
            "prediction": ["Prediction"],
            "settings": ["ModelSettings", "TrainingSettings"],
            "targets": ["AtomReferences"],
        },
    )
