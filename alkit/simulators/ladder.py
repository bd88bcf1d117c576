"""What is tried when a label fails: other ways to the same label, one after the other.

A rung changes how the label is reached, never what it is: every rung ends with the same settings, the same
level of theory and the same checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from alkit.errors import AS_GIVEN, Attempt, LabelError
from alkit.molecules.molecule import Molecule
from alkit.simulators import starts

T = TypeVar("T")


class Rung(NamedTuple):
    """``start``: "given", "mmff" (the given one relaxed by MMFF94), "embedded" (with ``seed``) or "random".
    ``descent``: "bfgs", or "fire", then BFGS from a computed Hessian. ``scf``: "cold", "annealed" (the
    start's density is found hot and loose, then cooled down) or "hot" (so is a whole relaxation before).
    """

    name: str
    start: str = "given"
    seed: int = 0
    descent: str = "bfgs"
    scf: str = "cold"


FIRST = Rung(AS_GIVEN)
ANNEALED = Rung("annealed SCF", scf="annealed")
HOT = Rung("relaxed hot, then cooled", scf="hot")
OTHER_DESCENT = Rung("FIRE, then a computed Hessian", descent="fire")
MMFF = Rung("MMFF94 before", start="mmff")
SEEDS = tuple(Rung(f"embedding seed {seed}", start="embedded", seed=seed) for seed in (1, 2))
RANDOM = Rung("random coordinates", start="random", seed=3)
LADDERS = {
    "scf_not_converged": (ANNEALED, HOT, SEEDS[0], RANDOM),
    "not_relaxed": (OTHER_DESCENT, MMFF, *SEEDS),
    "identity_changed": (MMFF, OTHER_DESCENT, *SEEDS, RANDOM),
    "imaginary_modes": (OTHER_DESCENT, *SEEDS, RANDOM),
}
"""By the reason of a failure; failures with other reasons are final."""


def climb(attempt: Callable[[Rung], T], usable: Callable[[Rung], bool]) -> tuple[T, tuple[Attempt, ...]]:
    """The first result of ``attempt``, and every try.

    After each failure comes the first rung not yet tried of its reason's ladder, then of the ladder that the
    first failure began. Raises the `LabelError` of the first try, which alone is about the geometry and
    settings that were asked for, with all attempts.
    """
    tries: list[Attempt] = []
    first: LabelError | None = None
    rung: Rung | None = FIRST
    while rung is not None:
        start = time.perf_counter()
        try:
            result = attempt(rung)
        except LabelError as error:
            tries.append(Attempt(rung.name, error.reason, time.perf_counter() - start))
            first = first or error
            rung = _next((error.reason, first.reason), {one.rung for one in tries}, usable)
        else:
            return result, (*tries, Attempt(rung.name, "", time.perf_counter() - start))
    assert first is not None
    raise LabelError(first.reason, first.detail, tuple(tries)) from first


def start_of(molecule: Molecule, rung: Rung) -> Molecule:
    """The geometry that ``rung`` starts from. Raises `LabelError` "embed_failed" or "mmff_failed"."""
    if rung.start == "mmff":
        return starts.mmff_relaxed(molecule)
    if rung.start in ("embedded", "random"):
        return starts.embedded(molecule, seed=rung.seed, random=rung.start == "random")
    return molecule


def _next(reasons: tuple[str, str], tried: set[str], usable: Callable[[Rung], bool]) -> Rung | None:
    for reason in reasons:
        for rung in LADDERS.get(reason, ()):
            if rung.name not in tried and usable(rung):
                return rung
    return None
