"""The figures of merit, on cases counted by hand."""

import pytest

from generator import GeneratorError, metrics


def test_fractions():
    result = metrics.summary(["CCO", "OCC", "CCN", "C(", "CC.C"], ["CCO", "CCC"])
    assert result["valid"] == pytest.approx(3 / 5)
    assert result["unique"] == pytest.approx(2 / 3)
    assert result["novel"] == pytest.approx(1 / 2)
    assert result["valid_unique_novel"] == pytest.approx(1 / 5)


def test_make_up():
    result = metrics.summary(["C1CC1", "C#C"], ["C1CC1", "CC", "c1ccccc1", "CO"])
    assert result["means"]["unsaturation"] == (1.5, 1.25)
    assert result["means"]["share_O"] == (0.0, pytest.approx(1 / 13))
    assert result["distance"]["rings"] == 0.0
    assert result["distance"]["unsaturation"] == pytest.approx(0.75)


def test_nothing_valid_is_told_not_raised():
    result = metrics.summary(["C("], ["CC"])
    assert result["valid"] == result["unique"] == result["novel"] == 0.0
    assert result["means"] == {}


@pytest.mark.parametrize(("sampled", "training"), [([], ["C"]), (["C"], []), (["C"], ["C("])])
def test_bad_input(sampled, training):
    with pytest.raises(GeneratorError):
        metrics.summary(sampled, training)
