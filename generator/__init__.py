"""A generator of molecules, written token by token and trained against a critic: valid, neutral, connected.

Names load on first use, so that ``import generator`` costs no torch.
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
