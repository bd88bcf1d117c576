"""alkit.campaign.asking and telling: labels that people compute, with real campaigns and labels."""

import csv
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas
import pytest
import yaml
from ase import Atoms
from ase.io import read, write
from campaign_files import small_seeds, write_table
from typer.testing import CliRunner

from alkit.campaign import asking
from alkit.campaign.campaign import Campaign, open_campaign
from alkit.campaign.folder import locked_folder
from alkit.campaign.forking import fork
from alkit.campaign.label_files import read_label_rows, rows_of_frame
from alkit.campaign.telling import tell
from alkit.cli.app import app
from alkit.errors import CampaignError, ConfigError, DataError
from alkit.simulators.base import Label
from alkit.simulators.references import ATOM_ENERGIES
from alkit.storage.ledger import Ledger
from alkit.storage.ledger_export import labels as labels_of

from .test_campaign import _KILLED_RUNS

pytestmark = pytest.mark.campaign
MANUAL = {"kind": "manual", "settings": {"level": "GFN2-xTB"}}


def config(folder: Path, uri: str) -> dict:
    return {
        "name": "hand",
        "seed": 5,
        "folder": str(folder / "run"),
        "target": "energy",
        "seeds": str(small_seeds(folder)),
        "domain": {"max_heavy_atoms": 5},
        "start": {"training": 10, "validation": 5, "test": 6},
        "target_set": "none",
        "proposer": {"kind": "pool", "per_round": 20},
        "surrogate": {"mode": "2d", "members": 2, "features": 8, "interactions": 1, "epochs": 3},
        "acquisition": "std",
        "batch_size": 4,
        "simulator": MANUAL,
        "stop": {"rounds": 2},
        "tracking": {"uri": uri},
    }


@pytest.fixture(scope="session")
def made(make_once, _mlflow_database) -> Path:
    """A campaign with labels of GFN2-xTB (auto), and one by hand that waits for those of round 1."""

    def make(folder: Path) -> None:
        shutil.copy(_mlflow_database, folder / "mlflow.db")
        given = config(folder, f"sqlite:///{folder / 'mlflow.db'}")
        automatic = {"folder": str(folder / "auto"), "simulator": {"kind": "xtb", "cache": "none"}}
        Campaign(given | automatic).run()
        known = labels(folder / "auto")
        by_hand = Campaign(given)
        assert by_hand.run().waiting == 21
        tell_all(by_hand.folder, known)
        assert by_hand.run().waiting == 4

    return make_once("by_hand", make)


def labels(folder: Path) -> dict[str, Label]:
    with closing(open_campaign(folder)[1]) as ledger:
        return {label.smiles: label for label in labels_of(ledger)}


def tell_all(folder: Path, known: dict[str, Label]) -> None:
    rows = [
        {"smiles": s, "energy": known[s].value} for s in (one.smiles for one in asking.ask(folder).wanted)
    ]
    assert tell(folder, rows_of_frame(rows), what="rows").to_come == 0


