"""Patches that schnetpack 2.0.4 needs under torch 2.13; nothing else may import schnetpack before this.

schnetpack 2.0.4 (the newest for Python 3.11) imports ``T_co`` from ``torch.utils.data.dataloader``, which
later torch renamed to ``_T_co``. The name only serves a type annotation there. Its parser of ORCA's files
calls ``logging.basicConfig`` on import, which would print the INFO lines of every library. A handler that is
there already keeps it from that.
"""

import logging

import torch.utils.data.dataloader as _dataloader

if not hasattr(_dataloader, "T_co"):
    _dataloader.T_co = _dataloader._T_co  # type: ignore[attr-defined]

_handler = logging.NullHandler()
logging.root.addHandler(_handler)
try:
    import schnetpack
    import schnetpack.atomistic
    import schnetpack.model
    import schnetpack.nn
    import schnetpack.nn.activations
    import schnetpack.properties
    import schnetpack.representation
    import schnetpack.task
    import schnetpack.transform
finally:
    logging.root.removeHandler(_handler)

__all__ = ["schnetpack"]
