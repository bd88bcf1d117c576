"""The conformance kit of acquisition functions."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alkit.acquisition.base import Acquisition, Pool, RoundContext, needs, resolve, select
from alkit.acquisition.base import adapt as adapt_acquisition
from alkit.errors import AcquisitionError, ConfigError
from alkit.molecules.enumeration import seed_molecules
from alkit.testing.names import name_of
from surrogate.low_rank import Covariance

_LABELLED, _LATE, _BATCH, _FEATURES = 60, 3, 20, 16


@dataclass(frozen=True)
class _Case:
    """A pool to choose from.

    ``distinct``: number of distinct embeddings, 0 for all; ``certain``: one molecule has no uncertainty.
    """

    described: str
    n: int
    members: int = 3
    distinct: int = 0
    certain: bool = False


_CASES = (
    _Case("one molecule", 1),
    _Case(f"{_BATCH // 2} molecules for a batch of {_BATCH}", _BATCH // 2),
    _Case("500 molecules", 500),
    _Case("100 molecules with 5 different embeddings", 100, distinct=5),
    _Case("50 molecules with the same embedding", 50, distinct=1),
    _Case("50 molecules, one with a standard deviation of 0", 50, certain=True),
    _Case("an ensemble of one member", 50, members=1),
)


def check_acquisition(acquisition: Any, **settings: Any) -> list[int]:
    """Check the contract of an acquisition function.

    It chooses as many different molecules as it is asked for, in every round, from pools of any size. From
    the same pool and context it chooses the same ones. That holds also where embeddings are equal or a
    molecule has no uncertainty. It changes no argument, and draws random numbers from the context alone. What
    it `needs` is given; what it does not say that it needs is not.

    Args:
        acquisition: a name, ``./file.py:Name``, a class, an object, or a function ``score(pool, context)``.
        **settings: arguments of the class.

    Returns:
        The last choice, as indices.

    Raises:
        AssertionError: the contract is broken.
        AlkitError: it cannot be loaded, fails, or returns something unusable.
    """
    name = name_of(acquisition)

    def make() -> Acquisition:
        return (
            resolve(acquisition, settings)
            if isinstance(acquisition, str)
            else adapt_acquisition(acquisition, name, settings)
        )

    kept, chosen = make(), list[int]()
    for round_, case in enumerate(_CASES, start=1):
        if case.members > 1 or "members" not in needs(kept):
            chosen = _Trial(name, case, round_, needs(kept)).check(make, kept)
    return chosen


@dataclass(frozen=True)
class _Trial:
    """An acquisition function with one pool."""

    name: str
    case: _Case
    round: int
    needs: frozenset[str]

    def check(self, make: Callable[[], Acquisition], kept: Acquisition) -> list[int]:
        """``kept`` has seen the pools before this one. Returns the choice."""
        try:
            first = self.choose(make())
        except AcquisitionError as error:
            self.tell_what_is_needed(make, error)
            raise
        assert first == self.choose(make()), (
            f"{self.where}: the same pool and context were answered differently the second time; draw every "
            "random number from context.rng."
        )
        assert first == self.choose(kept), (
            f"{self.where}: an object that has seen other rounds chose otherwise than a new one; keep "
            "nothing from round to round, because a campaign that was killed goes on with a new object."
        )
        try:
            with warnings.catch_warnings():  # torch warns of such arrays, also where it only reads them
                warnings.simplefilter("ignore", UserWarning)
                self.choose(make(), writeable=False)
        except AcquisitionError as error:
            raise AssertionError(
                f"{self.where}: it fails with arrays that cannot be written to ({error}); work on copies."
            ) from error
        return first

    def choose(
        self, acquisition: Acquisition, *, writeable: bool = True, xtb_energy: bool = False
    ) -> list[int]:
        pool, context = _given(
            self.case,
            self.round,
            xtb_energy=xtb_energy or "xtb_energy" in self.needs,
            covariance="covariance" in self.needs,
        )
        arrays = {
            f"{owner}.{key}": value
            for owner, fields in (("pool", vars(pool)), ("context", vars(context)))
            for key, value in fields.items()
            if isinstance(value, np.ndarray)
        }
        for array in arrays.values():
            array.flags.writeable = writeable
        before, drawn = {key: array.copy() for key, array in arrays.items()}, _global_random_states()
        modules = len(sys.modules)
        chosen = select(acquisition, self.name, pool, context, _BATCH)
        sources = [key for key, state in _global_random_states().items() if state != drawn[key]]
        if sources and len(sys.modules) > modules:  # an import drew them: once
            return self.choose(acquisition, writeable=writeable, xtb_energy=xtb_energy)
        assert not sources, (
            f"{self.where}: it drew from the global random numbers of {sources[0]}, or seeded them; draw "
            "from context.rng, or seed a generator of your own with a number from it."
        )
        changed = [key for key, array in arrays.items() if not np.array_equal(array, before[key])]
        assert not changed, f"{self.where}: it changed {changed[0]}; work on a copy."
        return chosen

    def tell_what_is_needed(self, make: Callable[[], Acquisition], error: AcquisitionError) -> None:
        """Check that the function says all that it needs.

        Raises:
            AssertionError: it would not have failed with more than it says it needs.
        """
        assert self.case.members > 1, (
            f'{self.where}: it fails ({error}); say needs = ("members",), or do without the members\' spread.'
        )
        try:
            self.choose(make(), xtb_energy=True)
        except AcquisitionError:
            return
        raise AssertionError(
            f"{self.where}: it fails where pool.xtb_energy and context.xtb_energy are None; say "
            'needs = ("xtb_energy",).'
        ) from error

    @property
    def where(self) -> str:
        return f"{self.name}, {self.case.described}"


def example_pool(n: int = 100, members: int = 3, *, round_: int = 1) -> tuple[Pool, RoundContext]:
    """A pool and a context to try a function on: ``score(*example_pool(500, 3))``.

    Molecules are alkit's own enumeration; energies and embeddings are drawn at random, the same ones each
    time. Nothing is left out: the pool has GFN2-xTB energies, a covariance and, after round 1, pending
    molecules and a target.

    Args:
        n: molecules in the pool.
        members: of the ensemble.
        round_: from 1; it seeds ``context.rng``.

    Raises:
        ConfigError: a number below 1, or more molecules than there are.
    """
    most = len(seed_molecules()) - _LABELLED
    for name, value, top in (("n", n, most), ("members", members, 1000), ("round_", round_, 10**6)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= top:
            raise ConfigError(f"example_pool: {name} is {value!r}; give a whole number from 1 to {top}.")
    return _given(_Case(f"{n} molecules", n, members=members), round_, xtb_energy=True, covariance=True)


def _given(
    case: _Case, round_: int, *, xtb_energy: bool, covariance: bool = False
) -> tuple[Pool, RoundContext]:
    """The same ones, in new arrays, each time."""
    rng, seeds = np.random.default_rng([case.n, case.members]), seed_molecules()
    known, late = seeds[:_LABELLED], seeds[_LABELLED : _LABELLED + _LATE]
    smiles = seeds[_LABELLED : _LABELLED + case.n]  # late molecules may be proposed again
    embeddings = rng.normal(size=(case.n, _FEATURES))
    if case.distinct:
        embeddings = embeddings[np.arange(case.n) % case.distinct]
    energies, known_energies = (_energies(some, rng) for some in (smiles, known))
    samples = energies + 0.1 * rng.normal(size=(case.members, case.n))
    std = 0.05 + 0.1 * rng.random(case.n)
    if case.certain:
        samples[:, 0], std[0] = energies[0], 0.0
    pool = Pool(
        smiles=tuple(smiles),
        samples=samples,
        std=std,
        embeddings=embeddings.astype(np.float32),
        cost=1.0 + rng.random(case.n),
        xtb_energy=energies + 0.3 * rng.normal(size=case.n) if xtb_energy else None,
        covariance=Covariance(0.1 * embeddings, 0.1 * std**2, 0.01) if covariance else None,
    )
    context = RoundContext(
        round=round_,
        smiles=tuple(known),
        targets=known_energies,
        embeddings=rng.normal(size=(_LABELLED, _FEATURES)).astype(np.float32),
        rng=np.random.default_rng(round_),
        xtb_energy=known_energies + 0.3 * rng.normal(size=_LABELLED) if xtb_energy else None,
        pending=tuple(late) if round_ > 1 else (),
        target=pool[: (case.n + 1) // 2] if round_ > 1 else None,
    )
    return pool, context


def _energies(smiles: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """``(n,)`` eV, about those of molecules of that size."""
    return np.array([-10.0 * len(one) for one in smiles]) + rng.normal(size=len(smiles))


def _global_random_states() -> dict[str, Any]:
    import torch

    _, keys, position, *gauss = np.random.get_state()  # noqa: NPY002 - to see that it is left alone
    return {
        "random": random.getstate(),
        "numpy": (np.asarray(keys).tobytes(), position, *gauss),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
