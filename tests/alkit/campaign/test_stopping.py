"""alkit.campaign.stopping: each rule by itself, and that one is enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkit.campaign.stopping import reason_to_stop
from alkit.config.schema import StopConfig

NEVER = {"rounds": 10**6}


def rows(*errors: float) -> list[dict[str, float]]:
    return [{"round": k, "labels": 100.0 + 10 * k, "validation_mae": error} for k, error in enumerate(errors)]


def reason(errors: tuple[float, ...] = (0.5, 0.4), seconds: float = 0.0, **rules: float) -> str | None:
    return reason_to_stop(StopConfig(**{**NEVER, **rules}), rows(*errors), seconds)


def test_nothing_stops_before_the_first_evaluation() -> None:
    stop = StopConfig(rounds=1, labels=1, hours=1e-9, target_mae=1e9, plateau=1)
    assert reason_to_stop(stop, [], 1e9) is None


def test_no_rule_no_stop() -> None:
    assert reason() is None


@pytest.mark.parametrize(
    ("rules", "before", "after", "sentence"),
    [
        ({"rounds": 2}, (0.5, 0.4), (0.5, 0.4, 0.3), "round 2 of 2 is done"),
        ({"labels": 115}, (0.5, 0.4), (0.5, 0.4, 0.3), "120 labels, of 115 asked for"),
        ({"labels": 120}, (0.5, 0.4), (0.5, 0.4, 0.3), "120 labels, of 120 asked for"),
        (
            {"target_mae": 0.3},
            (0.5, 0.301),
            (0.5, 0.3),
            "validation MAE 0.3000 eV reached the target of 0.3 eV",
        ),
        (
            {"plateau": 2},
            (0.5, 0.3, 0.4),
            (0.5, 0.3, 0.4, 0.35),
            "no better validation MAE for 2 rounds",
        ),
        ({"plateau": 1}, (0.5, 0.4, 0.3), (0.5, 0.4, 0.4), "no better validation MAE for 1 rounds"),
    ],
)
def test_each_rule(rules: dict, before: tuple, after: tuple, sentence: str) -> None:
    assert reason(before, **rules) is None
    assert reason(after, **rules) == sentence


def test_hours_of_work() -> None:
    assert reason(seconds=3599, hours=1) is None
    assert reason(seconds=5400, hours=1) == "1.50 hours of work, of 1 allowed"


def test_a_confidence_asks_for_more_than_the_error_as_measured() -> None:
    row = {
        "round": 1,
        "labels": 100.0,
        "validation_mae": 0.1,
        "validation_error": 0.01,
        "validation_size": 20,
    }
    stop = StopConfig(**NEVER, target_mae=0.112, confidence=0.9)
    assert reason_to_stop(stop, [row], 0.0) is None  # at most 0.1133 eV with 90 %
    said = reason_to_stop(stop, [row | {"validation_error": 0.005}], 0.0)
    assert said == "validation MAE 0.1000 eV, at most 0.1066 eV with 90 %, reached the target of 0.112 eV"
    assert reason_to_stop(StopConfig(**NEVER, target_mae=0.112), [row], 0.0) is not None
    earlier = {name: row[name] for name in ("round", "labels", "validation_mae")}
    assert reason_to_stop(stop, [earlier], 0.0) is None  # nobody knows


def test_mae_is_short_for_target_mae() -> None:
    assert StopConfig.model_validate({"rounds": 3, "mae": 0.0434}).target_mae == 0.0434
    with pytest.raises(ValueError, match="mae is short for target_mae"):
        StopConfig.model_validate({"rounds": 3, "mae": 0.1, "target_mae": 0.1})
    with pytest.raises(ValueError, match="confidence is about target_mae"):
        StopConfig.model_validate({"rounds": 3, "confidence": 0.9})


def test_only_the_last_round_reaches_a_target() -> None:
    assert reason((0.5, 0.1, 0.4), target_mae=0.2) is None


def test_reaching_the_target_is_named_before_running_out() -> None:
    assert "reached the target" in reason(seconds=1e9, rounds=1, labels=1, hours=1, target_mae=1.0, plateau=1)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12), st.integers(1, 4))
def test_a_plateau_is_counted_from_the_best_round(errors: list[float], patience: int) -> None:
    best = min(range(len(errors)), key=errors.__getitem__)
    stopped = reason(tuple(errors), plateau=patience) is not None
    assert stopped == (len(errors) - 1 - best >= patience)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6), st.floats(0, 1e5))
def test_more_rules_never_make_a_campaign_longer(errors: list[float], seconds: float) -> None:
    rules = {"rounds": 3, "labels": 130, "hours": 10.0, "target_mae": 0.2, "plateau": 2}
    alone = [reason(tuple(errors), seconds, **{name: value}) for name, value in rules.items()]
    together = reason(tuple(errors), seconds, **rules)
    assert (together is None) == all(one is None for one in alone)
    assert together is None or together in alone
