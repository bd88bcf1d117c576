"""alkit.reporting.forecast: labels that an error will take."""

import numpy as np
import pytest

from alkit.reporting.forecast import forecast, gain, sentence


def curve(labels, errors) -> list[dict[str, float]]:
    return [{"labels": n, "validation_mae": e} for n, e in zip(labels, errors, strict=True)]


def law(labels, exponent=-0.7, noise=0.0, seed=0) -> list[dict[str, float]]:
    scatter = np.exp(np.random.default_rng(seed).normal(0, noise, len(labels)))
    return curve(labels, 5.0 * np.asarray(labels, dtype=float) ** exponent * scatter)


def test_a_power_law_is_found() -> None:
    found = forecast(law([100, 200, 300, 400]), 0.05)
    assert found is not None
    expected = (0.05 / 5) ** (1 / -0.7)
    assert found.labels == pytest.approx(expected, rel=0.1)  # drawn a little towards the usual slope
    assert found.low < expected < found.high
    assert gain(law([100, 200, 300, 400]), 60) == pytest.approx(5 * (400**-0.7 - 460**-0.7), rel=0.1)
    usual = forecast(law([100, 200, 300, 400], exponent=-0.5), 0.05)
    assert usual is not None
    assert usual.labels == pytest.approx((0.05 / 5) ** (1 / -0.5), rel=1e-6)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    expected = (0.1 / 5) ** (1 / -0.7)
    held = [
        found.low <= expected <= found.high
        for seed in range(300)
        if (found := forecast(law([100, 150, 200, 250, 300, 350], noise=0.05, seed=seed), 0.1)) is not None
    ]
    assert 0.88 < np.mean(held) <= 1.0  # more than 90 %: curves bend, which a power law does not


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert forecast(law([100, 200]), 0.05) is None
    assert forecast(curve([100, 200, 300], [0.1, 0.2, 0.3]), 0.05) is None
    assert gain(curve([100, 200, 300], [0.1, 0.2, 0.3]), 10) is None
    assert forecast(curve([100, 100, 100], [0.1, 0.2, 0.3]), 0.05) is None
    assert sentence(law([100, 200]), 0.05, 60) == ""
    assert sentence(law([100, 200, 300]), 10.0, 60) == ""  # reached


def test_the_sentence_has_labels_interval_and_the_next_batch() -> None:
    said = sentence(law([100, 200, 300, 400], noise=0.02), 0.0434, 60)
    assert said.startswith("At this pace 0.0434 eV takes about ")
    assert "90 % interval" in said
    assert "the next batch of 60 is worth 0." in said
