"""alkit: active learning that makes a molecular-energy surrogate chemically accurate from few labels.

``from alkit import Campaign`` is the Python face of ``alkit campaign run``. Names load on first use, so that
``import alkit`` costs neither torch nor RDKit.
"""

import os
from importlib import import_module
from typing import Any

# Threads of torch that wait must sleep: spinning ones, the default, slow training more than tenfold as soon
# as anything else runs on the machine (docs/decisions/007). OpenMP reads this once, when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_HOME = {
    "AlkitError": "alkit.errors",
    "Acquisition": "alkit.acquisition.base",
    "Campaign": "alkit.campaign",
    "CampaignConfig": "alkit.config",
    "Dataset": "alkit.datasets",
    "Ensemble": "surrogate",
    "GraphGAN": "generator",
    "Label": "alkit.simulators.base",
    "LabelError": "alkit.errors",
    "Level": "alkit.simulators.base",
    "Pool": "alkit.acquisition.base",
    "RoundContext": "alkit.acquisition.base",
    "load_config": "alkit.config",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'alkit' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
