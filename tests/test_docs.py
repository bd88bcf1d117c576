"""The documentation as a reader follows it: every block of every page runs, every link leads somewhere."""

import csv
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from campaign_files import small_seeds
from docs_pages import Reader, blocks_of, pages, run_alkit

from alkit.acquisition import Pool, RoundContext, resolve, select
from alkit.acquisition.base import adapt
from alkit.config.loading import check_config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIAL = [DOCS / "tutorial" / f"{name}.md" for name in ("first_campaign", "own_function", "own_data")]

# Keys that make a part of a campaign file a whole one.
_NONE_APART: dict[str, Any] = {"start": {"validation": 0}}
BASES: dict[str, dict[str, Any]] = {
    "concepts/loop": {"proposer": "pool"},
    "how_to/ask_tell": {"proposer": "pool", "simulator": {"kind": "manual", "settings": {"level": "PBE0"}}},
    "how_to/choose_a_mode": _NONE_APART,
    "how_to/delta_and_baselines": _NONE_APART,
    "how_to/own_data": {"proposer": "pool", "simulator": "lookup"},
}
# Pages with a campaign that has run already, in runs/ under these names.
FINISHED = {
    "how_to/compare": ("first", "second"),
    "how_to/resume_and_extend": ("mine",),
    "how_to/schnetpack_and_ase": ("mine",),
    "reference/ledger": ("first",),
}
CAMPAIGN = {
    *FINISHED,
    "how_to/ask_tell",
    "how_to/forces",
    "how_to/mlflow",
    "how_to/notebook",
    "how_to/own_data",
    "how_to/parts",
    "how_to/properties",
}
LONG = {"concepts/generator"}


def key_of(page: Path) -> str:
    return str(page.relative_to(DOCS).with_suffix(""))


def to_follow() -> list[Any]:
    shown = []
    for page in pages(DOCS):
        if page not in TUTORIAL and blocks_of(page):
            key = key_of(page)
            marks = [pytest.mark.campaign] * (key in CAMPAIGN) + [pytest.mark.long] * (key in LONG)
            shown.append(pytest.param(page, id=key, marks=marks))
    return shown


