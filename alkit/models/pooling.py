"""How a molecule's value comes from its atoms': by what the property is, or as the user says."""

from __future__ import annotations

from alkit.config.words import PoolingChoice
from alkit.errors import ConfigError
from alkit.properties import Kind
from surrogate.settings import Pooling

# Attention has the lower error (benchmarks/gap.py); a kernel has none.
_INTENSIVE: dict[str, Pooling] = {"schnet": "attention", "painn": "attention"}


def pooling_of(choice: PoolingChoice, name: str, kind: Kind | None, representation: str) -> Pooling:
    """The pooling of a surrogate.

    Args:
        choice: the user's; ``auto``: by the ``kind``.
        name: of the property, for messages.
        kind: whether it grows with the molecule; None where nobody says it.
        representation: of the surrogate.

    Raises:
        ConfigError: an energy that is no sum; or ``auto``, and nobody says whether the property grows.
    """
    if choice != "auto":
        if kind == "energy" and choice != "sum":
            raise ConfigError(
                f"pooling is {choice}, of intensive properties; {name} is an energy, a sum over atoms."
            )
        return choice
    if kind is None:
        raise ConfigError(
            f"{name} is no property that alkit knows: say whether it grows with the molecule, as pooling sum "
            "(extensive), or mean or attention (intensive)."
        )
    return _INTENSIVE.get(representation, "mean") if kind == "intensive" else "sum"
