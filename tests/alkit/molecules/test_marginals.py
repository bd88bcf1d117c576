"""What is known of a set of molecules as shares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.molecules.enumeration import seed_molecules
from alkit.molecules.marginals import Marginals

SEEDS = seed_molecules()[:600]


def test_shares_of_a_set() -> None:
    found = Marginals.of(["CCO", "CC", "C=O", "CCF"])
    assert found.sizes == {2: 0.5, 3: 0.5}
    assert found.elements == {6: pytest.approx((2 / 3 + 1 + 1 / 2 + 2 / 3) / 4), 8: pytest.approx(5 / 24)} | {
        9: pytest.approx(1 / 12)
    }
    assert max(found.fragments.values()) <= 1


def test_it_does_not_depend_on_the_order_or_the_writing() -> None:
    assert Marginals.of(["CCO", "C=O"]) == Marginals.of(["O=C", "OCC"])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(SEEDS), min_size=30, max_size=60, unique=True), st.randoms())
def test_weights_take_candidates_to_the_shares(aimed: list[str], random) -> None:
    """Whatever is aimed at: the sizes and elements of weighted candidates are nearer to it than before."""
    candidates = random.sample(SEEDS, 200)
    marginals = Marginals.of(aimed)
    weights, columns = marginals.weights(candidates), marginals._columns(candidates)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    before = np.abs(columns.mean(axis=0) - marginals._wanted())
    after = np.abs(weights @ columns - marginals._wanted())
    assert (after**2).sum() <= (before**2).sum()


def test_a_set_that_has_the_shares_is_weighted_equally() -> None:
    assert Marginals.of(SEEDS).weights(SEEDS) == pytest.approx(np.full(600, 1 / 600), rel=1e-3)


def test_what_no_candidate_has_is_not_forced() -> None:
    weights = Marginals.of(["CCCCCCCCO"] * 3).weights(["CC", "CCO", "C"])
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > weights[0]