@pytest.fixture
def project(tmp_path, monkeypatch, _mlflow_database) -> Path:
    """A folder with the files of the repository that pages name, in which the process stands."""
    for name in ("examples", "campaigns"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(_mlflow_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def tiny_campaign(folder: Path) -> dict[str, Any]:
    """As small as campaigns go, with every real part."""
    return {
        "name": "mine",
        "seed": 3,
        "target": "energy",
        "seeds": str(small_seeds(folder)),
        "domain": {"elements": ["H", "C", "N", "O", "F"], "max_heavy_atoms": 5},
        "start": {"training": 12, "validation": 5, "test": 6},
        "target_set": "none",
        "proposer": {"kind": "pool", "per_round": 30},
        "surrogate": {"members": 2, "features": 16, "interactions": 1, "epochs": 4, "batch_size": 8},
        "acquisition": "std",
        "batch_size": 4,
        "stop": {"rounds": 1},
    }


def write_smiles(folder: Path) -> None:
    lines = small_seeds(folder).read_text().splitlines()
    (folder / "molecules.smi").write_text("\n".join(lines[:60]) + "\n")


def write_energies(folder: Path) -> None:
    rows = (ROOT / "examples" / "energies.csv").read_text().splitlines()
    (folder / "mine.csv").write_text("\n".join(rows[:61]) + "\n")


def write_solubilities(folder: Path) -> None:
    """RDKit's logP with the other sign stands for measured numbers."""
    from rdkit import Chem
    from rdkit.Chem.Crippen import MolLogP

    write_smiles(folder)
    smiles = (folder / "molecules.smi").read_text().split()
    with (folder / "mine.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["smiles", "logS"])
        table.writerows([one, -MolLogP(Chem.MolFromSmiles(one))] for one in smiles)


def write_dynamics(folder: Path) -> None:
    """Shaken ethanol with GFN2-xTB energies and forces."""
    import ase.io
    from ase.build import molecule
    from ase.calculators.singlepoint import SinglePointCalculator
    from tblite.ase import TBLite

    rng = np.random.default_rng(0)
    for name, count in (("md", 40), ("unseen", 8), ("new", 3)):
        frames = []
        for _ in range(count):
            atoms = molecule("CH3CH2OH")
            atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
            atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
            energy, forces = atoms.get_potential_energy(), atoms.get_forces()
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
            frames.append(atoms)
        ase.io.write(folder / f"{name}.extxyz", frames)
    said = "--property energy=energy --unit eV --kind total --references GFN2-xTB --level GFN2-xTB"
    run_alkit(["data", "import", "unseen.extxyz", "--to", "unseen.db", *said.split()])


def write_model(folder: Path) -> None:
    from surrogate import AtomReferences, Ensemble, ModelSettings
    from surrogate.schnet import build_model

    settings = ModelSettings(features=8, interactions=1, gaussians=8)
    members = [build_model(settings, seed=k) for k in range(2)]
    Ensemble(settings, AtomReferences((1, 6, 7, 8, 9), (-2.0,) * 5), members).save(folder / "model")


def write_cluster(folder: Path) -> None:
    (block,) = [block for block in blocks_of(DOCS / "how_to" / "cluster.md") if block.file]
    (folder / "cluster.py").write_text(block.text)


def write_targets(folder: Path) -> None:
    shutil.copy(small_seeds(folder), folder / "ours.smi")


def write_first_notebook(folder: Path) -> None:
    settings = tiny_campaign(folder) | {"folder": "run"}
    (folder / "mine.yaml").write_text(yaml.safe_dump(settings))


def run_my_campaign(folder: Path) -> None:
    from alkit import Campaign

    settings = tiny_campaign(folder) | {"name": "my-campaign"}
    settings["surrogate"]["mode"] = "2d"
    Campaign(settings).run()


SETUPS: dict[str, Callable[[Path], None]] = {
    "concepts/generator": write_smiles,
    "concepts/loop": write_targets,
    "how_to/ask_tell": write_energies,
    "how_to/forces": write_dynamics,
    "how_to/mlflow": run_my_campaign,
    "how_to/notebook": write_first_notebook,
    "how_to/own_data": write_energies,
    "how_to/parts": write_smiles,
    "how_to/properties": write_solubilities,
    "how_to/schnetpack_and_ase": write_model,
    "reference/engines": write_cluster,
    "reference/proposers": write_smiles,
}


@pytest.fixture
def finished(make_once, _mlflow_database) -> Callable[[Path, tuple[str, ...]], None]:
    """Puts a campaign that has run its round into a folder, under the names given."""

    def make(folder: Path) -> None:
        shutil.copy(_mlflow_database, folder / "mlflow.db")
        (folder / "mine.yaml").write_text(yaml.safe_dump(tiny_campaign(folder) | {"seeds": "seeds.smi"}))
        script = (
            f"import os; os.chdir({str(folder)!r}); from alkit import Campaign; Campaign('mine.yaml').run()"
        )
        subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)

    def put(folder: Path, names: tuple[str, ...]) -> None:
        made = make_once("finished-campaign", make)
        shutil.copytree(made, folder, dirs_exist_ok=True)
        for name in names:
            if name != "mine":
                shutil.copytree(folder / "runs" / "mine", folder / "runs" / name)

    return put


@pytest.mark.parametrize("page", to_follow())
def test_a_page_can_be_followed(page, project, finished):
    key = key_of(page)
    if key in FINISHED:
        finished(project, FINISHED[key])
    if key in SETUPS:
        SETUPS[key](project)
    Reader(project, BASES.get(key)).follow(page)


@pytest.mark.campaign
def test_the_tutorial_can_be_followed(project):
    reader = Reader(project)
    for page in TUTORIAL:
        reader.follow(page)
    assert len(_choose(reader.names["score"])) == 10
    assert {path.name for path in (project / "runs").iterdir()} == {
        "first",
        "mine",
        "random",
        "own-data",
        "own-delta",
    }


def _choose(given: Any, n: int = 40, batch_size: int = 10) -> list[int]:
    rng = np.random.default_rng(0)
    draw = rng.normal
    pool = Pool(("C",) * n, draw(size=(3, n)), rng.random(n), draw(size=(n, 6)).astype("f4"), np.ones(n))
    context = RoundContext(1, ("C",) * 5, draw(size=5), draw(size=(5, 6)).astype("f4"), rng)
    return select(adapt(given, "example"), "example", pool, context, batch_size)


@pytest.mark.campaign
def test_the_readme_can_be_followed(project):
    """Its commands in their order, on the files that are there; make's are known to make."""
    for block in blocks_of(ROOT / "README.md"):
        for line in block.text.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["make"]:
                subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    Reader(project).follow(ROOT / "README.md")


def test_the_domain_of_the_docs(tmp_path):
    from alkit.campaign.domain import Domain

    rules, predicate = blocks_of(DOCS / "how_to" / "domain.md")
    (tmp_path / "mine.py").write_text(predicate.text)
    given = {"name": "x", "proposer": "generator"} | yaml.safe_load(rules.text)
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
    given = yaml.safe_load(recipe.read_text())
    given.pop("dataset", None)  # a data set is made by the user, first
    if given.get("simulator") == "lookup":
        given |= {"simulator": "xtb", "proposer": "generator", "target_set": "seeds"}
        given["surrogate"]["geometry"] = "mmff"
        assert given["surrogate"]["mode"] == "3d"
    config = check_config(given, path=recipe)
    resolve(config.acquisition.name, config.acquisition.settings)


def test_every_event_of_json_lines_is_documented():
    from dataclasses import fields

    from alkit.reporting.events import EVENTS

    page = (DOCS / "reference" / "output.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, flags=re.M))
    assert set(rows) == set(EVENTS)
    for name, kind in EVENTS.items():
        for attribute in fields(kind):
            assert f"`{attribute.name}`" in rows[name], (name, attribute.name)


def test_every_property_is_documented():
    """The table has every property that alkit knows, with unit and kind."""
    from alkit.properties import TABLE

    text = (DOCS / "how_to" / "properties.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:5] for line in text.splitlines() if line[:3] == "| `"]
    listed = {
        name: (unit.strip(), kind.strip())
        for names, _, unit, kind in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    assert {one.name: (one.unit, one.kind) for one in TABLE}.items() <= listed.items()


def test_links_lead_somewhere():
    """Files are there, and so are the headings that links name."""
    files = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "campaigns/README.md")]
    for page in [*files, *DOCS.rglob("*.md")]:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
            other = page.parent / target if target else page
            assert other.exists(), f"{page.name}: {target}"
            if anchor:
                assert anchor in _anchors(other), f"{page.name}: {target}#{anchor}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_pages_that_code_names_are_there():
    """Comments, docstrings and messages say docs/…; decisions by their number."""
    for folder in ("alkit", "surrogate", "generator", "benchmarks", "campaigns", "examples"):
        for file in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.yaml")]:
            for name in re.findall(r"docs/[\w/]+(?:\.md)?", file.read_text(encoding="utf-8")):
                there = (ROOT / name).exists() or list(ROOT.glob(f"{name}*"))
                assert there, f"{file.relative_to(ROOT)}: {name}"


def test_the_site_builds_without_a_warning(tmp_path):
    """As ``make docs`` does: links, headings and docstrings are checked there."""
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run([*command, str(DOCS), str(tmp_path / "site")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    for name, words in {
        "reference/campaign_file": ("surrogate.pretraining", "Molecules acquired each round."),
        "reference/command_line": ("alkit campaign fork", "--log-file"),
        "reference/python/campaigns": ("recommend", "add_labels", "Raises"),
        "results": ("Labels to chemical accuracy",),
        "contributing/index": ("The layout",),
    }.items():
        page = (tmp_path / "site" / f"{name}.html").read_text(encoding="utf-8")
        assert all(word in page for word in words), name


def test_every_key_of_the_campaign_file_is_explained():
    sys.path.insert(0, str(DOCS / "_site"))
    try:
        import from_code
    finally:
        sys.path.pop(0)
    rows = [line for line in from_code.campaign_file().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert not [row for row in rows if row.endswith("|  |")]
