"""alkit.acquisition.scores: the two scores of single molecules."""

import numpy as np

from alkit.acquisition import Pool, RoundContext, scores


def parts(n: int = 50) -> tuple[Pool, RoundContext]:
    rng = np.random.default_rng(3)
    pool = Pool(("C",) * n, rng.normal(size=(2, n)), rng.random(n), np.zeros((n, 1), np.float32), np.ones(n))
    return pool, RoundContext(1, (), np.empty(0), np.empty((0, 1), np.float32), np.random.default_rng(5))


def test_std_is_the_calibrated_one_not_that_of_the_samples() -> None:
    pool, context = parts()
    np.testing.assert_array_equal(scores.std(pool, context), pool.std)


def test_random_is_uniform_over_molecules_and_only_from_the_context() -> None:
    pool, context = parts()
    drawn = np.array([scores.random(pool, context).argmax() for _ in range(5000)])
    counts = np.bincount(drawn, minlength=len(pool))
    assert counts.min() > 50  # 100 expected of each
    assert counts.max() < 160
    again = scores.random(*parts())
    np.testing.assert_array_equal(again, np.random.default_rng(5).random(len(pool)))
