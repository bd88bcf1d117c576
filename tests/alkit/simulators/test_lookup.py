"""alkit.simulators.lookup: a small database made here."""

from pathlib import Path

import numpy as np
import pytest

from alkit.datasets.create import Record, create_database
from alkit.errors import DataError, LabelError
from alkit.molecules.conformers import embed
from alkit.molecules.molecule import Molecule
from alkit.simulators import Level, SimulatorSpec, check_label, create_simulator

LEVEL = "B3LYP/6-31G(2df,p)"
U0 = {"O": -2079.0, "N": -1538.5}  # made up, eV
ATOMS = {1: -13.6, 7: -1485.0, 8: -2042.0}


def database(path: Path, geometry: str) -> str:
    molecules = {smiles: embed(smiles, seed=1) for smiles in U0}
    records = [
        Record(s, m.numbers, m.positions if geometry == "dataset" else None, {"energy_U0": U0[s]})
        for s, m in molecules.items()
    ]
    create_database(
        path,
        records,
        units={"energy_U0": "eV"},
        level=LEVEL,
        geometry=geometry,
        source="this test",
        atomrefs={"energy_U0": ATOMS},
    )
    return str(path)


@pytest.mark.parametrize("geometry", ["dataset", "none"])
def test_the_stored_label_is_an_atomization_energy_with_its_level(tmp_path: Path, geometry: str) -> None:
    simulator = create_simulator(SimulatorSpec("lookup", {"dataset": database(tmp_path / "a.db", geometry)}))
    molecule = embed("O", geometry="etkdg", seed=5)
    label = check_label(simulator.label(molecule), molecule, Level(LEVEL, "u0", "eV"))
    assert label.value == pytest.approx(-2079.0 - (-2042.0 - 2 * 13.6))
    source = embed("O", seed=1) if geometry == "dataset" else molecule
    assert np.array_equal(label.positions, source.positions)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", "dataset")
    simulator = create_simulator(SimulatorSpec("lookup", {"dataset": path}))
    methane: Molecule = embed("C", seed=0)
    with pytest.raises(LabelError, match=r"C is not in a\.db") as failure:
        simulator.label(methane)
    assert failure.value.reason == "not_in_dataset"
    with pytest.raises(DataError, match=r"absent\.db"):
        create_simulator(SimulatorSpec("lookup", {"dataset": str(tmp_path / "absent.db")}))
    with pytest.raises(DataError, match="homo"):
        create_simulator(SimulatorSpec("lookup", {"dataset": path, "target": "homo"}))
