"""A graph GAN that proposes molecules: trained on SMILES, it draws valid, neutral, connected new ones.

Torch is loaded on the first use of `GraphGAN` or `TrainingHistory`, not on import.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from generator.errors import GeneratorError

if TYPE_CHECKING:
    from generator import metrics
    from generator.settings import GeneratorSettings
    from generator.training import GraphGAN, TrainingHistory

# Threads of torch that wait must sleep: spinning ones, the default, slow training more than tenfold as soon
# as anything else runs on the machine (docs/decisions/007). OpenMP reads this once, when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = ["GeneratorError", "GeneratorSettings", "GraphGAN", "TrainingHistory", "metrics"]

_HOMES = {"GeneratorSettings": "settings", "GraphGAN": "training", "TrainingHistory": "training"}


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return import_module("generator.metrics")
    if name in _HOMES:
        return getattr(import_module(f"generator.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'generator' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
