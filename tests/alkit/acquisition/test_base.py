"""alkit.acquisition.base: the contract, user functions by name, and what is said of a wrong answer."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.acquisition import Acquisition, Pool, RoundContext, resolve, select
from alkit.acquisition.base import BUILT_IN, TopScore, adapt, needs
from alkit.errors import AcquisitionError, ConfigError
from surrogate.low_rank import Covariance


def make_pool(n: int, *, members: int = 3, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    samples = -70 + rng.normal(size=(members, n))
    return Pool(
        smiles=tuple("C" * (k + 1) for k in range(n)),
        samples=samples,
        std=samples.std(axis=0, ddof=1),
        embeddings=rng.normal(size=(n, 4)).astype(np.float32),
        cost=np.ones(n),
        xtb_energy=samples.mean(axis=0) + rng.normal(size=n),
        covariance=Covariance(rng.normal(size=(n, 3)), rng.random(n), 0.1),
    )


def make_context(*, seed: int = 0, m: int = 6) -> RoundContext:
    rng = np.random.default_rng([seed, 1])
    return RoundContext(
        round=1,
        smiles=tuple("N" * (k + 1) for k in range(m)),
        targets=-70 + rng.normal(size=m),
        embeddings=rng.normal(size=(m, 4)).astype(np.float32),
        rng=np.random.default_rng(seed),
        xtb_energy=-70 + rng.normal(size=m),
    )


POOL = make_pool(8)


def choose(given: object, *, pool: Pool = POOL, size: int = 3) -> list[int]:
    return select(adapt(given, "mine.py:f"), "mine.py:f", pool, make_context(), size)


def returning(value: object) -> type:
    class Chooser:
        def select(self, pool: Pool, context: RoundContext, batch_size: int) -> object:
            return value

    return Chooser


def built_in(name: str) -> Acquisition:
    """By its name alone, but for one that must be given what to look for."""
    needed = {"pareto": {"objectives": {"label": "minimise", "MW": "maximise"}}}
    return resolve(name, needed.get(name))


# --- the contract of every built-in ----------------------------------------------------------------------
@given(st.sampled_from(sorted(BUILT_IN)), st.integers(1, 12), st.integers(1, 15), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_every_built_in_keeps_the_contract(name: str, n: int, size: int, seed: int) -> None:
    pool = make_pool(n, seed=seed)

    def chosen() -> list[int]:
        return select(built_in(name), name, pool, make_context(seed=seed), size)

    found = chosen()
    assert len(found) == len(set(found)) == min(n, size)
    assert set(found) <= set(range(n))
    assert all(type(i) is int for i in found)
    assert chosen() == found


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_an_empty_pool_gives_an_empty_batch(name: str) -> None:
    assert select(built_in(name), name, make_pool(0), make_context(), 5) == []


def test_the_earlier_name_of_the_xtb_energies_is_understood() -> None:
    def disagreement(pool: Pool, context: RoundContext) -> np.ndarray:
        return np.abs(pool.cheap - pool.mean) + context.cheap.mean()

    disagreement.needs = ("cheap", "members")
    assert needs(adapt(disagreement, "disagreement")) == {"xtb_energy", "members"}
    pool, context = make_pool(5), make_context()
    np.testing.assert_array_equal(pool.cheap, pool.xtb_energy)
    np.testing.assert_array_equal(context.cheap, context.xtb_energy)


@pytest.mark.parametrize("declared", ["xtb_energy", 3, ("xtb",), (["members"],), None])
def test_needs_that_nobody_can_give_are_refused(declared: object) -> None:
    def score(pool: Pool, context: RoundContext) -> np.ndarray:
        return pool.std

    score.needs = declared
    with pytest.raises(ConfigError, match="a tuple of xtb_energy, members, soap, covariance"):
        needs(adapt(score, "score"))


def test_tensors_are_scores_with_a_gradient_too() -> None:
    import torch

    scores = torch.arange(8.0, dtype=torch.float32)
    for tensor in (scores, scores.clone().requires_grad_(), scores.double().requires_grad_() * 2):
        assert choose(lambda pool, context, tensor=tensor: tensor) == [7, 6, 5]


@pytest.mark.parametrize(
    ("returned", "cause"),
    [
        (np.ma.array(np.arange(8.0), mask=[1] + [0] * 7), "masked array"),
        (["1", "2", "3", "4", "5", "6", "7", "8"], "neither texts nor complex"),
        (np.arange(8) * 1j, "neither texts nor complex"),
    ],
)
def test_what_is_no_real_number_is_refused_with_the_cause(returned: object, cause: str) -> None:
    with pytest.raises(AcquisitionError, match=rf"instead of 8 numbers \(.*{cause}"):
        choose(lambda pool, context: returned)


def test_random_draws_from_the_rounds_generator() -> None:
    pool = make_pool(200)
    batches = [select(resolve("random"), "random", pool, make_context(seed=seed), 20) for seed in (0, 1)]
    assert batches[0] != batches[1]


def test_pool_and_context_tell_mean_and_best() -> None:
    context = make_context()
    assert POOL.mean == pytest.approx(POOL.samples.mean(axis=0))
    assert len(POOL) == 8
    assert context.best == min(context.targets)


# --- scores ----------------------------------------------------------------------------------------------
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_the_highest_scores_are_taken_and_ties_go_to_the_earlier(scores: list[float], size: int) -> None:
    pool = make_pool(len(scores))
    found = choose(lambda pool, context: scores, pool=pool, size=size)
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:size]
    assert found == expected


def test_a_function_may_read_everything_it_is_given() -> None:
    def score(pool: Pool, context: RoundContext) -> np.ndarray:
        assert context.round == 1
        return pool.std / pool.cost - pool.mean + context.best + context.rng.random(len(pool)) * 0

    assert choose(score)[0] == int(np.argmax(POOL.std - POOL.mean))


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (np.zeros(7), "mine.py:f returned an array of shape (7,); one score per molecule, shape (8,)"),
        (np.zeros((8, 1)), "mine.py:f returned an array of shape (8, 1); one score"),
        (3.0, "mine.py:f returned an array of shape ()"),
        (None, "mine.py:f returned an array of shape ()"),
        ([0.0] * 7 + [np.nan], "mine.py:f scored molecule 7 nan; scores must be finite"),
        ([np.inf] + [0.0] * 7, "mine.py:f scored molecule 0 inf; scores must be finite"),
        (["a"] * 8, "mine.py:f returned list instead of 8 numbers"),
        ([[1.0], [1.0, 2.0]], "mine.py:f returned list instead of 8 numbers"),
        ({"a": 1}, "mine.py:f returned dict instead of 8 numbers"),
    ],
)
def test_scores_that_cannot_be_are_said(returned: object, sentence: str) -> None:
    with pytest.raises(AcquisitionError, match=re.escape(sentence)):
        choose(lambda pool, context: returned)


# --- batches ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("returned", [[2, 0, 7], (2, 0, 7), np.array([2, 0, 7], dtype=np.int32)])
def test_any_sequence_of_indices_will_do(returned: object) -> None:
    assert choose(returning(returned)) == [2, 0, 7]


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ([0, 1], "mine.py:f returned indices of shape (2,); 3 indices, shape (3,), are expected"),
        ([0, 1, 2, 3], "returned indices of shape (4,)"),
        ([[0], [1], [2]], "returned indices of shape (3, 1)"),
        ([[0, 1], [2]], "mine.py:f returned [[0, 1], [2]]; 3 integer indices are expected"),
        (None, "returned indices of shape ()"),
        ({0, 1, 2}, "returned indices of shape ()"),
        ([0.0, 1.0, 2.0], "mine.py:f returned float64 values; integer indices are expected"),
        ([True, False, True], "returned bool values"),
        (["0", "1", "2"], "integer indices are expected"),
        ([0, 1, 8], "mine.py:f returned index 8, out of range for a pool of 8 molecules"),
        ([0, 1, -1], "returned index -1, out of range"),
        ([5, 1, 5], "mine.py:f returned index 5 more than once"),
    ],
)
def test_indices_that_cannot_be_are_said(returned: object, sentence: str) -> None:
    with pytest.raises(AcquisitionError, match=re.escape(sentence)) as caught:
        choose(returning(returned))
    assert caught.value.exit_code == 2


def test_an_exception_inside_is_told_as_theirs() -> None:
    def broken(pool: Pool, context: RoundContext) -> np.ndarray:
        return pool.nothing  # type: ignore[attr-defined]

    with pytest.raises(
        AcquisitionError, match=r"mine\.py:f failed: AttributeError: .*no attribute 'nothing'"
    ):
        choose(broken)
    with pytest.raises(AcquisitionError, match=r"mine\.py:f failed: TypeError"):
        choose(lambda pool: pool.std)  # one argument too few


def test_the_batch_asked_for_is_never_larger_than_the_pool() -> None:
    asked = []

    class Chooser:
        def select(self, pool: Pool, context: RoundContext, batch_size: int) -> list[int]:
            asked.append(batch_size)
            return list(range(batch_size))

    assert choose(Chooser(), size=100) == list(range(8))
    assert asked == [8]


# --- names -----------------------------------------------------------------------------------------------
def test_what_is_given_becomes_an_acquisition() -> None:
    assert isinstance(resolve("std"), TopScore)
    assert isinstance(resolve("lcmd"), Acquisition)
    assert isinstance(adapt(len, "len"), Acquisition)
    with pytest.raises(
        ConfigError, match=r"mine is a int; a function score\(pool, context\) or a class with"
    ):
        adapt(3, "mine")


def test_settings_go_to_classes_alone() -> None:
    assert resolve("botorch", {"function": "qUpperConfidenceBound", "beta": 3}).beta == 3
    with pytest.raises(ConfigError, match=r"acquisition std takes no settings, but \['x'\] are given"):
        resolve("std", {"x": 1})
    with pytest.raises(ConfigError, match=r"acquisition botorch: .*unexpected keyword argument 'betta'"):
        resolve("botorch", {"betta": 1})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lmcd", "no acquisition function 'lmcd'; the nearest valid name is 'lcmd', or ./file.py:function"),
        ("zzz", "no acquisition function 'zzz'; valid names: bait, bald, bias, botorch, cluster_top, ei"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(name: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        resolve(name)


def write(folder: Path, text: str) -> str:
    (folder / "mine.py").write_text(text)
    return f"{folder / 'mine.py'}"


def test_a_function_in_a_file_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, "def score(pool, context):\n    return -pool.std\n")
    name = f"{path}:score"
    found = select(resolve(name), name, POOL, make_context(), 2)
    assert found == np.argsort(POOL.std, kind="stable")[:2].tolist()
    write(tmp_path, "def score(pool, context):\n    return []\n")
    empty = resolve(name)
    with pytest.raises(AcquisitionError, match=re.escape(f"{name} returned an array of shape (0,)")):
        select(empty, name, POOL, make_context(), 2)


def test_a_dataclass_with_future_annotations_in_a_file_is_found(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "from __future__ import annotations\n"
        "from dataclasses import dataclass, field\n"
        "@dataclass\n"
        "class Every:\n"
        "    step: int = 1\n"
        "    seen: list[int] = field(default_factory=list)\n"
        "    def __post_init__(self):\n"
        "        if self.step < 1:\n"
        "            raise ValueError('step must be positive')\n"
        "    def select(self, pool, context, batch_size):\n"
        "        return [i * self.step for i in range(batch_size)]\n",
    )
    name = f"{path}:Every"
    assert select(resolve(name, {"step": 2}), name, POOL, make_context(), 3) == [0, 2, 4]
    with pytest.raises(ConfigError, match=r"Every: step must be positive\."):
        resolve(name, {"step": 0})
    with pytest.raises(ConfigError, match="unexpected keyword argument 'steps'"):
        resolve(name, {"steps": 2})


def test_naming_one_function_does_not_load_botorch() -> None:
    code = (
        "import sys; from alkit.acquisition import resolve; resolve('lcmd'); resolve('random');"
        "print([m for m in ('torch', 'botorch', 'rdkit') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
