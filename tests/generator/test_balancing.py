"""Weights that give one set of molecules the make-up of another."""

import numpy as np
import pytest

from generator.balancing import balanced_weights, make_up

ALCOHOLS = ["CO", "CCO", "CCCO", "CC(C)O", "CCCCO"]
RINGS = ["C1CC1", "C1CCC1", "C1CCCC1", "C1CC1C", "C1CC1CC"]


def test_a_share_of_rings_is_matched_and_equal_molecules_keep_equal_weights():
    smiles = [*ALCOHOLS, *RINGS, *RINGS]
    columns = np.array([[float("1" in one)] for one in smiles])
    weights = balanced_weights(columns, np.array([0.25]))
    assert weights.sum() == pytest.approx(1.0)
    assert weights[5:].sum() == pytest.approx(0.25, abs=0.02)  # within the ridge
    assert weights[:5] == pytest.approx(weights[0])
    assert weights[5:] == pytest.approx(weights[5])


def test_the_weights_stay_near_those_they_start_from():
    columns = np.array([[0.0], [0.0], [1.0], [1.0]])
    weights = balanced_weights(columns, np.array([0.5]), np.array([3.0, 1.0, 2.0, 0.0]))
    assert weights[0] == pytest.approx(3 * weights[1])
    assert weights[2] == pytest.approx(0.5, abs=0.02)
    assert weights[3] == pytest.approx(0.0)


def test_the_make_up_is_that_of_the_weighted_reference():
    weights = np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5])
    columns, wanted = make_up([*ALCOHOLS, *RINGS], [*ALCOHOLS, *RINGS], weights)
    assert wanted == pytest.approx((columns[0] + columns[9]) / 2)
    balanced = balanced_weights(columns, wanted)
    with_rings = np.array([False] * 5 + [True] * 5)
    assert balanced[with_rings].sum() == pytest.approx(0.5, abs=0.05)
    assert balanced[0] > 3 * balanced[1]
