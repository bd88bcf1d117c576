"""The loop as a whole, on its real parts."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import yaml

from alkit.campaign.campaign import Campaign, open_campaign
from alkit.campaign.stages import FIRST_STAGES, STAGES
from alkit.errors import AcquisitionError, CampaignError, ConfigError
from alkit.models.prediction import predict_smiles
from alkit.models.store import load_model
from alkit.storage.ledger import Ledger

# For every line "stage round" it reads: runs a campaign in a process of its own and kills it (kill -9) in
# that stage: at the end of its work, before the ledger has it; in the labelling stages, after the third label
# was written. Forked after the imports, which take longer than the rest; nothing has run in this process.
_KILLED_RUNS = """
import os, signal, sys
from pathlib import Path
from alkit.campaign import stages
from alkit.campaign import Campaign
from alkit.reporting import tracking
from alkit.storage.ledger import Ledger
from generator import GraphGAN
from mlflow import MlflowClient
from surrogate import Ensemble

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def run(config, doomed, round_):
    if doomed in ("start", "label"):
        commit, written = Ledger.commit, []
        def commit_then_die(ledger):
            commit(ledger)
            written.append(1)
            if len(written) == 3:
                die()
        Ledger.commit = commit_then_die
    else:
        table = stages.stages_of(round_)
        stage = table[doomed]
        table[doomed] = lambda state: die(stage(state)) if state.round == round_ else stage(state)
    Campaign(config).run()

for line in sys.stdin:
    doomed, round_ = line.split()
    child = os.fork()
    if not child:
        run(Path(sys.argv[1]), doomed, int(round_))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def _contents(folder: Path) -> dict[str, list]:
    """Everything in the ledger but times and MLflow's ids."""
    db = sqlite3.connect(folder / "ledger.sqlite")
    queries = {
        "candidates": "SELECT * FROM candidates ORDER BY id",
        "geometries": "SELECT * FROM geometries ORDER BY smiles",
        "labels": "SELECT smiles, method, property, unit, value, parts, numbers, positions FROM labels "
        "ORDER BY smiles",
        "stages": "SELECT round, stage FROM stages ORDER BY round, stage",
    }
    found = {name: db.execute(query).fetchall() for name, query in queries.items()}
    found["metrics"] = db.execute("SELECT round, name FROM metrics ORDER BY round, name").fetchall()
    return found


def _metric_values(folder: Path) -> np.ndarray:
    db = sqlite3.connect(folder / "ledger.sqlite")
    return np.array([row[0] for row in db.execute("SELECT value FROM metrics ORDER BY round, name")])


@pytest.mark.parametrize("acquisition", ["lcmd", "bias"])
def test_killed_in_every_stage_it_ends_as_if_it_never_was(acquisition, tiny, write_config, tmp_path):
    tiny["acquisition"] = acquisition
    tiny["proposer"]["steering"] = 1.0
    killed = write_config(tiny)
    script = tmp_path / "killed.py"
    script.write_text(_KILLED_RUNS)
    plan = [("start", 0), ("train", 0), ("evaluate", 0), *((stage, 1) for stage in STAGES)]
    command = [sys.executable, "-W", "ignore", script, killed]
    with (
        (tmp_path / "errors.txt").open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as runs,
    ):
        assert runs.stdin
        assert runs.stdout
        for stage, round_ in plan:
            runs.stdin.write(f"{stage} {round_}\n")
            runs.stdin.flush()
            assert runs.stdout.readline() == f"{-signal.SIGKILL}\n", (tmp_path / "errors.txt").read_text()
            finished = [(r, s) for r, s, _ in open_campaign(Path(tiny["folder"]))[1].stages()]
            assert (round_, stage) not in finished
        runs.stdin.close()
    resumed = Campaign(killed).run()

    tiny["folder"] = str(tmp_path / "uninterrupted")
    whole = Campaign(write_config(tiny, "whole.yaml")).run()
    assert resumed.stopped_by == whole.stopped_by
    assert _contents(resumed.folder) == _contents(whole.folder)
    np.testing.assert_allclose(_metric_values(resumed.folder), _metric_values(whole.folder), rtol=1e-6)


