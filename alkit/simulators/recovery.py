"""Recovery of a label that fails: other strategies for the same label, one after the other.

A strategy changes how the label is reached, never what it is. Every one ends with the same settings, the same
level of theory and the same checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from alkit.errors import AS_GIVEN, Attempt, LabelError
from alkit.molecules.molecule import Molecule
from alkit.simulators import start_geometries

T = TypeVar("T")


class Strategy(NamedTuple):
    """One way to a label.

    Attributes:
        name: in the record of tries.
        start: "given", "mmff" (the given geometry relaxed by MMFF94), "embedded" or "random".
        seed: of an embedded or random start.
        descent: "bfgs", or "fire", then BFGS from a computed Hessian.
        scf: "cold", "annealed" (the start's density is computed hot and loose, then cooled down) or "hot" (so
            is a whole relaxation before).
    """

    name: str
    start: str = "given"
    seed: int = 0
    descent: str = "bfgs"
    scf: str = "cold"


FIRST = Strategy(AS_GIVEN)
ANNEALED = Strategy("annealed SCF", scf="annealed")
HOT = Strategy("relaxed hot, then cooled", scf="hot")
OTHER_DESCENT = Strategy("FIRE, then a computed Hessian", descent="fire")
MMFF = Strategy("MMFF94 before", start="mmff")
SEEDS = tuple(Strategy(f"embedding seed {seed}", start="embedded", seed=seed) for seed in (1, 2))
RANDOM = Strategy("random coordinates", start="random", seed=3)
STRATEGIES = {
    "scf_not_converged": (ANNEALED, HOT, SEEDS[0], RANDOM),
    "not_relaxed": (OTHER_DESCENT, MMFF, *SEEDS),
    "identity_changed": (MMFF, OTHER_DESCENT, *SEEDS, RANDOM),
    "imaginary_modes": (OTHER_DESCENT, *SEEDS, RANDOM),
}
"""By the reason of a failure; failures with other reasons are final."""


def first_success(
    attempt: Callable[[Strategy], T], usable: Callable[[Strategy], bool]
) -> tuple[T, tuple[Attempt, ...]]:
    """The first result of ``attempt``, and every try.

    After each failure comes the first untried strategy for its reason, then for the reason of the first
    failure. Raises the `LabelError` of the first try, which alone is about the geometry and settings that
    were asked for, with all attempts.
    """
    tries: list[Attempt] = []
    first: LabelError | None = None
    strategy: Strategy | None = FIRST
    while strategy is not None:
        start = time.perf_counter()
        try:
            result = attempt(strategy)
        except LabelError as error:
            tries.append(Attempt(strategy.name, error.reason, time.perf_counter() - start))
            first = first or error
            strategy = _next((error.reason, first.reason), {one.strategy for one in tries}, usable)
        else:
            return result, (*tries, Attempt(strategy.name, "", time.perf_counter() - start))
    assert first is not None
    raise LabelError(first.reason, first.detail, tuple(tries)) from first


def start_of(molecule: Molecule, strategy: Strategy) -> Molecule:
    """The geometry that ``strategy`` starts from.

    Raises:
        LabelError: "embed_failed" or "mmff_failed".
    """
    if strategy.start == "mmff":
        return start_geometries.mmff_relaxed(molecule)
    if strategy.start in ("embedded", "random"):
        return start_geometries.embedded(molecule, seed=strategy.seed, random=strategy.start == "random")
    return molecule


def _next(reasons: tuple[str, str], tried: set[str], usable: Callable[[Strategy], bool]) -> Strategy | None:
    for reason in reasons:
        for strategy in STRATEGIES.get(reason, ()):
            if strategy.name not in tried and usable(strategy):
                return strategy
    return None
