"""Where labels are computed: processes of this machine, Parsl, or Dask, behind `concurrent.futures`.

Names load on first use: a worker imports `alkit.engines.worker`, and so this package, before numpy and the
chemistry libraries may load.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from alkit.engines.base import LABELS_PER_WORKER as LABELS_PER_WORKER
    from alkit.engines.base import Engine as Engine
    from alkit.engines.local import LocalEngine as LocalEngine
    from alkit.engines.registry import ENGINES as ENGINES
    from alkit.engines.registry import create_engine as create_engine
else:  # a type checker must not see __getattr__, which would let every name pass
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "base": ["LABELS_PER_WORKER", "Engine"],
            "local": ["LocalEngine"],
            "registry": ["ENGINES", "create_engine"],
        },
    )
