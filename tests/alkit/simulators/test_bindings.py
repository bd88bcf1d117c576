"""alkit.simulators.bindings: the same numbers by xtb-python and by tblite, and one sentence where neither is.

A package is taken away from a whole interpreter and from the workers that it starts.
"""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.units import Bohr
from gfn2 import single_point

from alkit.campaign import open_campaign
from alkit.models.geometries import make_geometry
from alkit.molecules.conformers import embed
from alkit.simulators.base import Level, SimulatorSpec, create_simulator
from alkit.simulators.bindings import BINDINGS, installed_binding
from alkit.storage.label_cache import LabelCache, _recipe

needs_tblite = pytest.mark.skipif(find_spec("tblite") is None, reason="tblite is an extra below Python 3.12")
needs_both = pytest.mark.skipif(
    find_spec("tblite") is None or find_spec("xtb") is None, reason="xtb has no wheel for this Python"
)
Run = Callable[..., subprocess.CompletedProcess[str]]

SINGLE_POINTS = """
import json, sys
import numpy as np
from alkit.baselines.base import create_baseline
from alkit.models.graphs import GFN2
from alkit.molecules.molecule import Molecule
for numbers, positions in json.load(sys.stdin):
    point = create_baseline(GFN2).read(Molecule("C", np.array(numbers), np.array(positions), "given"))
    charges, orders = point.atoms[:, 0].tolist(), point.pairs[..., 0].tolist()
    print(json.dumps([point.energy, charges, orders, str(point.level)]))
print("xtb.interface" in sys.modules, file=sys.stderr)
"""
GEOMETRY = """
import json
from alkit.models.geometries import make_geometry
placed = make_geometry("NCC=O", geometry="xtb", seed=4)
print(json.dumps([placed.geometry, placed.numbers.tolist(), placed.positions.tolist()]))
"""
FAILURES = """
import numpy as np
from alkit.errors import LabelError
from alkit.baselines.base import create_baseline
from alkit.models.graphs import GFN2
from alkit.molecules.molecule import Molecule
for numbers, positions in (([8, 8], np.zeros((2, 3))), ([6, 1, 1, 1], np.eye(4, 3))):
    try:
        create_baseline(GFN2).read(Molecule("X", np.array(numbers), positions, "given"))
    except LabelError as error:
        print(error.reason)
"""
COMMANDS = """
import json, sys
from alkit.cli import app
for arguments in json.load(sys.stdin):
    try:
        app.main(arguments)
    except SystemExit as ended:
        print(ended.code, file=sys.stderr)
"""


@pytest.fixture
def without(tmp_path: Path) -> Callable[..., Run]:
    """Run Python, or alkit's command line, where the named packages cannot be imported."""

    def build(*packages: str) -> Run:
        blocked = tmp_path / f"no_{'_'.join(packages)}"
        blocked.mkdir()
        (blocked / "sitecustomize.py").write_text(
            f"import sys\nsys.modules.update(dict.fromkeys({packages!r}))\n"
        )
        paths = [str(blocked), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

        def run(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, *map(str, arguments)],
                input=stdin,
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env=environment,
            )

        return run

    return build


def test_the_faster_one_comes_first_where_both_are_installed() -> None:
    assert BINDINGS == ("tblite", "xtb")
    assert installed_binding() == next(name for name in BINDINGS if _installed(name))


def _installed(package: str) -> bool:
    done = subprocess.run([sys.executable, "-c", f"import {package}"], capture_output=True)
    return done.returncode == 0


@needs_both
def test_single_points_are_those_of_the_other_binding(without) -> None:
    """Also of a small gap, where the electronic temperature counts, and of atoms that are further apart than
    xtb-python looks for a bond."""
    named = [(atoms.numbers, atoms.positions) for atoms in map(molecule, ("O3", "SiH2_s1A1d", "CCl4", "H2O"))]
    drawn = [embed(smiles, seed=0) for smiles in ("C1=CC=C1", "N#Cc1ccccc1", "CS(C)=O", "FC(Cl)Br")]
    molecules = named + [(placed.numbers, placed.positions) for placed in drawn]
    benzonitrile = drawn[1].positions
    apart = np.linalg.norm(benzonitrile[:, None] - benzonitrile[None], axis=-1) > 10 * Bohr
    assert apart.any()

    stdin = json.dumps([[numbers.tolist(), positions.tolist()] for numbers, positions in molecules])
    done = without("xtb")("-c", SINGLE_POINTS, stdin=stdin)
    assert done.stderr == "False\n"
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for (numbers, positions), (energy, charges, orders, level) in zip(molecules, rows, strict=True):
        expected = single_point(numbers, positions)
        assert energy == pytest.approx(expected.energy, rel=1e-6, abs=1e-6)
        np.testing.assert_allclose(charges, expected.charges, atol=3e-5)
        np.testing.assert_allclose(orders, expected.bond_orders, atol=1e-5)
        assert level == str(expected.level) == "GFN2-xTB (unrelaxed) energy [eV]"
    assert (np.array(rows[5][2])[apart] == 0).all()