@pytest.fixture
def waiting(made, tmp_path) -> Path:
    """A copy of the campaign that waits for 4 labels of round 1."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


@pytest.fixture
def known(made) -> dict[str, Label]:
    """Labels of GFN2-xTB by SMILES."""
    return labels(made / "auto")


def alkit(*arguments: object) -> tuple[int, str, str]:
    """A command: exit code, standard output, the sentence of the error or what went to standard error."""
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, done.stdout, str(done.exception or done.stderr)


def wanted(folder: Path) -> list[str]:
    return [one.smiles for one in asking.ask(folder).wanted]


def contents(folder: Path) -> dict[str, list]:
    queries = {
        "candidates": "SELECT id, round, smiles, status, reason, role FROM candidates ORDER BY id",
        "labels": "SELECT smiles, method, property, unit, value FROM labels ORDER BY smiles",
        "stages": "SELECT round, stage FROM stages ORDER BY round, stage",
    }
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        return {name: db.execute(query).fetchall() for name, query in queries.items()}


def metric_values(folder: Path) -> list[float]:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        return [row[0] for row in db.execute("SELECT value FROM metrics ORDER BY round, name")]


def test_told_the_labels_of_an_automatic_campaign_it_ends_as_that_one(made, tmp_path, known):
    """In parts, in another order, in several formats."""
    given = config(tmp_path, f"sqlite:///{shutil.copy(made / 'mlflow.db', tmp_path / 'mlflow.db')}")
    shutil.copy(made / "seeds.smi", tmp_path / "seeds.smi")
    campaign = Campaign(given)
    assert campaign.run().waiting == 21
    folder = campaign.folder
    asking.write_batch(asking.ask(folder), tmp_path / "batch.csv")
    with (tmp_path / "batch.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    lines = ["\ufeffSMILES;energy_eV"]  # a spreadsheet's: BOM, semicolons, decimal commas, CRLF
    lines += [f"{row['smiles']};{known[row['smiles']].value!r}".replace(".", ",") for row in rows[:12]]
    (tmp_path / "first.csv").write_bytes("\r\n".join(lines).encode())
    assert tell(folder, read_label_rows(tmp_path / "first.csv"), what="first").to_come == 9
    assert campaign.run().waiting == 9
    for row in rows:
        row["energy_eV"] = repr(known[row["smiles"]].value)
    answer = tell(folder, read_label_rows(write_table(tmp_path / "all.csv", rows)), what="all")
    assert (answer.labelled, answer.repeated, answer.to_come) == (9, 12, 0)

    assert campaign.run().waiting == 4
    asking.write_batch(asking.ask(folder), tmp_path / "batch.xyz")
    structures = read(tmp_path / "batch.xyz", ":")
    for atoms in structures:  # relaxed by a program that keeps neither names nor the order of atoms
        label = known[next(s for s, one in wanted_ids(folder).items() if one == atoms.info["id"])]
        order = np.random.default_rng(0).permutation(len(label.numbers))
        atoms.numbers, atoms.positions = label.numbers[order], label.positions[order]
        atoms.info = {"id": atoms.info["id"], "energy": label.value}
    write(tmp_path / "relaxed.xyz", structures[::-1], format="extxyz")
    assert tell(folder, read_label_rows(tmp_path / "relaxed.xyz"), what="xyz").to_come == 0

    assert campaign.run().waiting == 4
    asking.write_batch(asking.ask(folder), tmp_path / "batch.sdf")
    (tmp_path / "labels.sdf").write_text(told_sdf(tmp_path / "batch.sdf", known))
    assert tell(folder, read_label_rows(tmp_path / "labels.sdf"), what="sdf").to_come == 0
    result = campaign.run()

    assert result.stopped_by == "round 2 of 2 is done"
    automatic = contents(made / "auto")
    assert contents(folder) == automatic
    np.testing.assert_allclose(metric_values(folder), metric_values(made / "auto"), rtol=1e-6)
    _, ledger = open_campaign(folder)
    assert {row["source"] for row in ledger.histories() if row["status"] == "labelled"} == {"manual"}


def wanted_ids(folder: Path) -> dict[str, int]:
    return {one.smiles: one.id for one in asking.ask(folder).wanted}


def told_sdf(batch: Path, known: dict[str, Label]) -> str:
    from rdkit import Chem

    out = batch.with_name("written.sdf")
    with Chem.SDWriter(str(out)) as file:
        for mol in Chem.SDMolSupplier(str(batch), removeHs=False):
            mol.SetDoubleProp("energy", known[mol.GetProp("smiles")].value)
            file.write(mol)
    return out.read_text()


def test_what_is_asked_has_reasons_predictions_and_geometries(waiting, tmp_path):
    batch = asking.ask(waiting)
    assert (batch.round, batch.column, len(batch.wanted)) == (1, "energy_eV", 4)
    for one in batch.wanted:
        assert one.prediction < 0 < one.std
        assert one.why.startswith("std chose it of ")
        assert len(one.molecule.positions) == len(one.molecule.numbers) > 3
    code, out, _ = alkit("campaign", "ask", waiting)
    assert (code, out.count("std chose")) == (0, 4)
    for ending in ("csv", "smi", "xyz", "sdf"):
        code, out, _ = alkit("campaign", "ask", waiting, "--out", tmp_path / f"batch.{ending}")
        assert code == 0, out
        assert "4 molecules" in out
    assert (tmp_path / "batch.smi").read_text().split("\n")[
        0
    ] == f"{batch.wanted[0].smiles} {batch.wanted[0].id}"
    structures = read(tmp_path / "batch.xyz", ":")
    assert isinstance(structures[0], Atoms)
    assert [atoms.info["id"] for atoms in structures] == [one.id for one in batch.wanted]
    assert alkit("campaign", "ask", waiting, "--out", tmp_path / "batch.csv")[2].endswith(
        "nothing is overwritten."
    )
    with pytest.raises(DataError, match=r"ends in '\.doc'"):
        asking.write_batch(batch, tmp_path / "batch.doc")
    assert "4 labels" in alkit("campaign", "status", waiting)[1]


def test_a_batch_that_is_told_as_it_was_asked_changes_nothing(waiting, tmp_path):
    alkit("campaign", "ask", waiting, "--out", tmp_path / "batch.csv")
    code, out, _ = alkit("campaign", "tell", waiting, tmp_path / "batch.csv")
    assert (code, out) == (0, "4 empty; 4 labels to come.\n")


def test_rows_are_refused_one_by_one_and_the_others_kept(waiting, known):
    a, b, c, d = wanted(waiting)
    rows = [
        {"smiles": a, "energy": known[a].value},
        {"smiles": b, "energy": "nan"},
        {"smiles": c, "energy": known[c].value, "method": "PBE0"},
        {"smiles": "CCCCCCCC", "energy": -50.0},
        {"smiles": "not a molecule", "energy": -50.0},
        {"id": 99999, "energy": -50.0},
        {"id": wanted_ids(waiting)[d], "smiles": a, "energy": known[d].value},
        {"smiles": d, "energy": 3.0},
        {"smiles": d, "energy": known[d].value, "reason": "timeout"},
        {"energy": -3.0},
    ]
    answer = tell(waiting, rows_of_frame(rows), what="rows")
    assert (answer.labelled, answer.to_come, len(answer.refused)) == (1, 3, 9)
    said = [why for _, why in answer.refused]
    for why, part in zip(
        said,
        [
            "not a finite number",
            "is of PBE0",
            "CCCCCCCC was not asked for",
            "not a molecule",
            "no molecule that was asked for",
            f"is {d}, and the row says {a}",
            "atomization energy in eV is expected",
            "a label and a reason",
            "names no molecule",
        ],
        strict=True,
    ):
        assert part in why
    assert answer.refused[0].where == "row 2"


def test_a_wrong_unit_is_recognised_and_nothing_is_kept(waiting, known, tmp_path):
    """Total energies in Hartree, where atomization energies in eV are expected."""
    hartree, atoms = 27.211386, ATOM_ENERGIES["GFN2-xTB"]
    rows = [
        {"smiles": s, "energy": (known[s].value + sum(atoms[int(z)] for z in known[s].numbers)) / hartree}
        for s in wanted(waiting)
    ]
    path = write_table(tmp_path / "totals.csv", rows)
    before = contents(waiting)
    code, _, said = alkit("campaign", "tell", waiting, path)
    assert code != 0
    assert "no label was taken" in said
    assert "look like total energies in Hartree. Give --unit hartree --kind total --references FILE" in said
    assert contents(waiting) == before
    free = {"H": atoms[1], "C": atoms[6], "N": atoms[7], "O": atoms[8], "F": atoms[9]}
    references = tmp_path / "atoms.json"
    references.write_text(json.dumps({symbol: energy / hartree for symbol, energy in free.items()}))
    options = ("--unit", "hartree", "--kind", "total", "--references", references)
    code, out, said = alkit("campaign", "tell", waiting, path, *options)
    assert code == 0, said
    assert "4 labels taken; 0 labels to come" in out
    now = labels(waiting)
    assert [now[s].value for s in known if s in now] == pytest.approx(
        [known[s].value for s in known if s in now]
    )


def test_a_column_that_names_another_unit_is_refused(waiting, known):
    rows = [{"smiles": s, "energy_kcal/mol": known[s].value * 23.06} for s in wanted(waiting)]
    with pytest.raises(DataError, match=r"energy_kcal/mol is in kcal/mol, and read in eV"):
        tell(waiting, rows_of_frame(rows), what="rows")
    assert tell(waiting, rows_of_frame(rows), what="rows", unit="kcal/mol").labelled == 4


def test_told_twice_and_corrected(waiting, known):
    a, b, *_ = wanted(waiting)
    rows = [{"smiles": a, "energy": known[a].value - 0.5}, {"smiles": b, "reason": "scf_not_converged"}]
    assert tell(waiting, rows_of_frame(rows), what="rows").to_come == 2
    again = tell(waiting, rows_of_frame(rows), what="rows")
    assert (again.labelled, again.failed, again.repeated) == (0, 0, 2)
    right = [{"smiles": a, "energy": known[a].value}, {"smiles": b, "energy": known[b].value}]
    answer = tell(waiting, rows_of_frame(right), what="rows")  # a label takes the place of a failure
    assert (answer.labelled, [why.partition(" has")[0] for _, why in answer.refused]) == (1, [a])
    assert "--replace" in answer.refused[0].why
    assert tell(waiting, rows_of_frame(right), what="rows", replace=True).labelled == 1
    assert labels(waiting)[a].value == known[a].value
    two = [{"smiles": b, "energy": known[b].value}, {"smiles": b, "energy": known[b].value - 1}]
    with pytest.raises(CampaignError, match="is there twice, with two results"):
        tell(waiting, rows_of_frame(two), what="rows")
    start = next(s for s in labels(waiting) if s not in (a, b))  # of round 0, which is over
    with pytest.raises(CampaignError, match="in round 0, which is over"):
        tell(waiting, rows_of_frame([{"smiles": start, "energy": known[start].value - 0.1}]), what="rows")
    assert (
        tell(waiting, rows_of_frame([{"smiles": start, "energy": known[start].value}]), what="rows").repeated
        == 1
    )


def test_failures_and_what_never_came(waiting, known, tmp_path):
    a, b, *_ = wanted(waiting)
    rows = [{"smiles": a, "reason": "timeout"}, {"smiles": b, "reason": "the node had no disk left"}]
    path = write_table(tmp_path / "failed.csv", rows)
    code, out, _ = alkit("campaign", "tell", waiting, path, "--rest-failed")
    assert (code, out.splitlines()[0]) == (0, "4 failures; 0 labels to come.")
    _, ledger = open_campaign(waiting)
    reasons = {c.smiles: c.reason for c in ledger.candidates(round_=1, status=("failed",))}
    assert (reasons[a], reasons[b]) == ("timeout", "no_label")
    assert sorted(reasons.values()).count("not_labelled") == 2


def test_a_geometry_of_another_molecule_is_refused(waiting, known, tmp_path):
    first = asking.ask(waiting).wanted[0]
    broken = first.molecule.positions.copy()
    broken[-1] += 1.5  # Å, of a hydrogen
    frames = [
        Atoms(first.molecule.numbers, broken, info={"id": first.id, "energy": known[first.smiles].value})
    ]
    write(tmp_path / "broken.xyz", frames, format="extxyz")
    with pytest.raises(CampaignError, match=r"does not have the bonds of .*identity_changed"):
        tell(waiting, read_label_rows(tmp_path / "broken.xyz"), what="broken.xyz")


def test_without_names_the_geometry_says_which_molecule_it_is(waiting, known, tmp_path):
    frames = [
        Atoms(known[s].numbers, known[s].positions, info={"energy": known[s].value}) for s in wanted(waiting)
    ]
    write(tmp_path / "bare.xyz", frames, format="extxyz")
    assert tell(waiting, read_label_rows(tmp_path / "bare.xyz"), what="bare.xyz").labelled == 4


def test_what_cannot_be_asked_or_told_now(made, waiting, known, tmp_path):
    row = [{"smiles": "C", "energy": -18.0}]
    for nowhere in (tmp_path / "none", tmp_path):
        with pytest.raises(CampaignError, match="is not a campaign's folder"):
            asking.ask(nowhere)
        with pytest.raises(CampaignError, match="is not a campaign's folder"):
            tell(nowhere, rows_of_frame(row), what="rows")
    with pytest.raises(CampaignError, match="its simulator is xtb"):
        asking.ask(made / "auto")
    with pytest.raises(CampaignError, match="its simulator is xtb"):
        Campaign(config(tmp_path, "sqlite:///x.db") | {"simulator": "xtb"}).recommend()
    with pytest.raises(CampaignError, match="is of PBE0, and the campaign's labels are GFN2-xTB"):
        tell(waiting, rows_of_frame(row), what="rows", level="PBE0")
    with locked_folder(waiting), pytest.raises(CampaignError, match="in use by another"):
        tell(waiting, rows_of_frame(row), what="rows")
    with closing(Ledger(waiting / "ledger.sqlite")) as ledger:
        ledger.set_meta("stopped_by", "round 1 of 1 is done")
    with pytest.raises(CampaignError, match=r"asks for no labels: it has ended \(round 1 of 1 is done\)"):
        asking.ask(waiting)
    with closing(Ledger(waiting / "ledger.sqlite")) as ledger:
        ledger.set_meta("stopped_by", "")
    with pytest.raises(DataError, match="no column energy_eV"):
        tell(waiting, rows_of_frame([{"smiles": "C", "score": 1.0}]), what="rows")
    with pytest.raises(DataError, match="names no molecules; it has molecule, energy"):
        tell(waiting, rows_of_frame([{"molecule": "C", "energy": -18.0}]), what="rows")
    with pytest.raises(CampaignError, match="holds no labels"):
        tell(waiting, rows_of_frame([]), what="rows")


_KILLED = """
import os, signal, sys
from pathlib import Path
from alkit.campaign import telling
from alkit.campaign.label_files import read_label_rows
from alkit.storage.ledger import Ledger

