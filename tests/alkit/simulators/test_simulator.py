"""alkit.simulators.simulator: levels, settings, conformers; its numbers against ASE and the xtb program."""

import os
import re
import shutil
import subprocess
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.thermochemistry import IdealGasThermo
from ase.units import Hartree, invcm
from ase.vibrations import Vibrations
from threadpoolctl import threadpool_limits

from alkit.errors import ConfigError
from alkit.molecules.conformers import embed
from alkit.molecules.molecule import canonical
from alkit.simulators import SimulatorSpec, create_simulator
from alkit.simulators.lookup import Lookup
from alkit.simulators.xtb import XTBSimulator

pytest.importorskip("xtb.ase.calculator", reason="xtb has no wheel for this Python")
QM9 = Path(__file__).parents[4] / "shared" / "data" / "qm9_12k.npz"
SMALL = [
    "C",
    "N",
    "O",
    "CC",
    "C=C",
    "C#C",
    "CO",
    "C=O",
    "N#C",
    "CN",
    "CCO",
    "CC=O",
    "NC=O",
    "OC=O",
    "C1CC1",
    "C1CO1",
    "COC",
    "CC#N",
    "c1ccoc1",
    "CCC",
]


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({}, "GFN2-xTB u0 [eV]"),
        ({"target": "energy", "relax": False}, "GFN2-xTB (unrelaxed) energy [eV]"),
        ({"method": "GFN1-xTB", "solvent": "water"}, "GFN1-xTB GBSA(water) u0 [eV]"),
        (
            {"solvent": "thf", "charge": 1, "unpaired": 1, "conformers": 5},
            "GFN2-xTB GBSA(thf), charge +1, 1 unpaired, lowest of 5 u0 [eV]",
        ),
        # How a label is reached is not part of what it is.
        ({"recover": False, "fmax": 0.005, "hessian": "central"}, "GFN2-xTB u0 [eV]"),
        # Unless it is not quite reached.
        ({"fmax": 0.1, "imaginary": 100}, "GFN2-xTB, fmax 0.1, imaginary 100 u0 [eV]"),
        ({"target": "energy", "imaginary": 100}, "GFN2-xTB energy [eV]"),
        ({"target": "energy", "relax": False, "fmax": 0.1}, "GFN2-xTB (unrelaxed) energy [eV]"),
    ],
)
def test_the_level_says_what_changes_the_number(settings: dict, level: str) -> None:
    assert str(create_simulator(SimulatorSpec("xtb", settings)).level) == level


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"charge": 0.5}, "charge is 0.5.*whole number or from_smiles"),
        ({"unpaired": "some"}, "unpaired is .some"),
        ({"unpaired": -2}, "at least 0"),
        ({"conformers": 0}, "at least 1"),
        ({"conformers": 2, "relax": False, "target": "energy"}, "conformers need to be relaxed"),
        ({"solvent": "wine"}, "solvent is 'wine'.*water"),
        ({"method": "GFN-FF", "solvent": "water"}, "gas phase"),
        ({"recover": "yes"}, "recover is 'yes'"),
        ({"max_steps": 1.5}, "max_steps is 1.5"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_sentence(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_simulator(SimulatorSpec("xtb", settings))


def test_a_label_of_any_start_is_known_as_such() -> None:
    assert XTBSimulator().any_start
    assert not XTBSimulator(target="energy", relax=False).any_start
    assert Lookup.any_start
    assert XTBSimulator().version == f"tblite {version('tblite')}"


def test_the_lowest_of_several_conformers_is_taken() -> None:
    one, many = (XTBSimulator(target="energy", conformers=k) for k in (1, 6))
    for smiles in ("OCCCN", "NC(CO)CO", "OCC(=O)CO"):
        molecule = embed(smiles, geometry="etkdg", seed=3)
        single, lowest = one.label(molecule), many.label(molecule)
        assert lowest.value <= single.value + 1e-4
        assert 1 <= lowest.parts["conformers"] <= 6
        assert lowest.parts["conformer_spread"] >= 0


def test_a_molecule_of_one_conformer_says_so() -> None:
    parts = XTBSimulator(target="energy", conformers=5).label(embed("C", seed=0)).parts
    assert (parts["conformers"], parts["conformer_spread"]) == (1, 0)


def test_what_is_left_of_the_start_is_less_with_conformers() -> None:
    """The lowest of ten, from four random starts: closer together than one from each."""
    spreads = []
    for k in (1, 10):
        simulator = XTBSimulator(target="energy", conformers=k)
        starts = [embed("OCCCN", geometry="etkdg", seed=seed) for seed in range(4)]
        spreads.append(np.ptp([simulator.label(start).value for start in starts]))
    assert spreads[1] < spreads[0] / 2


def test_gfn_ff_labels_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    simulator = XTBSimulator(method="GFN-FF")
    label = simulator.label(embed("CCO", seed=0))
    again = XTBSimulator(method="GFN-FF").label(embed("CCO", seed=0))
    assert label.value == again.value
    assert label.parts["atom_energies"] == 0
    assert label.value == pytest.approx(-33.5, abs=3)  # the experiment's is -33.5 eV
    assert (list(tmp_path.iterdir()), capfd.readouterr()) == ([], ("", ""))


@pytest.mark.parametrize(("smiles", "geometry"), [("CC=O", "nonlinear"), ("C#N", "linear")])
def test_energy_and_zero_point_energy_are_those_of_ases_thermochemistry(
    smiles: str, geometry: str, tmp_path: Path
) -> None:
    label = XTBSimulator(fmax=0.002).label(embed(smiles, seed=0))
    atoms = Atoms(label.numbers, label.positions)
    atoms.calc = XTBSimulator().new_calculator()
    atoms.calc.set(accuracy=1e-3)
    with threadpool_limits(1), warnings.catch_warnings():
        vibrations = Vibrations(atoms, name=str(tmp_path / "vib"), delta=0.005)
        vibrations.run()
        energies = vibrations.get_energies()
        gas = IdealGasThermo(
            energies,
            geometry,
            potentialenergy=atoms.get_potential_energy(),
            atoms=atoms,
            symmetrynumber=1,
            spin=0,
            ignore_imag_modes=True,
        )
        warnings.simplefilter("ignore", RuntimeWarning)  # of ASE, at 1e-6 K
        enthalpy = gas.get_enthalpy(1e-6, verbose=False)  # at 0 K: electronic and zero-point energy
    assert label.parts["total_energy"] + label.parts["zpve"] == pytest.approx(enthalpy, abs=1e-3)
    assert label.parts["lowest_mode_cm1"] > 50


@pytest.mark.skipif(shutil.which("xtb") is None, reason="the xtb program is not installed (no wheel has it)")
@pytest.mark.parametrize("smiles", SMALL)
def test_labels_agree_with_the_xtb_program(smiles: str, tmp_path: Path) -> None:
    molecule = embed(smiles, seed=0)
    label = XTBSimulator().label(molecule)
    write(tmp_path / "start.xyz", Atoms(molecule.numbers, molecule.positions))
    ran = subprocess.run(
        ["xtb", "start.xyz", "--ohess", "tight", "--gfn", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    energy = float(re.findall(r"total energy\s+(-?\d+\.\d+) Eh", ran.stdout)[-1]) * Hartree
    # Summed here, as version 6.5 ends at linear molecules before it does so itself.
    table = ran.stdout.split("vibrational frequencies")[1].split("reduced masses")[0]
    lines = re.findall(r"^eigval :(.*)$", table, flags=re.MULTILINE)
    zero_point = sum(float(number) for line in lines for number in line.split()) / 2 * invcm
    assert label.parts["total_energy"] == pytest.approx(energy, abs=1e-4)
    assert label.parts["zpve"] == pytest.approx(zero_point, abs=1.5e-3)


@pytest.mark.long
@pytest.mark.skipif(not QM9.is_file(), reason="the QM9 subset is not there")
def test_ordinary_molecules_are_not_refused() -> None:
    simulator, refused = XTBSimulator(target="energy", recover=False), []
    for smiles in np.load(QM9, allow_pickle=False)["smiles"][:200]:
        if "+" in smiles:  # drawn as zwitterions, half of which lose a proton in the gas phase
            continue
        try:
            simulator.label(embed(canonical(str(smiles)), seed=0))
        except Exception as error:
            refused.append(f"{smiles}: {error}")
    assert refused == []
