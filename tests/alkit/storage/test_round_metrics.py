"""alkit.storage.round_metrics: fields and mapping say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkit.storage.round_metrics import RoundMetrics

NAMES = st.sampled_from(["mae", "rmse", "labels", "baseline_xtb", "coverage_90", "of_another_revision"])


@given(st.dictionaries(NAMES, st.integers(0, 500).map(float)), st.integers(0, 30))
def test_what_goes_in_comes_out(values, round_):
    metrics = RoundMetrics.from_values({"round": round_, **values})
    assert dict(metrics) == {"round": round_, **values}
    assert metrics == {"round": round_, **values}
    assert len(metrics) == 1 + len(values)
    assert metrics.mae == values.get("mae")
    assert len(repr(metrics)) < 100


def test_what_was_not_measured_is_no_key():
    metrics = RoundMetrics(round=2, labels=17)
    assert (metrics.mae, metrics.get("mae"), "mae" in metrics) == (None, None, False)
    with pytest.raises(KeyError):
        metrics["others"]