kept, calls = Ledger.add_outcome, []
def dies(*arguments):
    kept(*arguments)
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
Ledger.add_outcome = dies
telling.tell(Path(sys.argv[1]), read_label_rows(Path(sys.argv[2])), what="labels")
"""


def test_killed_while_it_is_told_nothing_is_kept_and_the_same_tell_works(waiting, known, tmp_path):
    path = write_table(tmp_path / "l.csv", [{"smiles": s, "energy": known[s].value} for s in wanted(waiting)])
    before = contents(waiting)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", _KILLED, waiting, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert contents(waiting) == before
    assert tell(waiting, read_label_rows(path), what="labels").labelled == 4


def test_killed_in_every_stage_between_two_tells_it_ends_the_same(made, tmp_path, known):
    given = config(tmp_path, f"sqlite:///{shutil.copy(made / 'mlflow.db', tmp_path / 'mlflow.db')}")
    shutil.copy(made / "seeds.smi", tmp_path / "seeds.smi")
    file, script = tmp_path / "hand.yaml", tmp_path / "killed.py"
    file.write_text(yaml.safe_dump(given | {"stop": {"rounds": 1}}))
    script.write_text(_KILLED_RUNS)
    folder = Path(given["folder"])

    def kill(*stages: str) -> None:
        heard = subprocess.run(
            [sys.executable, "-W", "ignore", script, file],
            input="".join(f"{stage}\n" for stage in stages),
            capture_output=True,
            text=True,
            check=True,
        )
        assert heard.stdout.split() == [str(-signal.SIGKILL)] * len(stages), heard.stderr

    assert Campaign(file).run().waiting == 21
    tell_all(folder, known)
    kill("train 0", "evaluate 0", "propose 1", "screen 1", "predict 1", "acquire 1")
    assert Campaign(file).run().waiting == 4
    tell_all(folder, known)
    kill("train 1", "evaluate 1")
    assert Campaign(file).run().stopped_by == "round 1 of 1 is done"
    fork(made / "auto", tmp_path / "auto", 1)
    assert contents(folder) == contents(tmp_path / "auto")
    np.testing.assert_allclose(metric_values(folder), metric_values(tmp_path / "auto"), rtol=1e-6)


def test_python_recommends_and_takes_labels(made, tmp_path, known):
    """With candidates of one's own; the batch size changes from this round on."""
    given = config(tmp_path, f"sqlite:///{shutil.copy(made / 'mlflow.db', tmp_path / 'mlflow.db')}")
    shutil.copy(made / "seeds.smi", tmp_path / "seeds.smi")
    campaign = Campaign(given)
    with pytest.warns(UserWarning, match="candidates were not used"):
        start = campaign.recommend(candidates=["CCO"])  # there is no model yet that could choose
    assert len(start) == 21
    assert list(campaign.recommend().id) == list(start.id)
    with pytest.raises(CampaignError, match="still waits for 21 labels"):
        campaign.recommend(3)
    start["energy_eV"] = [known[s].value for s in start.smiles]
    start.loc[0, "energy_eV"] = np.nan  # still to come
    assert campaign.add_labels(start, level="GFN2-xTB").to_come == 1
    assert campaign.add_labels({"id": [start.id[0]], "energy": [known[start.smiles[0]].value]}).to_come == 0
    others = [s for s in known if s not in set(start.smiles)]
    with pytest.raises(CampaignError, match=r"can be acquired: 1 foreign_element, 1 invalid_smiles"):
        campaign.recommend(3, candidates=["CCS", "C("])
    batch = campaign.recommend(3, candidates=[*others[:6], "CCS", others[0]])
    assert isinstance(batch, pandas.DataFrame)
    assert len(batch) == 3
    assert set(batch.smiles) <= set(others[:6])
    assert all(len(atoms) > 3 for atoms in batch.atoms)
    _, ledger = open_campaign(campaign.folder)
    assert set(ledger.origins(1).values()) == {"given"}
    assert ledger.changes() == [(1, "batch_size: 4 -> 3")]
    ledger.close()
    campaign.add_labels([{"smiles": s, "energy": known[s].value} for s in batch.smiles])
    assert len(campaign.recommend()) == 3
    batch = campaign.recommend()
    campaign.add_labels(
        [{"smiles": s, "energy": known[s].value} for s in batch.smiles if s in known]
        or [{"smiles": batch.smiles[0], "reason": "timeout"}],
        rest_failed=True,
    )
    with pytest.raises(CampaignError, match=r"has ended: round 2 of 2 is done; change its stop rules"):
        campaign.recommend()
    with pytest.raises(ConfigError, match="n is 0"):
        campaign.recommend(0)
    with pytest.raises(DataError, match="a frame or a list"):
        campaign.add_labels("labels.csv")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs the level of theory"),
        ({"level": "PBE0", "unit": "furlong"}, "'furlong' is no unit"),
        ({"level": "PBE0", "kind": "total"}, "belong together"),
        ({"level": "PBE0", "references": "QM9"}, "belong together"),
        ({"level": "PBE0", "kind": "total", "references": {"Q": 1.0}}, "no table of atom energies"),
        ({"level": "PBE0", "kind": "total", "references": "nowhere.json"}, "neither a file nor a table"),
        ({"level": "PBE0", "lvl": 1}, "no setting 'lvl'"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, settings, said):
    given = config(tmp_path, "sqlite:///x.db") | {"simulator": {"kind": "manual", "settings": settings}}
    with pytest.raises(ConfigError, match=said):
        Campaign(given).check()


def test_nothing_is_tried_or_compared_by_hand(tmp_path):
    given = config(tmp_path, "sqlite:///x.db")
    with pytest.raises(CampaignError, match="computes no label to try"):
        Campaign(given).try_labels()
    with pytest.raises(ConfigError, match="twin: random needs labels that are computed"):
        Campaign(given | {"twin": "random"})
