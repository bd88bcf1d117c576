"""The public face: typed, completing, light to import, and short when it is printed."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import alkit
import generator
import surrogate
from alkit import Campaign, Label, Level, Molecule, Pool, RoundContext
from surrogate import Graph, Prediction, graph_2d

ROOT = Path(__file__).parents[1]

RIGHT = """
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from alkit import Campaign, Ensemble, Pool, ProposalContext, Result, RoundContext, StageEvent, load_config
    from alkit.testing import example_pool
    from generator import GraphGAN
    from surrogate import Graph, ModelSettings, Surrogate, graph_2d


    def score(pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        return pool.std * context.best + pool.mean


    result: Result = Campaign("mine.yaml", acquisition=score).run()
    error: float | None = result.metrics[-1].mae
    also: float = result.metrics[-1]["mae"]
    graph: Graph = graph_2d("CCO", cutoff=5.0)
    mean: NDArray[np.float64] = Ensemble.load(Path("model")).predict([graph]).mean
    width: int = ModelSettings(features=64).features


    def propose(n: int, context: ProposalContext) -> list[str]:
        return [smiles + "O" for smiles in context.molecules][:n]


    def say(event: StageEvent) -> None:
        print(event.round, event.stage, event.metrics.mae if event.metrics else "")


    with Campaign.open("runs/mine", acquisition=score, proposer=propose, callbacks=[say]) as campaign:
        after: Result = campaign.step("stage")
        rows: int = len(campaign.results()) + len(campaign.candidates()) + len(campaign.labels())
        surrogate: Surrogate = campaign.model
        table = campaign.predict(["CCO"])
        worth = campaign.acquisition_values(round_=1)
    drawn: tuple[Pool, RoundContext] = example_pool(100, members=3)
"""
_HEAD = """from pathlib import Path

from alkit import Campaign, Ensemble, Pool
from surrogate import ModelSettings

"""
_NOT_OURS = ("torch", "rdkit", "pandas", "mlflow", "botorch", "gpytorch", "schnetpack", "numba", "rich")
WRONG = {
    'Campaign("x", nonsense=3)': "call-arg",
    "from alkit import Campain": "attr-defined",
    "from surrogate import Ensembel": "attr-defined",
    "from generator import GraphGun": "attr-defined",
    'Campaign("x").run().stopped': "attr-defined",
    "def f(pool: Pool) -> float: return pool.deviation": "attr-defined",
    'Ensemble.load(Path("model")).predict(["CCO"])': "list-item",
    'ModelSettings(mode="4d")': "arg-type",
    'Campaign("x").step("rounds")': "arg-type",
    'Campaign.open("x", nonsense=3)': "call-arg",
    'Campaign.open("x", callbacks=3)': "arg-type",
    'Campaign.open("x").prediction("CCO")': "attr-defined",
    'int(Campaign("x").run().metrics[-1].mea)': "attr-defined",
}


@pytest.fixture(scope="module")
def complaints(make_once) -> dict[str, str]:
    """What mypy says of a user's scripts, by file name; one run for all, with a cache of its own."""
    folder = make_once("scripts", _check)
    printed = (folder / "printed.txt").read_text()
    assert "error" in printed, printed
    said = dict.fromkeys((path.name for path in folder.glob("*.py")), "")
    for line in printed.splitlines():
        name = Path(line.partition(":")[0]).name
        if name in said:
            said[name] += line + "\n"
    return said


def _check(folder: Path) -> None:
    (folder / "right.py").write_text(textwrap.dedent(RIGHT))
    for number, line in enumerate(WRONG):
        (folder / f"wrong{number}.py").write_text(f"{_HEAD}{line}\n")
    skipped = ",".join(f"mypy-{name}.*" for name in _NOT_OURS)  # reading torch takes mypy a minute
    (folder / "mypy.ini").write_text(
        "[mypy]\nignore_missing_imports = True\nfollow_imports = silent\n"
        f"[{skipped}]\nfollow_imports = skip\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(folder / "mypy.ini")]
    command += ["--cache-dir", str(folder / "cache"), *map(str, sorted(folder.glob("*.py")))]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    (folder / "printed.txt").write_text(run.stdout + run.stderr)


def test_a_users_script_with_right_calls_passes(complaints):
    assert complaints["right.py"] == ""


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_call_fails(line, complaints):
    assert f"[{WRONG[line]}]" in complaints[f"wrong{list(WRONG).index(line)}.py"]


@pytest.mark.parametrize("package", [alkit, surrogate, generator])
def test_names_complete_and_load(package):
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError):
        _ = package.no_such_name


@pytest.mark.parametrize("package", ["alkit", "surrogate", "generator"])
def test_importing_is_light(package):
    heavy = ["torch", "rdkit", "numpy", "pydantic", "mlflow", "botorch", "schnetpack", "ase", "yaml"]
    code = f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def _objects(n: int) -> list[object]:
    """One of each public object, as large as a pool of ``n`` molecules makes it."""
    features = np.zeros((n, 128), dtype=np.float32)
    numbers, positions = np.ones(n, dtype=int), np.zeros((n, 3))
    return [
        Pool(("C",) * n, np.zeros((3, n)), np.ones(n), features, np.ones(n), np.zeros(n)),
        RoundContext(2, ("C",) * n, np.zeros(n), features, np.random.default_rng(0), pending=("CC",)),
        Prediction(np.zeros((3, n)), np.ones(n), features),
        Molecule("C" * n, numbers, positions, "mmff"),
        Label("C" * n, -40.0, Level("GFN2-xTB", "u0"), {}, numbers, positions, 1.5),
        Graph(numbers, numbers, numbers, positions, features, features),
        Campaign({"name": "mine", "proposer": "generator"}),
    ]


@pytest.mark.parametrize("index", range(7))
def test_a_repr_has_counts_and_no_arrays(index):
    text = repr(_objects(10_000)[index])
    assert len(text) < 200
    assert "array(" not in text
    assert text.startswith(type(_objects(1)[index]).__name__)


def test_reprs_say_what_counts():
    pool = _objects(500)[0]
    assert repr(pool) == "Pool(500 molecules, 3 members, 128 features, with GFN2-xTB energies)"
    assert repr(graph_2d("CCO", cutoff=5.0)) == "Graph(9 atoms, 72 pairs)"


def test_a_part_of_a_pool_is_a_pool():
    pool = Pool(
        ("C", "CC", "CCC", "CCO"),
        np.arange(8.0).reshape(2, 4),
        np.arange(4.0),
        np.eye(4, dtype=np.float32),
        np.ones(4),
        np.arange(4.0) - 9,
    )
    part = pool[np.array([2, 0])]
    assert part.smiles == ("CCC", "C")
    np.testing.assert_array_equal(part.samples, [[2, 0], [6, 4]])
    np.testing.assert_array_equal(part.embeddings, np.eye(4)[[2, 0]])
    np.testing.assert_array_equal(part.xtb_energy, [-7, -9])
    assert len(pool[1:]) == 3