def test_a_campaign_leaves_what_it_promises(tiny, write_config):
    import mlflow

    tiny["proposer"]["steering"] = 1.0
    result = Campaign(write_config(tiny)).run()

    assert result.stopped_by == "round 1 of 1 is done"
    assert [row["labels"] for row in result.metrics] == [17, 21]
    assert all(np.isfinite(list(row.values())).all() for row in result.metrics)
    _, ledger = open_campaign(result.folder)
    assert [(r, s) for r, s, _ in ledger.stages()] == [
        *((0, stage) for stage in FIRST_STAGES),
        *((1, stage) for stage in STAGES),
    ]
    _every_candidate_has_an_end(ledger)
    _test_molecules_are_never_acquired(ledger)
    page = (result.folder / "report.html").read_text()
    assert "<h2>Map of chemical space</h2>" in page
    assert all(f'id="{name}-words"' in page for name in ("learning_curve", "parity", "chemical_space"))
    _mlflow_has_a_parent_and_its_rounds(mlflow.MlflowClient(tiny["tracking"]["uri"]))

    again = Campaign(tiny).run()  # says so, and does nothing
    assert again.already_finished
    assert again.metrics == result.metrics


def _every_candidate_has_an_end(ledger):
    ends = {"labelled", "not_acquired", "rejected", "failed"}
    assert {c.status for c in ledger.candidates()} <= ends
    assert all(c.reason for c in ledger.candidates(status=("rejected", "failed")))


def _test_molecules_are_never_acquired(ledger):
    test = {c.smiles for c in ledger.candidates(role="test")}
    others = {c.smiles for c in ledger.candidates(status=("labelled",)) if c.role != "test"}
    assert len(test) == 6
    assert not test & others


def _mlflow_has_a_parent_and_its_rounds(client):
    experiment = client.get_experiment_by_name("alkit")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"tiny", "round 0", "round 1"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    parent = runs["tiny"]
    for name in ("round 0", "round 1"):
        assert runs[name].data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert {f.path for f in client.list_artifacts(runs[name].info.run_id)} >= {"plots"}
        assert len(runs[name].outputs.model_outputs) == 1
        assert client.get_metric_history(runs[name].info.run_id, "member_0/val_MAE")
    assert [m.step for m in client.get_metric_history(parent.info.run_id, "mae")] == [17, 21]
    assert parent.data.params["surrogate.features"] == "16"


def test_2d_mode_and_a_pool(tiny, write_config, tmp_path):
    pool = tmp_path / "pool.smi"
    pool.write_text("CCO\nCCN\nCCO\nC1CC1\nCC=O\nCCCCCCCC\n[Na+].[Cl-]\nCCS\n")
    tiny["proposer"] = {"kind": "pool", "file": "pool.smi"}
    tiny["surrogate"]["mode"] = "2d"
    tiny["acquisition"] = "std"
    tiny["stop"] = {"rounds": 5}
    result = Campaign(write_config(tiny)).run()
    assert result.stopped_by == "round 2: no proposal was left after screening"
    _, ledger = open_campaign(result.folder)
    taken = {c.smiles for c in ledger.candidates(status=("labelled",))}
    assert {"CCO", "CCN", "C1CC1", "CC=O"} <= taken
    rejected = {c.smiles: c.reason for c in ledger.candidates(status=("rejected",))}
    assert rejected["CCCCCCCC"] == "too_large"
    assert rejected["CCS"] == "foreign_element"
    assert rejected["[Cl-].[Na+]"] == "unsupported"
    assert len(rejected) == len(ledger.candidates(status=("rejected",)))  # each once, not every round


