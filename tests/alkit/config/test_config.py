"""alkit.config: what a campaign file may say, and the one sentence about what it may not."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from alkit.cli.models import train
from alkit.config import schema
from alkit.config import schema as module
from alkit.config.loading import (
    absolute_code_path,
    check_config,
    difference,
    keep_earlier_defaults,
    load_config,
)
from alkit.config.schema import CampaignConfig, SurrogateConfig
from alkit.errors import ConfigError
from surrogate.settings import ModelSettings, TrainingSettings

BASE = "name: first\nproposer: generator\n"
POOL = "name: first\nproposer: {kind: pool, file: pool.smi}\n"


@pytest.fixture
def load(tmp_path: Path):
    """Load the campaign file of that text, from a folder that is not the working directory."""

    def load(text: str, *overrides: str) -> CampaignConfig:
        path = tmp_path / "campaign.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, overrides)

    return load


def refused(load, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, *overrides)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in message
    assert message.endswith(".")
    return re.sub(r"\S*/campaign\.yaml", "FILE", message)


# --- files that are fine ---------------------------------------------------------------------------------
def test_two_keys_make_a_campaign(load) -> None:
    config = load(BASE)
    assert config.campaign_folder == Path("runs/first")
    assert config.proposer.kind == "generator"
    assert config.surrogate == schema.SurrogateConfig()
    assert (config.acquisition.name, config.simulator.kind) == ("bias", "xtb")


def test_short_forms_are_short_for_sections(load) -> None:
    short = load(BASE + "acquisition: std\nsimulator: xtb\n")
    long = load(
        "name: first\nproposer:\n  kind: generator\nacquisition:\n  name: std\nsimulator:\n  kind: xtb\n"
    )
    assert short == long
    assert short.acquisition.name == "std"


def test_numbers_as_chemists_write_them(load) -> None:
    config = load(BASE + "surrogate:\n  lr: 1e-3\n  cutoff: 5\nstop:\n  hours: 0.5\n")
    assert (config.surrogate.lr, config.surrogate.cutoff, config.stop.hours) == (0.001, 5.0, 0.5)


def test_a_config_is_read_only_and_survives_json(load) -> None:
    config = load(BASE + "domain:\n  elements: [H, C]\nstop:\n  rounds: null\n  labels: 500\n")
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3
    assert check_config(json.loads(json.dumps(config.as_dict()))) == config


# --- one sentence, with key and line ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            "surogate:\n  x: 1\n",
            "FILE, line 3: unknown key 'surogate'; the nearest valid key is 'surrogate'.",
        ),
        (
            "surrogate:\n  mode: 3d\n  feature: 3\n",
            "FILE, line 5: unknown key 'surrogate.feature'; the nearest valid key is 'features'.",
        ),
        ("stop:\n  zzz: 1\n", "FILE, line 4: unknown key 'stop.zzz'; valid keys: hours, labels, plateau, "),
        ("1: 2\n", "FILE, line 3: 1: keys should be strings (given: 1)."),
        (
            "surrogate:\n  features: many\n",
            "FILE, line 4: surrogate.features: input should be a valid integer (given: 'many').",
        ),
        ("seed: 1.5\n", "FILE, line 3: seed: input should be a valid integer (given: 1.5)"),
        ("seed: -1\n", "FILE, line 3: seed: input should be greater than or equal to 0 (given: -1)."),
        ("surrogate:\n  lr: 0\n", "FILE, line 4: surrogate.lr: input should be greater than 0 (given: 0)."),
        (
            "surrogate:\n  lr: .nan\n",
            "FILE, line 4: surrogate.lr: input should be a finite number (given: nan)",
        ),
        ("surrogate:\n  members: 1\n", "surrogate.members: input should be greater than or equal to 2"),
        ("surrogate:\n  plateau_factor: 1.0\n", "surrogate.plateau_factor: input should be less than 1"),
        ("surrogate: 3\n", "FILE, line 3: surrogate: input should be a valid dictionary"),
        ("surrogate:\n", "FILE, line 3: surrogate: input should be a valid dictionary"),
        ("surrogate: {mode: 4d}\n", "surrogate.mode: input should be '2d' or '3d' (given: '4d')."),
        ("target: u298\n", "target: input should be 'u0' or 'energy' (given: 'u298')."),
        ("batch_size: [1]\n", "FILE, line 3: batch_size: input should be a valid integer."),
        ("start:\n  validation: 3\n", "start.validation: input should be greater than or equal to 5"),
        ("domain:\n  elements: []\n", "domain.elements: list should have at least 1 item"),
        ("domain:\n  elements: [H, 3]\n", "FILE, line 4: domain.elements.1: input should be a valid string"),
        ("domain:\n  elements: [H, Qq]\n", "FILE, line 3: domain: 'Qq' is not the symbol of an element."),
        ("domain:\n  elements: [X]\n", "domain: 'X' is not the symbol of an element."),
        ("tracking: {uri: 3}\n", "FILE, line 3: tracking.uri: input should be a valid string (given: 3)."),
        ("acquisition:\n  settings: {}\n", "FILE, line 3: the key 'acquisition.name' is missing."),
        (
            "stop:\n  rounds: null\n",
            "FILE, line 3: stop: at least one of rounds, labels and hours must be set",
        ),
        ("simulator: lookup\n", "FILE: proposer: generator proposes molecules that no data set holds; with"),
        ("surrogate: {geometry: dataset}\n", "FILE: proposer: generator proposes molecules that no data set"),
        ("name: second\n", "FILE, line 3: the key 'name' is there twice; keep one."),
        ("stop:\n  rounds: 1\n  rounds: 2\n", "FILE, line 5: the key 'rounds' is there twice; keep one."),
    ],
)
def test_what_is_wrong_is_told_with_key_and_line(load, more: str, sentence: str) -> None:
    assert sentence in refused(load, BASE + more)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("proposer: generator\n", "FILE: the key 'name' is missing."),
        ("name: a\n", "FILE: the key 'proposer' is missing."),
        ("name: a b\nproposer: generator\n", "FILE, line 1: name: string should match pattern"),
        ("name: ../a\nproposer: generator\n", "FILE, line 1: name: string should match pattern"),
        ("name: 3\nproposer: generator\n", "FILE, line 1: name: input should be a valid string (given: 3)."),
        (
            "name: a\nproposer: foo\n",
            "proposer needs a kind: custom or evolution or generator or mix or pool.",
        ),
        (
            "name: a\nproposer: {per_round: 3}\n",
            "FILE, line 2: proposer needs a kind: custom or evolution or generator or mix or pool.",
        ),
        (
            "name: a\nproposer:\n  kind: generator\n  step: 3\n",
            "FILE, line 4: unknown key 'proposer.step'; the nearest valid key is 'steps'.",
        ),
        (
            "name: a\nproposer:\n  kind: pool\n  steps: 3\n",
            "FILE, line 4: unknown key 'proposer.steps'; valid keys: file, kind, per_round.",
        ),
        (
            "name: a\nproposer:\n  kind: generator\n  steps: x\n",
            "FILE, line 4: proposer.steps: input should be a valid integer",
        ),
        ("name: a\nproposer: pool\n", "FILE: proposer: pool needs `file`, or `dataset`"),
        (POOL + "simulator: lookup\n", "FILE: simulator: lookup needs `dataset`, the database whose labels"),
        (POOL + "surrogate: {geometry: dataset}\n", "FILE: surrogate.geometry: dataset needs `dataset`; or"),
        ("", "FILE holds no campaign: a mapping of keys like `name: first` is expected."),
        ("- a\n", "FILE holds no campaign"),
        ("just words\n", "FILE holds no campaign"),
        ("name: a\n\nfoo: [a\n", "FILE, line 4: not YAML (expected ',' or ']', but got '<stream end>')."),
        ("a: b: c\n", "FILE, line 1: not YAML (mapping values are not allowed here)."),
        ("name: a\n\tb: c\n", "FILE, line 2: not YAML (found character '\\t' that cannot start any token)."),
        (
            "name: !!python/object/apply:os.getcwd []\n",
            "not YAML (could not determine a constructor for the tag",
        ),
        ("name: \0\n", "FILE, somewhere: not YAML (unacceptable character #x0000"),
    ],
)
def test_whole_files_that_cannot_be(load, text: str, sentence: str) -> None:
    assert sentence in refused(load, text)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"There is no campaign file .*nofile\.yaml; `alkit campaign template`"
    ):
        load_config(tmp_path / "nofile.yaml")
    with pytest.raises(ConfigError, match="There is no campaign file"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: Å\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml is not a text file in UTF-8"):
        load_config(tmp_path / "latin.yaml")


def all_keys(schema: type[BaseModel]) -> list[str]:
    return sorted(schema.model_fields)


@given(st.sampled_from(all_keys(schema.SurrogateConfig)), st.integers(0, 100), st.sampled_from("qxz_"))
@settings(max_examples=40, deadline=None)
def test_one_wrong_letter_is_always_pointed_back(key: str, position: int, letter: str) -> None:
    position %= len(key)
    wrong = key[:position] + letter + key[position:]
    if wrong in schema.SurrogateConfig.model_fields:
        return
    with pytest.raises(
        ConfigError, match=f"unknown key 'surrogate.{wrong}'; the nearest valid key is '{key}'"
    ):
        check_config({"name": "a", "proposer": "generator", "surrogate": {wrong: 1}})


# --- --set -----------------------------------------------------------------------------------------------
def test_overrides_reach_every_depth(load) -> None:
    config = load(
        BASE + "simulator: xtb\nacquisition: botorch\nseed: 1\n",
        "seed=9",
        "stop.rounds=2",
        "simulator.workers=5",
        "acquisition.settings.beta=3.5",
        "domain.elements=[H, C]",
        "proposer.per_round=20",
        "folder=a=b",
    )
    assert config.seed == 9
    assert config.stop.rounds == 2
    assert (config.simulator.kind, config.simulator.workers) == ("xtb", 5)
    assert (config.acquisition.name, config.acquisition.settings) == ("botorch", {"beta": 3.5})
    assert config.domain.elements == ["H", "C"]
    assert (config.proposer.kind, config.proposer.per_round) == ("generator", 20)
    assert config.folder == Path("a=b")


def test_the_last_override_wins(load) -> None:
    assert load(BASE, "seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("seed", "--set 'seed' is not of the form key=value, such as stop.rounds=2."),
        ("=3", "--set '=3' is not of the form key=value"),
        ("seed=[", "--set 'seed=[': the value is not YAML."),
        ("seed.x=1", "--set 'seed.x=1': 'seed' holds a single value, not keys."),
        ("stop.rounds.x=1", "--set 'stop.rounds.x=1': 'rounds' holds a single value, not keys."),
        ("stop.round=2", "unknown key 'stop.round'; the nearest valid key is 'rounds'."),
        ("a..b=1", "unknown key 'a'; valid keys: acquisition,"),
        ("surrogate.lr=fast", "surrogate.lr: input should be a valid number, unable to parse string"),
        ("surrogate.lr=", "surrogate.lr: input should be a valid number (given: None)."),
    ],
)
def test_overrides_that_cannot_be(load, override: str, sentence: str) -> None:
    assert sentence in refused(load, BASE + "seed: 0\nstop:\n  rounds: 3\n", override)


# --- paths -----------------------------------------------------------------------------------------------
def test_paths_are_relative_to_the_file(load, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name in ("pool.smi", "data/seeds.smi", "qm9.db"):
        (tmp_path / name).write_text("C\n")
    config = load(
        "name: a\nproposer: {kind: pool, file: pool.smi}\nseeds: data/seeds.smi\ndataset: ./qm9.db\n"
        "acquisition: ./mine.py:score\nsimulator: ../sims.py:Sim\nfolder: out\n"
    )
    assert config.proposer.file == tmp_path / "pool.smi"
    assert config.seeds == tmp_path / "data" / "seeds.smi"
    assert config.dataset == tmp_path / "qm9.db"
    assert config.acquisition.name == f"{tmp_path}/mine.py:score"
    assert config.simulator.kind == f"{tmp_path.parent}/sims.py:Sim"
    assert config.campaign_folder == Path("out")  # the folder alone is relative to the working directory


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (BASE + "seeds: no.smi\n", "seeds"),
        (BASE + "dataset: no.db\n", "dataset"),
        ("name: a\nproposer: {kind: pool, file: no.smi}\n", "proposer.file"),
        (BASE + "seeds: .\n", "seeds"),
    ],
)
def test_a_file_that_is_missing_is_told_in_full(load, tmp_path: Path, text: str, key: str) -> None:
    message = refused(load, text)
    assert message.startswith(f"{key}: there is no file {tmp_path}")
    assert ("alkit data import" in message) == (key == "dataset")


def test_a_dictionary_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeds.smi").write_text("C\n")
    config = check_config({"name": "a", "proposer": "generator", "seeds": "seeds.smi"})
    assert config.seeds == tmp_path / "seeds.smi"
    with pytest.raises(ConfigError, match="campaign: unknown key 'sed'; the nearest valid key is 'seed"):
        check_config({"name": "a", "proposer": "generator", "sed": 1})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lcmd", "lcmd"),
        ("a.py:f", "/base/a.py:f"),
        ("/x/a.py:f", "/x/a.py:f"),
        ("package:name", "package:name"),
    ],
)
def test_code_paths_are_made_absolute(name: str, expected: str) -> None:
    assert absolute_code_path(name, Path("/base")) == expected


# --- schema, difference ----------------------------------------------------------------------------------
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
        ("surrogate: {depth_decay: 0.5}\n", "set learning: pretrain or warm_start: true"),
        (
            "surrogate: {learning: pretrain, mode: 2d}\n",
            "learning: pretrain takes its cheap labels at a geometry",
        ),
        ("surrogate: {ema: 0.9, precision: 64}\n", "with precision 64 leave it at 0"),
        ("surrogate: {gaussians: 1}\n", "input should be greater than or equal to 2"),
        ("surrogate: {learning: both}\n", "input should be 'direct', 'delta' or 'pretrain' (given: 'both')"),
        (
            "surrogate: {geometry: dft}\n",
            "input should be 'mmff', 'etkdg', 'xtb' or 'dataset' (given: 'dft')",
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
    assert {"gaussians", "cutoff", "lr", "precision", "uncertainty", "device"} < {f.name for f in shared}
    for field in shared:
        assert getattr(section, field.name) == field.default, field.name
    options = inspect.signature(train).parameters
    for field in shared:
        if field.name in options:
            assert options[field.name].default == field.default, field.name


def test_a_campaign_keeps_the_defaults_that_it_began_with():
    config = check_config({"name": "a", "proposer": "generator"})
    assert keep_earlier_defaults(config, {"surrogate": {"gaussians": 20}}).surrogate.gaussians == 20
    assert keep_earlier_defaults(config, {"surrogate": {"gaussians": 33}}).surrogate.gaussians == 40
    chosen = check_config({"name": "a", "proposer": "generator", "surrogate": {"gaussians": 40}})
    assert keep_earlier_defaults(chosen, {"surrogate": {"gaussians": 20}}).surrogate.gaussians == 40
