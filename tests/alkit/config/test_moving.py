"""alkit.config.moving: a project that was moved or copied has the same campaign in it."""

import shutil
from pathlib import Path

import pytest
import yaml

from alkit.config import moving
from alkit.config.loading import load_config
from alkit.config.schema import CampaignConfig

CAMPAIGN = {
    "name": "one",
    "seeds": "data/seeds.smi",
    "proposer": {
        "kind": "mix",
        "parts": [
            {"kind": "pool", "file": "data/pool.smi"},
            {"kind": "custom", "name": "./mine.py:Mine"},
        ],
    },
    "acquisition": "./mine.py:score",
    "simulator": {"kind": "./mine.py:Simulator", "cache": "labels.sqlite"},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "seeds.smi").write_text("CCO\n")
    (folder / "data" / "pool.smi").write_text("CCN\n")
    (folder / "mine.py").write_text("")
    (folder / "one.yaml").write_text(yaml.safe_dump(CAMPAIGN))
    return folder


def stored(config: CampaignConfig) -> tuple:
    return moving.relative(config.as_dict(), config.base), config.base, moving.contents(config)


def test_what_is_kept_names_no_absolute_path_and_comes_back(project):
    config = load_config(project / "one.yaml")
    values, base, known = stored(config)
    assert str(project) not in str(values)
    assert values["seeds"] == "./data/seeds.smi"
    assert values["acquisition"]["name"] == "./mine.py:score"
    assert sorted(known) == ["proposer.parts.0.file", "seeds"]
    assert moving.absolute(values, base) == config.as_dict()
    assert moving.changed(values, base, known, config) == []


@pytest.mark.parametrize("how", [shutil.copytree, shutil.move])
def test_a_project_elsewhere_is_the_same_campaign(project, tmp_path, how):
    kept = stored(load_config(project / "one.yaml"))
    how(project, tmp_path / "other")
    assert moving.changed(*kept, load_config(tmp_path / "other" / "one.yaml")) == []


def test_of_data_the_content_counts(project):
    kept = stored(load_config(project / "one.yaml"))
    (project / "data" / "seeds.smi").rename(project / "start.smi")
    (project / "one.yaml").write_text(yaml.safe_dump(CAMPAIGN | {"seeds": "start.smi"}))
    assert moving.changed(*kept, load_config(project / "one.yaml")) == []
    (project / "start.smi").write_text("CCC\n")
    (line,) = moving.changed(*kept, load_config(project / "one.yaml"))
    assert line.startswith("seeds: content ")


def test_molecules_for_pretraining_are_data_too(project):
    first = {"surrogate": {"pretraining": {"level": "gfn2", "file": "data/pool.smi"}}}
    (project / "one.yaml").write_text(yaml.safe_dump(CAMPAIGN | first))
    config = load_config(project / "one.yaml")
    values, base, known = stored(config)
    assert values["surrogate"]["pretraining"]["file"] == "./data/pool.smi"
    assert moving.absolute(values, base) == config.as_dict()
    (project / "data" / "pool.smi").write_text("CCCN\n")
    (line, _) = moving.changed(values, base, known, load_config(project / "one.yaml"))
    assert "content" in line


def test_of_code_the_place_counts(project):
    kept = stored(load_config(project / "one.yaml"))
    (project / "mine.py").write_text("# corrected")
    assert moving.changed(*kept, load_config(project / "one.yaml")) == []
    (project / "yours.py").write_text("")
    (project / "one.yaml").write_text(yaml.safe_dump(CAMPAIGN | {"acquisition": "./yours.py:score"}))
    (line,) = moving.changed(*kept, load_config(project / "one.yaml"))
    assert line.startswith("acquisition.name: ")


def test_the_same_files_named_from_another_folder(project):
    """A campaign of Python's, from the folder above, and its file name the same code."""
    kept = stored(load_config(project / "one.yaml"))
    (project / "sub").mkdir()
    there = yaml.safe_dump(CAMPAIGN).replace("./mine.py", "../mine.py").replace("data/", "../data/")
    (project / "sub" / "one.yaml").write_text(there)
    assert moving.changed(*kept, load_config(project / "sub" / "one.yaml")) == []


def test_ledgers_of_earlier_revisions_hold_absolute_paths(project, tmp_path):
    config = load_config(project / "one.yaml")
    assert moving.changed(config.as_dict(), config.base, None, config) == []
    shutil.copytree(project, tmp_path / "other")
    other = load_config(tmp_path / "other" / "one.yaml")  # what the data held is not known
    assert len(moving.changed(config.as_dict(), other.base, None, other)) == 5
