"""The examples in the documentation run as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest

from alkit.acquisition import Pool, RoundContext, resolve, select
from alkit.acquisition.base import adapt
from alkit.campaign.data_file import database_of
from alkit.config.loading import check_config
from alkit.config.schema import CampaignConfig
from alkit.datasets import Dataset

ROOT = Path(__file__).parents[1]


def _blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.S)


def _choose(given, n=40, batch_size=10) -> list[int]:
    rng = np.random.default_rng(0)
    draw = rng.normal
    pool = Pool(("C",) * n, draw(size=(3, n)), rng.random(n), draw(size=(n, 6)).astype("f4"), np.ones(n))
    context = RoundContext(1, ("C",) * 5, draw(size=5), draw(size=(5, 6)).astype("f4"), rng)
    return select(adapt(given, "example"), "example", pool, context, batch_size)


def test_the_readme_runs(tiny, write_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tiny, "mine.yaml")
    names: dict = {}
    for block in _blocks(ROOT / "README.md", "python"):
        exec(block, names)
    assert len(_choose(names["score"])) == 10
    assert names["result"].metrics[-1]["round"] == 1


def test_the_acquisition_class_of_the_docs():
    names: dict = {}
    (block,) = _blocks(ROOT / "docs" / "acquisition.md", "python")
    exec(block, names)
    assert len(set(_choose(names["Greedy"]))) == 10


def test_the_acquisition_settings_of_the_docs():
    (block,) = _blocks(ROOT / "docs" / "acquisition.md", "yaml")
    import yaml

    for line in block.splitlines():
        check_config({"name": "x", "proposer": "generator"} | yaml.safe_load(line))


def test_the_notebook_of_the_docs(tiny, write_config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_config(tiny | {"folder": "run", "acquisition": "std"}, "mine.yaml")
    names: dict = {"__name__": "__main__"}
    for block in _blocks(ROOT / "docs" / "notebook.md", "python"):
        exec(block, names)
    assert len(names["errors"]) == len(names["results"]) == 2
    assert names["reasons"].sum() == (names["candidates"].status == "rejected").sum()
    assert names["lowest"] in set(names["labels"].smiles)
    assert names["predictions"].reason.ne("").tolist() == [False, False, True]
    assert names["of_atoms"].smiles.tolist() == ["CO"]
    assert len(names["surrogate"].members) == 2
    assert len(names["taken"]) == tiny["batch_size"]
    water = names["campaign"].labels()
    assert water.method.unique().tolist() == ["GFN2-xTB, ALPB water, single point"]
    assert names["campaign"].candidates().query("origin == 'custom'").smiles.str.contains("O").all()
    assert "round 1: " in capsys.readouterr().out
    assert len(names["pool"]) == len(names["scores"]) == 500


def test_the_domain_of_the_docs(tmp_path):
    import yaml

    from alkit.campaign.domain import Domain

    (rules,) = _blocks(ROOT / "docs" / "domain.md", "yaml")
    (predicate,) = _blocks(ROOT / "docs" / "domain.md", "python")
    (tmp_path / "mine.py").write_text(predicate)
    given = {"name": "x", "proposer": "generator"} | yaml.safe_load(rules)
    given["domain"]["allowed"] = str(tmp_path / "mine.py:allowed")
    domain = Domain(check_config(given).domain)
    expected = {
        "OCCCO": None,
        "CCCCC": "missing_pattern",
        "OCNN": "forbidden_pattern",
        "OCCCCCCCC": "outside_range",
        "OC1CC1": "not_allowed",
    }
    assert {one: (domain.outside(one) or (None,))[0] for one in expected} == expected


@pytest.mark.parametrize("recipe", sorted((ROOT / "campaigns").glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_valid(recipe):
    import yaml

    given = yaml.safe_load(recipe.read_text())
    given.pop("dataset", None)  # a data set is made by the user, first
    if given.get("simulator") == "lookup":
        given |= {"simulator": "xtb", "proposer": "generator", "target_set": "seeds"}
        given["surrogate"]["geometry"] = "mmff"
        assert given["surrogate"]["mode"] == "3d"
    config = check_config(given, path=recipe)
    resolve(config.acquisition.name, config.acquisition.settings)


def test_labels_by_hand_of_the_docs(tiny):
    from alkit.simulators.xtb import XTBSimulator

    simulator = XTBSimulator(target="energy")

    def my_program(atoms):
        from alkit.datasets.structures import perceived_smiles
        from alkit.molecules import Molecule

        smiles = perceived_smiles(atoms.numbers, atoms.positions)
        return simulator.label(Molecule(smiles, atoms.numbers, atoms.positions, "mmff")).value

    tiny["simulator"] = {"kind": "manual", "settings": {"level": "GFN2-xTB"}}
    tiny["proposer"] = "pool"
    names = {"config": tiny, "my_program": my_program}
    (block,) = _blocks(ROOT / "docs" / "by_hand.md", "python")
    exec(block, names)
    assert names["answer"].labelled == 3
    assert set(names["batch"].smiles) <= {"CCO", "CCN", "CC=O", "C1CC1", "COC"}


def test_campaign_files_of_labels_by_hand():
    import yaml

    start, manual = _blocks(ROOT / "docs" / "by_hand.md", "yaml")
    for line in (start.splitlines()[0], "\n".join(start.splitlines()[1:]), manual):
        CampaignConfig.model_validate({"name": "x", "proposer": "pool"} | yaml.safe_load(line))


def test_the_calculator_of_the_docs(tmp_path, monkeypatch):
    from surrogate import AtomReferences, Ensemble, ModelSettings
    from surrogate.schnet import build_model

    monkeypatch.chdir(tmp_path)
    settings = ModelSettings(features=8, interactions=1, gaussians=8)
    members = [build_model(settings, seed=k) for k in range(2)]
    Ensemble(settings, AtomReferences((1, 6, 7, 8, 9), (-2.0,) * 5), members).save(tmp_path / "model")
    (block,) = _blocks(ROOT / "docs" / "interoperability.md", "python")
    names: dict = {}
    exec(block, names)
    assert names["atoms"].calc.results["forces"].shape == (9, 3)


def test_every_event_of_json_lines_is_documented():
    from dataclasses import fields

    from alkit.reporting.events import EVENTS

    page = (ROOT / "docs" / "terminal.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, flags=re.M))
    assert set(rows) == set(EVENTS)
    for name, kind in EVENTS.items():
        for attribute in fields(kind):
            assert f"`{attribute.name}`" in rows[name], (name, attribute.name)


def test_the_tracking_settings_of_the_docs():
    import yaml

    (block,) = _blocks(ROOT / "docs" / "tracking.md", "yaml")
    for line in block.splitlines():
        check_config({"name": "x", "proposer": "generator"} | yaml.safe_load(line))


def test_the_logged_model_of_the_docs(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from alkit import Campaign

    tiny["surrogate"]["mode"] = "2d"
    Campaign(tiny | {"name": "my-campaign"}).run()
    names: dict = {}
    (block,) = _blocks(ROOT / "docs" / "tracking.md", "python")
    exec(block, names)
    assert len(names["predictions"]) == 2
    assert np.isfinite(names["predictions"].prediction_eV).all()


def test_the_log_of_the_docs(caplog):
    import logging

    from alkit.reporting.progress import CampaignProgress

    (block,) = _blocks(ROOT / "docs" / "terminal.md", "python")
    try:
        exec(block, {})
        CampaignProgress().say("heard")
    finally:
        logging.getLogger("alkit").setLevel(logging.NOTSET)
    assert [record.getMessage() for record in caplog.records] == ["heard"]


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_import_of_the_docs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = _blocks(ROOT / "docs" / "own_data.md", "python")
    names: dict = {}
    exec(block, names)
    assert names["report"].written == 3
    assert names["data"].atomization("u0").tolist() == [-17.2, -29.9, -21.1]


def test_the_forces_of_the_docs():
    (block,) = _blocks(ROOT / "docs" / "forces.md", "python")
    names: dict = {}
    exec(block, names)
    assert names["predicted"].shape == (10,)
    assert [one.shape for one in names["slopes"]] == [(9, 3)] * 10


def test_the_data_set_of_the_docs(tmp_path, monkeypatch):
    import yaml

    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{'C' * n}O,{-115.7 - 39.31 * (n - 1)}\n" for n in range(1, 31))
    (tmp_path / "mine.csv").write_text(f"smiles,E_tot\n{rows}")
    (block,) = _blocks(ROOT / "docs" / "own_data.md", "yaml")
    config = check_config({"name": "x", "proposer": "pool", "simulator": "lookup"} | yaml.safe_load(block))
    data = Dataset.open(database_of(config))
    assert len(data) == 30
    assert data.level_of("u0") == "PBE0/def2-TZVP (atoms fitted)"
    assert database_of(config) == database_of(config)


def test_the_properties_of_the_docs():
    """The table has every property that alkit knows, with unit and kind; the campaign's keys are valid."""
    import yaml

    from alkit.properties import TABLE

    path = ROOT / "docs" / "properties.md"
    rows = [
        line.split("|")[1:5] for line in path.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"
    ]
    listed = {
        name: (unit.strip(), kind.strip())
        for names, _, unit, kind in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    assert {one.name: (one.unit, one.kind) for one in TABLE}.items() <= listed.items()
    (block,) = _blocks(path, "yaml")
    check_config({"name": "x", "proposer": "generator"} | yaml.safe_load(block))
