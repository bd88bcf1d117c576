"""alkit.reporting.levers: what would take labels off, and what is no gain."""

import pytest

from alkit.config.loading import check_config
from alkit.reporting.levers import missing_lever, near_label

FAR, NEAR = [{"mae": 0.1, "labels": 300}], [{"mae": 0.04, "labels": 300}]


def config(simulator="xtb", **surrogate):
    return check_config(
        {
            "name": "a",
            "proposer": "generator",
            "simulator": simulator,
            "surrogate": surrogate,
            "start": {"validation": 0},
        }
    )


@pytest.mark.parametrize(
    ("simulator", "surrogate", "said"),
    [
        ("xtb", {}, ["learning=delta", "baseline=gfn1", "baseline_inputs=true", "representation=kernel"]),
        ({"kind": "xtb", "settings": {"method": "GFN1-xTB"}}, {}, ["baseline=gfn2"]),
        (
            {"kind": "ase", "settings": {"calculator": "ase.calculators.emt:EMT"}},
            {},
            ["baseline=[gfn1,gfn2]"],
        ),
        ("xtb", {"mode": "2d"}, ["mode: 3d"]),
        ("xtb", {"learning": "delta", "baseline": "gfn1"}, ["more of what the baseline says"]),
    ],
)
def test_the_lever_is_named(simulator, surrogate, said):
    given = config(simulator, **surrogate)
    found = missing_lever(given, FAR)
    for part in said:
        assert part in found
    assert missing_lever(given, NEAR) == missing_lever(given, []) == ""


def test_a_kernel_has_no_validation_set():
    given = check_config({"name": "a", "proposer": "generator"})
    assert "--set start.validation=0" in missing_lever(given, FAR)


def test_a_network_of_many_labels_is_left_alone():
    assert "kernel" not in missing_lever(config(), [{"mae": 0.1, "labels": 5000}])


def test_nothing_is_missing_where_all_is_used():
    used = config(learning="delta", baseline="gfn1", baseline_inputs=True, representation="kernel")
    assert missing_lever(used, FAR) == ""


def test_a_baseline_that_is_nearly_the_label_is_said():
    assert "labels' own method" in near_label(config(learning="delta", baseline="gfn2"))
    assert near_label(config(learning="delta", baseline="gfn1")) == ""
    assert near_label(config(baseline_inputs=True)) == ""
    assert "labels' own method" in near_label(config(pretraining="gfn2"))
    assert near_label(config(pretraining="gfn1")) == ""
    assert "pretraining=null" in missing_lever(config(pretraining="gfn1"), FAR)