@needs_tblite
def test_single_points_without_xtb_fail_by_name(without) -> None:
    done = without("xtb")("-c", FAILURES)
    assert (done.stdout, done.stderr) == ("scf_not_converged\nunpaired_electrons\n", "")


@needs_both
@pytest.mark.parametrize("missing", ["xtb", "tblite"])
def test_xtb_geometries_are_those_of_either_binding(without, missing) -> None:
    done = without(missing)("-c", GEOMETRY)
    geometry, numbers, positions = json.loads(done.stdout)
    expected = make_geometry("NCC=O", geometry="xtb", seed=4)
    assert geometry == "xtb"
    assert numbers == expected.numbers.tolist()
    distances = [np.linalg.norm(p[:, None] - p, axis=-1) for p in (np.array(positions), expected.positions)]
    np.testing.assert_allclose(*distances, atol=0.01)
    energies = [single_point(np.array(numbers), np.array(p)).energy for p in (positions, expected.positions)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-4)


@needs_both
@pytest.mark.parametrize("missing", ["xtb", "tblite"])
@pytest.mark.parametrize("method", ["GFN2-xTB", "GFN1-xTB"])
def test_the_default_simulator_labels_with_either_at_the_same_level(
    without, tmp_path, method, missing
) -> None:
    (tmp_path / "molecules.smi").write_text("NCC=O\nCO\n")
    command = ["-m", "alkit", "label", "molecules.smi", "--method", method, "--set", "solvent=water"]
    done = without(missing)(*command)
    assert done.stderr.splitlines()[-1] == "2 labelled, 0 failed (see the column reason)."
    simulator = create_simulator(SimulatorSpec("xtb", {"method": method, "solvent": "water"}))
    for row in csv.DictReader(done.stdout.splitlines()):
        expected = simulator.label(embed(row["smiles"], seed=0))
        assert float(row["u0_eV"]) == pytest.approx(expected.value, abs=1e-4)
        assert row["method"] == expected.level.method == f"{method} GBSA(water)"


@needs_both
def test_whose_numbers_a_kept_label_holds_is_part_of_its_key(without) -> None:
    simulator = create_simulator(SimulatorSpec("xtb", {}))
    # Word for word as it was before tblite could compute: labels that are kept stay of use.
    expected = (
        '["xtb", "GFN2-xTB", "u0", "eV", "VERSION", {"charge": 0, "conformers": 1, "fmax": 0.01, "hessian": '
        '"forward", "imaginary": 50.0, "max_iterations": 250, "max_steps": 300, "method": "GFN2-xTB", '
        '"recover": true, "relax": true, "solvent": "", "target": "u0", "unpaired": 0}, 2]'
    )
    recipe = _recipe(SimulatorSpec("xtb", {}), simulator)
    assert recipe == expected.replace("VERSION", f"tblite {version('tblite')}")
    code = (
        "from alkit.simulators.base import SimulatorSpec, create_simulator\n"
        "from alkit.storage.label_cache import _recipe\n"
        "print(_recipe(SimulatorSpec('xtb', {}), create_simulator(SimulatorSpec('xtb', {}))))"
    )
    done = without("tblite")("-c", code)
    assert done.stdout.strip() == expected.replace("VERSION", f"xtb {version('xtb')}")


@needs_both
def test_a_cache_of_the_other_binding_is_of_use(without, tmp_path) -> None:
    """Caches of earlier revisions hold what xtb-python has computed."""
    (tmp_path / "molecules.smi").write_text("CO\n")
    keep = (
        "from pathlib import Path\n"
        "from alkit.molecules.conformers import embed\n"
        "from alkit.simulators.base import SimulatorSpec, create_simulator\n"
        "from alkit.storage.label_cache import LabelCache\n"
        "spec, molecule = SimulatorSpec('xtb', {'method': METHOD}), embed('CO', seed=0)\n"
        "cache = LabelCache(Path('labels.sqlite'), spec)\n"
        "cache.put(molecule, create_simulator(spec).label(molecule))\n"
        "cache.close()\n"
    )
    run = without("tblite")
    for method in ("GFN2-xTB", "GFN1-xTB"):
        done = run("-c", keep.replace("METHOD", repr(method)))
        assert done.returncode == 0, done.stderr
        spec = SimulatorSpec("xtb", {"method": method})
        with closing(LabelCache(tmp_path / "labels.sqlite", spec)) as cache:
            kept = cache.get(embed("CO", seed=0))
            assert kept is not None
            assert kept.value == pytest.approx(
                create_simulator(spec).label(embed("CO", seed=0)).value, abs=1e-4
            )
    with closing(LabelCache(tmp_path / "labels.sqlite", SimulatorSpec("xtb", {"method": "GFN-FF"}))) as cache:
        assert cache.get(embed("CO", seed=0)) is None


