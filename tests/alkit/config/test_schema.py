"""alkit.config: the schema, its defaults, and what differs between two campaign files."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.cli.models import train
from alkit.config import schema as module
from alkit.config.loading import (
    check_config,
    difference,
    keep_earlier_defaults,
    load_config,
)
from alkit.config.schema import CampaignConfig, SurrogateConfig
from alkit.errors import ConfigError
from surrogate.settings import ModelSettings, TrainingSettings

BASE = "name: first\nproposer: generator\n"


def test_the_schema_is_json_with_every_key() -> None:
    schema = json.loads(json.dumps(CampaignConfig.model_json_schema()))
    assert set(schema["properties"]) == set(CampaignConfig.model_fields)
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "proposer"}
    names = "Domain Start Surrogate Simulator Acquisition Stop Tracking Pool Generator"
    for section in (getattr(module, f"{name}Config") for name in names.split()):
        described = schema["$defs"][section.__name__]["properties"]
        assert set(described) == set(section.model_fields)
        assert all(one.get("description") for one in described.values()), section


def test_difference_names_what_changed() -> None:
    old = check_config({"name": "a", "proposer": "generator"}).as_dict()
    assert difference(old, old) == []
    new = check_config(
        {"name": "a", "proposer": {"kind": "generator", "steps": 5}, "seed": 3, "stop": {"rounds": 9}}
    ).as_dict()
    assert difference(old, new) == ["proposer.steps: 1000 -> 5", "seed: 0 -> 3", "stop.rounds: 5 -> 9"]
    assert difference({"a": {"b": 1}}, {"a": 2}) == ["a: {'b': 1} -> 2"]
    assert difference({}, {"a": 1}) == ["a: None -> 1"]


nested = st.recursive(
    st.integers(0, 2), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(st.sampled_from("abc"), nested, max_size=3), st.data())
@settings(max_examples=50, deadline=None)
def test_difference_is_empty_exactly_for_equals(old: dict, data) -> None:
    assert difference(old, old) == []
    new = data.draw(st.dictionaries(st.sampled_from("abc"), nested, max_size=3))
    if len(difference(old, new)) == 0:
        # A key that is there and empty says no more than one that is not.
        assert json.dumps(pruned(old), sort_keys=True) == json.dumps(pruned(new), sort_keys=True)
    assert len(difference(old, new)) == len(difference(new, old))


def pruned(value):
    return {k: pruned(v) for k, v in value.items()} if isinstance(value, dict) else value


def test_reading_a_config_loads_neither_torch_nor_rdkit(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"name": "a", "proposer": "generator"}))
    code = (
        f"import sys; from alkit import load_config; load_config({str(path)!r});"
        "print([m for m in ('torch', 'rdkit', 'botorch', 'mlflow') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "line", ["batch_size: true", "stop: {hours: true}", "batch_size: '4'", "batch_size: 4.0"]
)
def test_truth_and_text_are_not_whole_numbers(line: str) -> None:
    import yaml

    with pytest.raises(ConfigError, match=r"integer|not numbers"):
        check_config({"name": "a", "proposer": "generator"} | yaml.safe_load(line))


def test_a_wrong_override_is_told_as_such(tmp_path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nproposer: generator\n")
    with pytest.raises(ConfigError, match=r"^--set batch_size: .*'abc'"):
        load_config(tmp_path / "a.yaml", ["batch_size=abc"])


def test_an_anchor_inside_itself_does_not_hang(tmp_path) -> None:
    (tmp_path / "a.yaml").write_text("name: &x {y: *x}\nproposer: generator\n")
    with pytest.raises(ConfigError):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "surrogate: {freeze: embedding}\n",
            "freeze and depth_decay are about weights that are trained already",
        ),
        ("surrogate: {depth_decay: 0.5}\n", "set pretraining or warm_start: true"),
        (
            "surrogate: {learning: pretrain, mode: 2d}\n",
            "pretraining takes its cheap energies at a geometry",
        ),
        ("surrogate: {ema: 0.9, precision: 64}\n", "with precision 64 leave it at 0"),
        ("surrogate: {gaussians: 1}\n", "input should be greater than or equal to 2"),
        ("surrogate: {learning: both}\n", "input should be 'direct' or 'delta' (given: 'both')"),
        (
            "surrogate: {geometry: dft}\n",
            "input should be 'mmff', 'etkdg', 'xtb', 'gfn2', 'aimnet2' or 'dataset' (given: 'dft')",
        ),
        ("surrogate: {ema: 1.0}\n", "surrogate.ema: input should be less than 1"),
    ],
)
def test_learning_settings_that_cannot_be(tmp_path, text: str, sentence: str) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text("name: a\nproposer: generator\n" + text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert sentence in str(caught.value)


def test_defaults_of_the_surrogate_are_written_once():
    """Campaigns, `alkit train` and the surrogate alone have the same defaults and the same words."""
    section = CampaignConfig.model_validate({"name": "a", "proposer": "generator"}).surrogate
    fields = [*ModelSettings.__dataclass_fields__.values(), *TrainingSettings.__dataclass_fields__.values()]
    shared = [field for field in fields if field.name in SurrogateConfig.model_fields]
    shared = [field for field in shared if field.name not in ("baseline", "pooling")]  # specs; by the target
    assert {"gaussians", "cutoff", "lr", "precision", "uncertainty", "device"} < {f.name for f in shared}
    for field in shared:
        assert getattr(section, field.name) == field.default, field.name
    options = inspect.signature(train).parameters
    for field in shared:
        if field.name in options and field.name != "ema":  # which goes by whether forces are learned
            assert options[field.name].default == field.default, field.name


def test_a_campaign_keeps_the_defaults_that_it_began_with():
    config = check_config({"name": "a", "proposer": "generator"})
    assert keep_earlier_defaults(config, {"surrogate": {"gaussians": 20}}).surrogate.gaussians == 20
    assert keep_earlier_defaults(config, {"surrogate": {"gaussians": 33}}).surrogate.gaussians == 40
    chosen = check_config({"name": "a", "proposer": "generator", "surrogate": {"gaussians": 40}})
    assert keep_earlier_defaults(chosen, {"surrogate": {"gaussians": 20}}).surrogate.gaussians == 40
