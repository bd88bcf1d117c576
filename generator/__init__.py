"""A generator of molecules, written token by token and trained against a critic: valid, neutral, connected.

Names load on first use, so that ``import generator`` costs no torch.
"""

import os
from typing import TYPE_CHECKING

import lazy_loader

# Threads of torch that wait must sleep: spinning ones, the default, slow training more than tenfold as soon
# as anything else runs on the machine (docs/decisions/007). OpenMP reads this once, when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from generator import metrics as metrics
    from generator.errors import GeneratorError as GeneratorError
    from generator.settings import GeneratorSettings as GeneratorSettings
    from generator.training import GraphGAN as GraphGAN
    from generator.training import TrainingHistory as TrainingHistory
else:  # a type checker must not see __getattr__, which would let every name pass
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__,
        submodules=["metrics"],
        submod_attrs={
            "errors": ["GeneratorError"],
            "settings": ["GeneratorSettings"],
            "training": ["GraphGAN", "TrainingHistory"],
        },
    )