def test_a_users_function_in_15_lines(tiny, write_config, tmp_path):
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
        import numpy as np

        def score(pool, context):
            far = np.linalg.norm(pool.embeddings[:, None] - context.embeddings[None], axis=-1).min(axis=1)
            return pool.std * far
        """)
    )
    tiny["acquisition"] = "./mine.py:score"
    result = Campaign(write_config(tiny)).run()
    assert result.metrics[-1]["labels"] == 21


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return pool.std[:-1]", "shape"),
        ("return [float('nan')] * len(pool)", "finite"),
        ("raise KeyError('oops')", "KeyError"),
    ],
)
def test_a_function_that_fails_loses_nothing(tiny, write_config, tmp_path, body, said):
    mine = tmp_path / "mine.py"
    mine.write_text(f"def score(pool, context):\n    {body}\n")
    tiny["acquisition"] = "./mine.py:score"
    tiny["surrogate"]["epochs"] = 1
    config = write_config(tiny)
    with pytest.raises(AcquisitionError, match=r"mine\.py:score") as error:
        Campaign(config).run()
    assert said in str(error.value)
    _, ledger = open_campaign(Path(tiny["folder"]))
    before = [label for label, _ in ledger.labelled("training")]
    assert ledger.stages()[-1][:2] == (1, "predict")
    ledger.close()

    mine.write_text("def score(pool, context):\n    return pool.std\n")
    result = Campaign(config).run()
    _, ledger = open_campaign(result.folder)
    assert [label for label, _ in ledger.labelled("training")][: len(before)] == before


def test_a_deleted_mlflow_run_is_written_again_from_the_ledger(tiny, write_config, tmp_path):
    import mlflow

    (tmp_path / "mine.py").write_text("def score(pool, context):\n    raise KeyError('oops')\n")
    tiny["acquisition"] = "./mine.py:score"
    config = write_config(tiny)
    with pytest.raises(AcquisitionError):
        Campaign(config).run()
    client = mlflow.MlflowClient(tiny["tracking"]["uri"])
    experiment = client.get_experiment_by_name("alkit").experiment_id
    for run in client.search_runs([experiment]):
        if "mlflow.parentRunId" not in run.data.tags:
            client.delete_run(run.info.run_id)

    (tmp_path / "mine.py").write_text("def score(pool, context):\n    return pool.std\n")
    Campaign(config).run()
    runs = client.search_runs([experiment])
    (parent,) = [run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [point.step for point in client.get_metric_history(parent, "mae")] == [17, 21]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]
    assert sorted(run.data.tags["mlflow.runName"] for run in children) == ["round 0", "round 1"]
    for child in children:
        assert len(child.outputs.model_outputs) == 1


def test_python_callable_takes_the_place_of_the_config(tiny):
    def first_ones(pool, context):
        return -np.arange(len(pool))

    result = Campaign(tiny, acquisition=first_ones).run()
    _, ledger = open_campaign(result.folder)
    offered = ledger.candidates(round_=1, status=("labelled", "not_acquired", "failed"))
    assert [c.status for c in offered[:4]] == ["labelled"] * 4
    goes_on = Campaign(tiny | {"stop": {"rounds": 2}}).run()  # with another function from here on
    _, ledger = open_campaign(goes_on.folder)
    assert [(round_, change.partition(":")[0]) for round_, change in ledger.changes()] == [
        (2, "acquisition.name"),
        (2, "stop.rounds"),
    ]


def test_a_changed_config_is_refused_with_the_difference(tiny):
    first = Campaign(tiny)
    with first._locked(), closing(first._open_ledger()) as ledger:
        ledger.add_candidates(0, ["C"])
    tiny["surrogate"]["epochs"] = 5
    tiny["batch_size"] = 5  # which may change
    with pytest.raises(CampaignError, match=r"config \(surrogate.epochs: 4 -> 5\)"):
        Campaign(tiny).run()


def test_how_labels_are_computed_may_change_under_way(tiny):
    Campaign(tiny).run()
    tiny["simulator"] = tiny["simulator"] | {"workers": 1, "timeout": 50.0, "memory_limit": 3.0}
    assert Campaign(tiny).run().already_finished
    tiny["simulator"] |= {"settings": {"fmax": 0.02}}
    with pytest.raises(CampaignError, match=r"simulator\.settings"):
        Campaign(tiny).run()


def test_a_config_that_failed_its_check_may_be_corrected(tiny):
    broken = tiny | {"start": {"training": 10000}}
    with pytest.raises(ConfigError, match="start asks for"):
        Campaign(broken).run()
    tiny["surrogate"]["epochs"] = 1
    assert Campaign(tiny).run().metrics[-1]["round"] == 1


def test_an_occupied_folder_is_refused_and_left_alone(tiny):
    folder = Path(tiny["folder"])
    folder.mkdir()
    (folder / "thesis.tex").write_text("dear to me")
    with pytest.raises(CampaignError, match=r"not empty.*thesis\.tex"):
        Campaign(tiny).run()
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_two_runs_at_once_are_refused(tiny):
    first, second = Campaign(tiny), Campaign(tiny)
    with first._locked(), pytest.raises(CampaignError, match="in use"):
        second.run()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": {"training": 10000}}, "start asks for"),
        (
            {"target": "u0", "simulator": {"kind": "xtb", "settings": {"target": "energy"}}},
            "labels GFN2-xTB energy",
        ),
        ({"simulator": {"kind": "xbt"}}, "'xtb'"),
        ({"simulator": {"kind": "xtb", "settings": {"fmx": 1}}}, "fmax"),
        ({"acquisition": "lmcd"}, "'lcmd'"),
        (
            {"acquisition": {"name": "botorch", "settings": {"function": "qEI"}}},
            "qPosteriorStandardDeviation",
        ),
    ],
)
def test_what_can_be_known_before_is_refused_before(tiny, change, said):
    with pytest.raises(ConfigError, match=said):
        Campaign(tiny | change).check()
    assert not Path(tiny["folder"]).exists()


def test_an_empty_pool_is_refused(tiny, write_config, tmp_path):
    (tmp_path / "pool.smi").write_text("[Na+].[Cl-]\nCCCCCCCCCC\n")
    tiny["proposer"] = {"kind": "pool", "file": "pool.smi"}
    with pytest.raises(ConfigError, match=r"pool\.smi: the pool is empty"):
        Campaign(write_config(tiny)).check()


@pytest.mark.parametrize("when", ["at once", "in training"])
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_by_a_signal_it_says_so_to_mlflow(tiny, write_config, when, sent):
    import mlflow

    tiny["surrogate"]["epochs"] = 20000
    tiny["surrogate"]["stop_patience"] = 20000
    process = subprocess.Popen(
        [sys.executable, "-m", "alkit", "campaign", "run", write_config(tiny)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    client = mlflow.MlflowClient(tiny["tracking"]["uri"])
    deadline = time.monotonic() + 120
    while not _runs(client) and time.monotonic() < deadline:
        time.sleep(0.1)
    if when == "in training":  # Lightning catches interrupts there, and has its own idea of them
        while "round 0, start (" not in (process.stderr.readline()):
            assert process.poll() is None
        time.sleep(4)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "what was done is kept" in errors
    assert "Traceback" not in errors
    assert _runs(client)["tiny"].info.status == "KILLED"


def _runs(client):
    experiment = client.get_experiment_by_name("alkit")
    if experiment is None:
        return {}
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_units_other_than_ev_are_refused(tiny, write_config, tmp_path):
    (tmp_path / "kcal.py").write_text(
        "from alkit import Level\n\n\nclass Kcal:\n    level = Level('M', 'energy', 'kcal/mol')\n\n"
        "    def label(self, molecule):\n        raise AssertionError\n"
    )
    tiny["simulator"] = "./kcal.py:Kcal"
    with pytest.raises(ConfigError, match="kcal/mol; alkit needs eV"):
        Campaign(write_config(tiny)).check()


def test_a_damaged_file_is_named(tiny, write_config, tmp_path):
    (tmp_path / "mine.py").write_text("def score(pool, context):\n    raise SystemExit(0)\n")
    tiny["acquisition"] = "./mine.py:score"
    config = write_config(tiny)
    with pytest.raises(AcquisitionError, match="SystemExit"):
        Campaign(config).run()
    path = Path(tiny["folder"]) / "rounds" / "01" / "predictions.npz"
    whole = bytearray(path.read_bytes())
    for content in (b"junk", bytes([*whole[:-500], whole[-500] ^ 1, *whole[-499:]])):
        path.write_bytes(content)
        with pytest.raises(CampaignError, match=r"predictions\.npz is missing or damaged"):
            Campaign(config).run()
    path.unlink()
    with pytest.raises(CampaignError, match=r"predictions\.npz is missing or damaged"):
        Campaign(config).run()


def test_a_campaign_learns_the_correction_to_xtb(tiny) -> None:
    tiny["surrogate"] |= {"learning": "delta", "xtb_inputs": True, "geometry": "xtb"}
    result = Campaign(tiny).run()
    assert np.isfinite(result.metrics[-1]["mae"])
    # An unrelaxed GFN2-xTB energy at the relaxed geometry is the label all but exactly.
    assert result.metrics[-1]["mae"] < 0.5 * result.metrics[-1]["baseline_elements"]
    assert result.metrics[-1]["baseline_xtb"] < 0.1 * result.metrics[-1]["baseline_elements"]
    assert '<th scope="col">baseline</th>' in (result.folder / "report.html").read_text()
    _, ledger = open_campaign(result.folder)
    with closing(ledger):
        known = [candidate.smiles for candidate, _ in ledger.labelled("training")]
        assert known
    ensemble, provenance = load_model(result.folder)
    rows = list(predict_smiles(ensemble, provenance, ["CCO", "C1CC"]))
    assert rows[0].mean == pytest.approx(-45.627, abs=0.01)
    assert rows[1].reason


def _runs_in(store: Path) -> list:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{store}")
    experiment = client.get_experiment_by_name("alkit").experiment_id
    return client.search_runs([experiment])


def test_a_project_goes_on_where_it_was_moved_or_copied_to(tiny, write_config, tmp_path, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    shutil.copy(tiny["seeds"], "seeds.smi")
    Path("mine.py").write_text("def score(pool, context):\n    raise KeyError('oops')\n")
    tiny |= {"folder": "run", "seeds": "seeds.smi", "acquisition": "./mine.py:score"}
    tiny["tracking"] = {"uri": "sqlite:///mlflow.db"}
    Path("tiny.yaml").write_text(yaml.safe_dump(tiny))
    with pytest.raises(AcquisitionError):
        Campaign("tiny.yaml").run()
    before = {run.info.run_id for run in _runs_in(project / "mlflow.db")}

    other = tmp_path / "other"
    shutil.copytree(project, other)
    shutil.rmtree(project)
    monkeypatch.chdir(other)
    Path("mine.py").write_text("def score(pool, context):\n    return pool.std\n")
    changed = tiny | {"simulator": tiny["simulator"] | {"workers": 1}}
    Path("tiny.yaml").write_text(yaml.safe_dump(changed))
    result = Campaign("tiny.yaml").run()
    assert [metrics.round for metrics in result.metrics] == [0, 1]
    assert not project.exists()  # nothing is written to where it was
    runs = _runs_in(other / "mlflow.db")
    assert before <= {run.info.run_id for run in runs}  # the store moved along, and its runs go on
    assert len(runs) == 3
    for run in runs:
        artifacts = run.info.artifact_uri.removeprefix("file://")
        assert artifacts.startswith(str(other))
        assert list(Path(artifacts).iterdir())
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.data.tags["now.simulator.workers"] == "1"

    Path("seeds.smi").write_text("CCCCCC\n" + Path("seeds.smi").read_text())
    with pytest.raises(CampaignError, match="seeds: content"):
        Campaign("tiny.yaml").run()


def test_a_copy_writes_to_runs_of_its_own_where_both_share_a_store(tiny, write_config, tmp_path):
    Campaign(tiny).run()
    store = Path(tiny["tracking"]["uri"].removeprefix("sqlite:///"))
    first = {run.info.run_id: run.info.end_time for run in _runs_in(store)}
    folder = Path(tiny["folder"])
    shutil.copytree(folder, tmp_path / "copy")
    with closing(Ledger(tmp_path / "copy" / "ledger.sqlite")) as ledger:
        ledger.set_meta("stopped_by", "")
    tiny |= {"folder": str(tmp_path / "copy"), "stop": {"rounds": 1}}
    Campaign(tiny).run()
    runs = {run.info.run_id: run for run in _runs_in(store)}
    assert {key: runs[key].info.end_time for key in first} == first
    assert len(runs) == 2 * len(first)


@pytest.mark.parametrize(
    "change",
    [
        {"simulator": {"kind": "xtb", "cache": "."}},
        {"tracking": {"uri": "sqlite://"}},
        {"tracking": {"uri": "http://127.0.0.1:9"}},
    ],
)
def test_a_refused_start_leaves_no_folder(tiny, change, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises((CampaignError, ConfigError)):
        Campaign(tiny | change).run()
    assert sorted(tmp_path.iterdir()) == before
