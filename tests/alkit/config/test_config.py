"""alkit.config: what a campaign file may say, and the one sentence about what it may not."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from alkit.config import schema
from alkit.config.loading import (
    absolute_code_path,
    check_config,
    load_config,
)
from alkit.config.schema import CampaignConfig
from alkit.errors import ConfigError

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
    assert check_config(json.loads(json.dumps(config.as_dict()))).as_dict() == config.as_dict()


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
        (
            "stop:\n  zzz: 1\n",
            "FILE, line 4: unknown key 'stop.zzz'; valid keys: confidence, hours, labels, ",
        ),
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
        ("surrogate:\n  members: 1\n", "surrogate: members is 1, which has no spread; give 2 or more"),
        ("surrogate:\n  plateau_factor: 1.0\n", "surrogate.plateau_factor: input should be less than 1"),
        ("surrogate: 3\n", "FILE, line 3: surrogate: input should be a valid dictionary"),
        ("surrogate:\n", "FILE, line 3: surrogate: input should be a valid dictionary"),
        ("surrogate: {mode: 4d}\n", "surrogate.mode: input should be '2d' or '3d' (given: '4d')."),
        (
            "target: gaap\n",
            "gaap is no property that alkit knows; say with surrogate.pooling",
        ),
        ("batch_size: [1]\n", "FILE, line 3: batch_size: input should be a valid integer."),
        ("start:\n  validation: 3\n", "start: validation is 3; give 5 or more, or 0"),
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
