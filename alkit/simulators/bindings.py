"""The two bindings of the GFN methods, xtb-python and tblite: which of them is installed.

Either gives GFN2-xTB and GFN1-xTB to 1e-6 eV, so the binding is no part of a level of theory. tblite is
faster: a label takes it 0.8 of the time. It has wheels for all Pythons; those of xtb-python end at 3.11.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from alkit.errors import ConfigError

BINDINGS = ("tblite", "xtb")
"""In order of choice: where both are installed, tblite computes."""


@cache
def installed_binding() -> str:
    """The first of `BINDINGS` that is installed; "" where none is."""
    return next((package for package in BINDINGS if find_spec(package) is not None), "")


def require_binding(what: str) -> str:
    """The binding that computes GFN2-xTB, loaded: `one_thread` limits only libraries that are there already.

    Args:
        what: names what needs it, in the error.

    Raises:
        ConfigError: neither is installed.
    """
    binding = installed_binding()
    if not binding:
        raise ConfigError(
            f"{what} needs GFN2-xTB, and neither tblite nor xtb is installed: pip install tblite"
        )
    import_module(f"{binding}.interface")
    return binding
