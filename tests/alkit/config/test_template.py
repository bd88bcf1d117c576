"""alkit.config.template: a template that loads as it is, with every key of the schema."""

from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from alkit.config.loading import load_config
from alkit.config.proposer import GeneratorConfig, PoolConfig
from alkit.config.schema import CampaignConfig
from alkit.config.template import recipe, template
from alkit.errors import ConfigError

PROPOSERS = {"generator": GeneratorConfig, "pool": PoolConfig}


def expected_keys(schema: type[BaseModel], proposer: type[BaseModel]) -> dict:
    keys = {}
    for name, field in schema.model_fields.items():
        inner = proposer if name == "proposer" else field.annotation
        inner = next((one for one in get_args(inner) if one is not type(None)), inner)
        # One that is missing unless it is given is a key alone.
        is_section = field.default is not None and isinstance(inner, type) and issubclass(inner, BaseModel)
        keys[name] = expected_keys(inner, proposer) if is_section else None
    return keys


def found_keys(data: dict) -> dict:
    return {
        key: found_keys(value) if isinstance(value, dict) and value else None for key, value in data.items()
    }


@pytest.mark.parametrize("kind", ["generator", "pool"])
def test_the_template_has_every_key_in_the_schemas_order(kind: str) -> None:
    data = yaml.safe_load(template(kind))
    expected = expected_keys(CampaignConfig, PROPOSERS[kind])
    assert found_keys(data) == expected
    assert list(data) == list(CampaignConfig.model_fields)


def test_the_generator_template_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(template(), encoding="utf-8")
    path_short = tmp_path / "short.yaml"
    path_short.write_text("name: my-campaign\nproposer: generator\n")
    assert load_config(path) == load_config(path_short)


def test_the_pool_template_offers_the_seeds_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(template("pool"), encoding="utf-8")
    assert load_config(path).proposer == PoolConfig(kind="pool")
    (tmp_path / "pool.smi").write_text("C\n")
    config = load_config(path, ["proposer.file=pool.smi"])
    assert config.proposer == PoolConfig(kind="pool", file=tmp_path / "pool.smi")


@pytest.mark.parametrize("kind", ["generator", "pool"])
def test_every_key_is_explained_and_nothing_is_undefined(kind: str) -> None:
    lines = template(kind).splitlines()
    assert "Undefined" not in template(kind)
    for line in lines[1:]:
        if line and not line.endswith(":"):
            assert " # " in line, line
    assert template(kind).endswith("\n")


@pytest.mark.parametrize(
    "name", ["quickstart", "few_labels", "optimise", "gap", "pareto", "qm9_pool", "qm9_delta"]
)
def test_recipes_ship_with_the_package(name):
    text = recipe(name)
    assert text == (Path(__file__).parents[3] / "campaigns" / f"{name}.yaml").read_text(encoding="utf-8")
    CampaignConfig.model_validate(yaml.safe_load(text))


def test_a_file_beside_a_recipe_ships_with_it():
    assert len(recipe("optimise.smi").split()) > 700


def test_a_recipe_that_is_not_there_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"no recipe 'quickstar'; the nearest valid name is 'quickstart'"):
        recipe("quickstar")