@needs_tblite
def test_the_force_field_is_xtb_s_alone(without, tmp_path) -> None:
    (tmp_path / "molecules.smi").write_text("CO\n")
    done = without("xtb")("-m", "alkit", "label", "molecules.smi", "--method", "GFN-FF")
    _refused(done, "simulator xtb: GFN-FF needs the package xtb, which is not installed; pip has it for")


@needs_tblite
def test_the_default_campaign_runs_without_xtb(without, tiny, write_config, tmp_path) -> None:
    (tmp_path / "pool.smi").write_text("CCO\nCCN\nC1CC1\nCC=O\nCCF\nCOC\nNC=O\nC#CC\nCC#N\nCCC\n")
    tiny["proposer"] = {"kind": "pool", "file": "pool.smi"}
    tiny["surrogate"]["epochs"] = 1
    del tiny["acquisition"]  # the default is bias
    done = without("xtb")("-m", "alkit", "campaign", "run", write_config(tiny))
    assert done.returncode == 0, done.stderr
    _, ledger = open_campaign(tmp_path / "run")
    with closing(ledger):
        assert ledger.meta("stopped_by") == "round 1 of 1 is done"
        assert ledger.level == Level("GFN2-xTB", "energy", "eV")
        assert len(ledger.labelled("training")) == 12 + 4
    with np.load(tmp_path / "run" / "rounds" / "01" / "predictions.npz") as arrays:
        assert len(arrays["xtb_energy"]) > 0
        assert np.isfinite(arrays["xtb_energy"]).all()
        assert np.isfinite(arrays["labelled_xtb_energy"]).all()


def _refused(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith(f"alkit: {sentence}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_without_either_everything_that_needs_one_says_so_before_work_begins(
    without, tiny, write_config, tmp_path
) -> None:
    (tmp_path / "table.csv").write_text(
        "smiles,u0\n" + "".join(f"{'C' * k}O,{-12 * k - 16}\n" for k in range(1, 30))
    )
    alone = "baseline gfn2 needs the package tblite, which is not installed: pip install tblite"
    fix = "needs GFN2-xTB, and neither tblite nor xtb is installed: pip install tblite"
    expected = [
        (
            ["label", "table.csv"],
            "simulator xtb: it needs tblite or xtb, and neither is installed: pip install tblite",
        ),
        (["train", "table.csv", "--out", "model", "--learning", "delta"], alone),
        (["train", "table.csv", "--out", "model", "--geometry", "xtb"], f"geometry xtb {fix}"),
        (["study", "2d-vs-3d", "table.csv", "--out", "study"], f"--noise-floor {fix}"),
    ]
    emt = {"kind": "ase", "settings": {"calculator": "ase.calculators.emt:EMT"}}
    for k, (changes, sentence) in enumerate(
        (
            (
                {"simulator": {"kind": "xtb"}},
                "simulator xtb: it needs tblite or xtb, and neither is installed",
            ),
            ({"acquisition": "bias"}, alone),
            ({"surrogate": {"geometry": "xtb"}}, f"geometry xtb {fix}"),
            ({"surrogate": {"learning": "delta"}}, alone),
            ({"surrogate": {"pretraining": "gfn2"}}, alone),
            ({"surrogate": {"xtb_inputs": True}}, alone),
        )
    ):
        config = write_config({**tiny, "simulator": emt, **changes}, f"{k}.yaml")
        expected.append((["campaign", "run", str(config)], sentence))
    done = without("xtb", "tblite")(
        "-c", COMMANDS, stdin=json.dumps([arguments for arguments, _ in expected])
    )
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(expected), done.stderr
    for (_, sentence), line, code in zip(expected, lines[::2], lines[1::2], strict=True):
        assert line.startswith(f"alkit: {sentence}")
        assert code == "2"
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "study").exists()
