"""alkit.studies.acquisition on small molecules with real xtb energies, and its statistics on known curves."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gfn2 import single_point
from rdkit import Chem
from scipy import stats
from typer.testing import CliRunner

from alkit.cli.app import app
from alkit.datasets.create import Record, create_database
from alkit.errors import CampaignError, ConfigError, DataError, LabelError
from alkit.molecules.conformers import embed
from alkit.molecules.enumeration import seed_molecules
from alkit.reporting.progress import CampaignProgress
from alkit.studies.acquisition import comparing, report
from alkit.studies.acquisition.data import StudyData
from alkit.studies.acquisition.running import COLUMNS, Results, Run, run_study
from alkit.studies.acquisition.settings import Function, Settings
from alkit.studies.acquisition.surrogates import Process

MOLECULES = 70


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The smallest seed molecules, in MMFF94 geometries, with the energies of GFN2-xTB."""
    records = []
    for smiles in sorted(seed_molecules(), key=len):
        try:
            placed = embed(smiles)
            found = single_point(placed.numbers, placed.positions, smiles=smiles)
        except LabelError:
            continue
        records.append(Record(placed.smiles, placed.numbers, placed.positions, {"energy_U0": found.energy}))
        if len(records) == MOLECULES:
            break
    path = tmp_path_factory.mktemp("acquisition") / "small.db"
    create_database(
        path, records, units={"energy_U0": "eV"}, level="GFN2-xTB",
        geometry="dataset", source="test", atomization=True,
    )  # fmt: skip
    return str(path)


def small(database: str, *names: str, **changes: object) -> Settings:
    functions = changes.pop("functions", tuple(map(Function.parse, names)))
    given = {"start": 10, "batch": 10, "labels": 30, "pool": 45, "test": 15, "seeds": 2, "seed": 0}
    return Settings(database, functions, **{**given, **changes})  # type: ignore[arg-type]


def go(settings: Settings, out: Path) -> Results:
    return run_study(settings, out, CampaignProgress())


