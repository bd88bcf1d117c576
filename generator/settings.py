"""Settings of the generator: what it can draw, and how it learns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rdkit import Chem, rdBase

from generator.errors import GeneratorError

_WHOLE = {
    "max_atoms": (2, 64),
    "hidden": (4, 4096),
    "batch_size": (8, 65536),
}
NOVELTY_STEPS = 400  # novelty updates that are enough, whatever the training set
_RATES = ("learning_rate", "adversarial_rate")
_WEIGHTS = ("critic_weight", "novelty_weight", "strangeness_weight", "divergence_weight")


@dataclass(frozen=True)
class GeneratorSettings:
    """Settings of the generator: what it can draw, and how it learns.

    The weights of critic, strangeness and divergence say what rewards a draw in adversarial updates.
    Each is 0 or more.

    Args:
        max_atoms: largest number of heavy atoms, 2 to 64.
        elements: symbols of the heavy atoms that may occur, each with at least one neutral valence in RDKit's
            table.
        hidden: width of the networks.
        batch_size: molecules per update, at least 8: the critic looks at the spread of a batch. Adversarial
            updates take twice as many.
        learning_rate: Adam's step size for likelihood, above 0 and at most 1.
        adversarial_rate: Adam's step size for adversarial updates, above 0 and at most 1.
        critic_weight: rewards the critic's opinion of the draw.
        novelty_weight: nats that the most likely molecules lose against the least likely ones in novelty
            updates.
        strangeness_weight: rewards a draw without ring patterns that no training molecule has.
        divergence_weight: rewards a draw near the generator that these updates start from.
        likely_share: share of draws, 0 to 1, that come from the generator of the likelihood updates; none
            where draws are steered.

    Raises:
        GeneratorError: a value is out of its range; the message says which and what would be right.
    """

    max_atoms: int = 9
    elements: tuple[str, ...] = ("C", "N", "O", "F")
    hidden: int = 128
    batch_size: int = 128
    learning_rate: float = 2e-3
    adversarial_rate: float = 3e-4
    critic_weight: float = 1.0
    novelty_weight: float = 40.0
    strangeness_weight: float = 5.0
    divergence_weight: float = 1.0
    likely_share: float = 0.08

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", _checked_elements(self.elements))
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise GeneratorError(f"{name} is {value!r}; give a whole number from {low} to {high}.")
        for name in _RATES:
            rate = getattr(self, name)
            if not _is_number(rate) or not 0.0 < rate <= 1.0:
                raise GeneratorError(f"{name} is {rate!r}; give a number above 0 and at most 1.")
        if not _is_number(self.likely_share) or not 0.0 <= self.likely_share <= 1.0:
            raise GeneratorError(f"likely_share is {self.likely_share!r}; give a number from 0 to 1.")
        for name in _WEIGHTS:
            weight = getattr(self, name)
            if not _is_number(weight) or not 0.0 <= weight < float("inf"):
                raise GeneratorError(f"{name} is {weight!r}; give a number of 0 or more.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checked_elements(elements: Sequence[str]) -> tuple[str, ...]:
    if isinstance(elements, str) or not all(isinstance(symbol, str) for symbol in elements):
        raise GeneratorError(f'elements is {elements!r}; give a list of symbols such as ("C", "N", "O").')
    symbols = tuple(elements)
    if not symbols:
        raise GeneratorError('elements is empty; give at least one symbol, such as "C".')
    repeated = [symbol for symbol, count in Counter(symbols).items() if count > 1]
    if repeated:
        raise GeneratorError(f"elements names {repeated[0]} more than once; name each element once.")
    for symbol in symbols:
        if symbol == "H" or neutral_valence(symbol) < 1:
            raise GeneratorError(
                f"elements contains {symbol!r}; only heavy main-group elements that form bonds when neutral "
                "can be generated, such as C, N, O, F, S or Cl (hydrogens are implicit)."
            )
    return symbols


def neutral_valence(symbol: str) -> int:
    """Lowest neutral valence of an element in RDKit's table; 0 where it has none or is no element."""
    table = Chem.GetPeriodicTable()
    with rdBase.BlockLogs():
        try:
            number = table.GetAtomicNumber(symbol)
        except RuntimeError:  # RDKit's way to say "no such element"
            return 0
    return max(0, table.GetDefaultValence(number))