def test_a_study_learns_and_goes_on(database: str, tmp_path: Path) -> None:
    first = go(small(database, "bias"), tmp_path)
    assert [one.function for one in first.runs] == ["random", "bias"] * 2
    for one in first.runs:
        assert one.of("labels").tolist() == [10, 20, 30]
        assert one.of("mae")[-1] < one.of("mae")[0]
        assert (one.of("max") >= one.of("q95")).all()
        assert (np.diff(one.of("found")) >= 0).all()
    # The same start for every function; another seed, another one.
    assert len({one.of("mae")[0] for one in first.runs}) == 2
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    more = go(small(database, "bias", "lcmd", seeds=3), tmp_path)
    assert len(more.runs) == 9
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    page = report.write_report(more, tmp_path).read_text()
    assert all(one in page for one in ("lcmd", "bias", "<svg"))
    with (tmp_path / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 9 * 3


def test_the_same_study_gives_the_same_numbers(database: str, tmp_path: Path) -> None:
    once, again = (go(small(database, "thompson", seeds=1), tmp_path / name) for name in ("a", "b"))
    for one, other in zip(once.runs, again.runs, strict=True):
        assert np.array_equal(one.rows[:, :-1], other.rows[:, :-1])  # the last column is time


def test_a_shifted_start_lacks_what_is_tested(database: str, tmp_path: Path) -> None:

    settings = small(database, "std", scenario="small-first", small=3, start=10)
    data = StudyData(settings, tmp_path, CampaignProgress())
    heavy = np.array([Chem.MolFromSmiles(smiles).GetNumAtoms() for smiles in data.smiles])
    split = data.split(0)
    assert (heavy[split.start] <= 3).all()
    assert (heavy[split.test] > 3).all()
    assert (heavy[split.pool] > 3).any()
    assert not set(split.test) & set(split.pool)
    assert set(split.start) <= set(split.pool)
    grouped = replace(settings, scenario="without-group", group="[OX2H]")
    split = StudyData(grouped, tmp_path, CampaignProgress()).split(0)
    assert len(split.start) == 10
    assert len(split.test) > 0


def test_schnet_can_be_the_surrogate(database: str, tmp_path: Path) -> None:
    settings = small(
        database, "lcmd", "{name: lcmd, features: soap}", "bias", "{name: bias, features: embeddings}",
        surrogate="schnet", seeds=1, start=25, labels=35, members=2,
        model={"features": 8, "interactions": 1, "gaussians": 8}, training={"epochs": 3, "batch_size": 8},
    )  # fmt: skip
    results = go(settings, tmp_path)
    for title in ("lcmd", "lcmd (on SOAP features)", "bias", "bias (on embeddings)"):
        assert results.of(title)[0].of("labels").tolist() == [25, 35]
    # The same networks at the start; then another batch, and others.
    ends = {results.of(title)[0].of("mae")[-1] for title in ("lcmd", "lcmd (on SOAP features)")}
    assert len(ends) == 2


def test_the_kernel_on_a_baseline_can_be_the_surrogate(database: str, tmp_path: Path) -> None:
    settings = small(
        database, "integrated_variance", "{name: random, start: integrated_variance}", surrogate="kernel",
        seeds=1, scenario="last-tested", labels=20,
        baseline=({"kind": "gfn1"},), baseline_inputs=True, target_mae=10.0,
    )  # fmt: skip
    results = go(settings, tmp_path)
    assert results.tier.startswith("semi-empirical: learns on top of GFN1-xTB")
    direct = go(replace(settings, baseline=(), baseline_inputs=False), tmp_path / "direct")
    assert direct.tier == "no baseline"
    for function in ("random", "integrated_variance"):
        assert results.of(function)[0].of("mae")[-1] < direct.of(function)[0].of("mae")[-1]
    chosen = results.of("random (start: integrated_variance)")[0]
    assert chosen.of("labels").tolist() == [10, 20]
    assert chosen.of("mae")[0] != results.of("random")[0].of("mae")[0]
    assert "labels to 10 eV" in report.write_report(results, tmp_path).read_text()
    assert "has an MAE of 10 eV after 10 labels, random after 10" in " ".join(
        comparing.study_verdict(results)
    )
    with pytest.raises(CampaignError, match="baseline ="):
        go(replace(settings, baseline=(), baseline_inputs=False), tmp_path)


def test_the_last_molecules_are_tested_for_every_seed(database: str, tmp_path: Path) -> None:
    data = StudyData(small(database, "std", scenario="last-tested"), tmp_path, CampaignProgress())
    first, second = data.split(0), data.split(1)
    assert first.test.tolist() == second.test.tolist() == list(range(MOLECULES - 15, MOLECULES))
    assert not set(first.pool) & set(first.test)
    assert first.start.tolist() != second.start.tolist()


def test_a_covariance_is_asked_of_a_kernel(database: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the covariance of a kernel"):
        go(small(database, "integrated_variance", surrogate="schnet"), tmp_path)
    run = go(small(database, "integrated_variance", seeds=1), tmp_path).of("integrated_variance")[0]
    assert run.of("mae")[-1] < run.of("mae")[0]


def test_the_command_line(database: str, tmp_path: Path) -> None:
    sizes = [
        "--start",
        "10",
        "--batch",
        "10",
        "--labels",
        "20",
        "--pool",
        "45",
        "--test",
        "15",
        "--seeds",
        "2",
    ]
    mine = tmp_path / "mine.py"
    mine.write_text("def score(pool, context):\n    return pool.std / (1 + abs(pool.mean))\n")
    said = CliRunner().invoke(
        app, ["study", "acquisition", database, "-o", str(tmp_path / "s"), "-f", f"{mine}:score", *sizes]
    )
    assert said.exit_code == 0, said.output
    assert "against random" in said.output
    assert (tmp_path / "s" / "report.html").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scenario": "big-first"}, "no scenario 'big-first'; one of uniform"),
        ({"surrogate": "svm"}, "no surrogate 'svm'; one of gp"),
        ({"start": 40}, "start < labels <= pool"),
        ({"seeds": 0}, "seeds is 0; it must be at least 1"),
        ({"baseline": ({"kind": "gfn1"},)}, "surrogate gp takes none"),
        ({"surrogate": "kernel", "baseline_inputs": True}, "without a baseline"),
        ({"target_mae": -1.0}, "target_mae is -1.0"),
        ({"functions": (Function("std", start="integrated_variance"),)}, "asks a kernel"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        small("some.db", "std", **changes)


@pytest.mark.parametrize(
    "text",
    [
        "{name: lcmd, beta: 1}",
        "{name: lcmd, start: far}",
        "{name: lcmd, features: ecfp}",
        "{settings: {}}",
        "{name: [",
        "{1, 2}",
    ],
)
def test_a_function_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError, match="is no acquisition function"):
        Function.parse(text)


def test_random_is_there_anyway() -> None:
    with pytest.raises(ConfigError, match="leave it out"):
        small("some.db", "random")


def test_too_few_molecules_and_other_settings_are_refused(database: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are asked for"):
        go(small(database, "std", pool=500), tmp_path)
    go(small(database, "std", labels=20), tmp_path)
    with pytest.raises(CampaignError, match="start = 10, not 12"):
        go(small(database, "std", labels=20, start=12), tmp_path)
    damaged = next((tmp_path / "runs").iterdir())
    damaged.write_bytes(b"nothing")
    with pytest.raises(CampaignError, match="is damaged"):
        go(small(database, "std", labels=20), tmp_path)


# --- statistics ------------------------------------------------------------------------------------------
def curve(function: str, seed: int, factor: float, exponent: float = -0.5) -> Run:
    """A power law that needs ``factor`` times fewer labels."""
    labels = np.arange(100, 1600, 100.0)
    errors = (factor * labels) ** exponent
    rows = np.zeros((len(labels), len(COLUMNS)))
    rows[:, 0], rows[:, 1:5] = labels, errors[:, None]
    return Run(function, seed, rows)


def test_labels_saved_are_those_of_the_power_law() -> None:
    settings = small("some.db", "std", seeds=3)
    factors = [1.4, 1.5, 1.7]
    runs = [curve("random", k, 1.0) for k in range(3)] + [curve("std", k, f) for k, f in enumerate(factors)]
    found = comparing.saving_of(Results(settings, "", runs), "std", "rmse")
    assert found.mean == pytest.approx(np.exp(np.mean(np.log(factors))), rel=1e-6)
    logs = np.log(factors)
    assert found.p == pytest.approx(stats.ttest_1samp(logs, 0).pvalue)
    interval = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
    assert (np.log(found.low), np.log(found.high)) == pytest.approx(interval)
    assert found.clear


def test_a_loser_is_told_as_plainly() -> None:
    settings = small("some.db", "std", seeds=2)
    runs = [curve("random", k, 1.0) for k in range(2)] + [
        curve("std", k, f) for k, f in enumerate((0.5, 0.52))
    ]
    results = Results(settings, "", runs)
    answer = comparing.study_verdict(results)
    assert "times more labels for the same RMSE" in answer[0]
    assert comparing.worst_round(results, "std", "rmse") == pytest.approx(0.4, abs=0.02)


def test_labels_to_a_target_and_what_they_save() -> None:
    settings = small("some.db", "std", seeds=2, target_mae=0.05)
    runs = [curve("random", k, 1.0) for k in range(2)] + [
        curve("std", k, f) for k, f in enumerate((2.0, 4.0))
    ]
    results = Results(settings, "", runs)
    assert comparing.labels_to_target(results, "std") == pytest.approx([200, 100])
    assert comparing.labels_to_target(results, "random") == pytest.approx([400, 400])
    found = comparing.saving_to_target(results, "std")
    assert found is not None
    assert found.mean == pytest.approx(np.sqrt(8))
    assert "std has an MAE of 0.05 eV after 150 labels, random after 400: 2.83" in " ".join(
        comparing.study_verdict(results)
    )
    # Random never has 0.02 eV with its 1,500 labels, and `std` never 0.001 eV.
    rare = Results(replace(settings, target_mae=0.02), "", runs)
    assert comparing.saving_to_target(rare, "std").mean == pytest.approx(np.sqrt(1500 / 1250 * 1500 / 625))
    assert "more than 1500 with 2 of the seeds: at least" in " ".join(comparing.study_verdict(rare))
    never = Results(replace(settings, target_mae=0.001), "", runs)
    assert comparing.saving_to_target(never, "std") is None
    assert "in 2 of 2 seeds" in " ".join(comparing.study_verdict(never))
    assert "not in 2 of 2 seeds" in report._target_cells(never, "std").values()


def test_one_seed_has_no_interval() -> None:
    runs = [curve("random", 0, 1.0), curve("std", 0, 1.5)]
    results = Results(small("some.db", "std", seeds=1), "", runs)
    assert "1.50 times fewer labels for the same MAE, too few seeds" in comparing.study_verdict(results)[0]
    assert "nan" not in comparing.study_verdict(results)[0]
    results = Results(small("some.db", "std", seeds=1), "", [curve("random", 0, 1.0), curve("std", 0, 0.5)])
    assert "2.00 times more labels for the same MAE, too few seeds" in comparing.study_verdict(results)[0]


# --- the surrogate ---------------------------------------------------------------------------------------
def test_the_process_is_the_one_of_scikit_learn() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct

    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 4)).astype(np.float32)
    values = features @ rng.normal(size=4) + 5.0
    known, rest = np.arange(40), np.arange(40, 60)
    ours = Process(features)
    ours.fit(known, values[known], np.random.default_rng(0), drawn=len(known))
    noise = 1e-5 * (features[known] ** 2).sum(axis=1).mean()
    # Its variance has no mean that is unknown, so compare where both know it: a constant of great variance.
    kernel = DotProduct(0.0, "fixed") + ConstantKernel(1e6, "fixed")
    theirs = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(features[known], values[known])
    np.testing.assert_allclose(ours.mean(rest), theirs.predict(features[rest]), atol=1e-3)
    seen = ours.see(rest)
    np.testing.assert_allclose(seen.mean, ours.mean(rest), atol=1e-8)
    assert seen.samples.shape == (4, 20)
    assert (seen.std > 0).all()
