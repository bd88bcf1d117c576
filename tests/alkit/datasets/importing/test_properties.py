"""alkit.datasets.importing: units, several properties, isolated atoms, and what comes back out."""

import importlib
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.db import connect
from datasets_importing import HARTREE, LEVEL, ten, write_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alkit.datasets import Dataset, ImportOptions, import_files
from alkit.datasets.importing.fitted_atoms import AtomFit
from alkit.datasets.importing.options import of_each
from alkit.datasets.importing.properties import force_unit
from alkit.errors import DataError
from alkit.molecules.energies import UNITS

FACTORS = {"eV": 1.0, "hartree": HARTREE, "kcal/mol": 0.0433641, "kJ/mol": 0.01036427, "meV": 0.001}
SMILES = ("C", "CC", "CO", "CCO", "C#N")
BOUND = (-18.2, -31.4, -21.9, -35.0, -13.4)  # eV, nearly
FEW = {"deadline": None, "max_examples": 15, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(**FEW)
@given(unit=st.sampled_from(list(UNITS)), scale=st.floats(0.9, 1.1), order=st.permutations(range(5)))
def test_units_are_converted_and_come_back(unit, scale, order, tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    energies = [BOUND[k] * scale for k in order]
    rows = [{"smiles": SMILES[k], "E": repr(e / FACTORS[unit])} for k, e in zip(order, energies, strict=True)]
    options = ImportOptions(properties=("E=u0",), units=(unit,), kinds=("atomization",), levels=("X",))
    import_files([write_table(folder / "a.csv", rows)], folder / "out.db", options)
    data = Dataset.open(folder / "out.db")
    assert data.smiles == [SMILES[k] for k in order]
    assert data.atomization("u0") == pytest.approx(energies, rel=2e-5)
    assert data.target("u0") == pytest.approx([float(row["E"]) * UNITS[unit] for row in rows], rel=1e-12)


@settings(**FEW)
@given(seed=st.integers(0, 2**31), length=st.sampled_from(["angstrom", "bohr"]), gradients=st.booleans())
def test_what_is_exported_is_imported_the_same(seed, length, gradients, tmp_path_factory):
    """alkit -> ASE's extended XYZ -> alkit: positions, energies and forces of shaken molecules."""
    folder = tmp_path_factory.mktemp("export")
    rng = np.random.default_rng(seed)
    frames = []
    for one in ten():
        places = one.positions + rng.normal(0, 0.01, one.positions.shape)
        atoms = Atoms(one.numbers, places / (units.Bohr if length == "bohr" else 1.0))
        sign = -1 if gradients else 1
        atoms.arrays["f"], atoms.info["e"] = sign * one.forces, one.energy + rng.normal(0, 0.1)
        frames.append((atoms, places))
    ase.io.write(folder / "a.extxyz", [atoms for atoms, _ in frames])
    options = ImportOptions(
        properties=("e=energy",),
        units=("eV",),
        kinds=("total",),
        levels=(LEVEL,),
        length=length,
        forces_unit="eV/Ang",
        **{"gradients" if gradients else "forces": "f"},
    )
    import_files([folder / "a.extxyz"], folder / "first.db", options)
    first = Dataset.open(folder / "first.db")
    for i, (atoms, places) in enumerate(frames):
        assert first.positions(i) == pytest.approx(places, abs=1e-7)
        assert first.forces(i) == pytest.approx(ten()[i].forces, abs=1e-7)
        assert first.target("energy", i) == pytest.approx(atoms.info["e"], abs=1e-9)
    with connect(folder / "first.db") as db, connect(folder / "plain.db") as plain:
        for row in db.select():
            plain.write(
                row.toatoms(), smiles=row.smiles, e=float(row.data.energy[0]), data={"f": row.data.forces}
            )
    again = ImportOptions(
        properties=("e=energy",),
        units=("eV",),
        kinds=("total",),
        levels=(LEVEL,),
        forces="f",
        forces_unit="eV/Ang",
    )
    import_files([folder / "plain.db"], folder / "second.db", again)
    second = Dataset.open(folder / "second.db")
    assert second.smiles == first.smiles
    assert np.array_equal(second.target("energy"), first.target("energy"))
    for i in range(len(first)):
        assert np.array_equal(second.positions(i), first.positions(i))
        assert np.array_equal(second.forces(i), first.forces(i))


@settings(deadline=None, max_examples=30)
@given(
    atoms=st.tuples(*[st.floats(-60, 60)] * 3),
    outliers=st.sets(st.integers(0, 59), max_size=3),
    seed=st.integers(0, 2**31),
)
def test_fitted_atoms_leave_what_the_true_ones_leave_up_to_a_sum_over_elements(atoms, outliers, seed):
    rng = np.random.default_rng(seed)
    fit = AtomFit("")
    molecules = []
    for k in range(60):
        counts = rng.integers(1, 9, 3)
        numbers = np.repeat([1, 6, 8], counts)
        energy = float(counts @ np.array(atoms)) - 5.0 * len(numbers) + rng.normal(0, 0.05)
        molecules.append((counts, energy))
        fit.add(numbers, energy + (1000.0 if k in outliers else 0.0))
    found = fit.atoms()
    rest = [e - sum(found[z] * n for z, n in zip((1, 6, 8), c, strict=True)) for c, e in molecules]
    exact = [-5.0 * c.sum() for c, _ in molecules]
    shift = np.linalg.lstsq(np.array([c for c, _ in molecules]), np.array(rest) - exact, rcond=None)[0]
    left = np.array(rest) - exact - np.array([c for c, _ in molecules]) @ shift
    assert np.abs(left).max() < 0.5


def test_atoms_of_one_molecule_alone(tmp_path):
    """No fit can part the elements of one composition; the energies still are what a molecule can have."""
    one = ten()[2]
    frames = []
    for k in range(12):
        atoms = one.atoms
        atoms.positions += np.random.default_rng(k).normal(0, 0.02, atoms.positions.shape)
        atoms.info["e"] = (one.energy + 0.05 * k) / HARTREE
        atoms.calc = None
        frames.append(atoms)
    ase.io.write(tmp_path / "a.extxyz", frames)
    options = ImportOptions(
        properties=("e=energy",), units=("hartree",), kinds=("total",), levels=("mine",), references="fit"
    )
    import_files([tmp_path / "a.extxyz"], tmp_path / "out.db", options)
    data = Dataset.open(tmp_path / "out.db")
    assert data.level_of("energy") == "mine (atoms fitted)"
    assert np.diff(data.atomization("energy")) == pytest.approx(0.05, abs=1e-6)


def test_several_properties_each_with_its_own_unit_kind_and_level(tmp_path):
    rows = [
        {"smiles": one.smiles, "E": one.energy / HARTREE, "gap_h": 0.3 + 0.01 * k, "mu": k}
        for k, one in enumerate(ten())
    ]
    options = ImportOptions(
        properties=("E=energy", "gap_h=gap", "mu"),
        units=("hartree", "mu=Debye"),
        kinds=("energy=total",),
        levels=(LEVEL, "gap=GW"),
    )
    import_files([write_table(tmp_path / "a.csv", rows)], tmp_path / "out.db", options)
    data = Dataset.open(tmp_path / "out.db")
    gap, mu = data.properties["gap"], data.properties["dipole_moment"]
    assert (gap.unit, gap.kind, gap.level) == ("eV", "intensive", "GW")
    assert (mu.unit, mu.kind, mu.level) == ("Debye", "intensive", LEVEL)
    assert data.target("gap") == pytest.approx([(0.3 + 0.01 * k) * HARTREE for k in range(10)])
    assert data.target("mu").tolist() == list(range(10))
    assert data.level_of("energy") == LEVEL


def test_schnetpack_reads_what_is_imported(tmp_path):
    importlib.import_module("surrogate.compat")  # a name that torch renamed
    from schnetpack.data import ASEAtomsData

    ase.io.write(tmp_path / "a.extxyz", [one.atoms for one in ten()])
    import_files(
        [tmp_path / "a.extxyz"], tmp_path / "out.db", ImportOptions(kinds=("total",), levels=(LEVEL,))
    )
    data = ASEAtomsData(str(tmp_path / "out.db"))
    assert data.units == {"energy": "eV", "forces": "eV/Ang"}
    for i, one in enumerate(ten()):
        assert data[i]["energy"].item() == pytest.approx(one.energy)
        assert data[i]["forces"].numpy() == pytest.approx(one.forces, abs=1e-5)


def test_values_of_one_property_and_of_all():
    assert of_each(("eV", "b=hartree"), ("a", "b"), "--unit") == {"a": "eV", "b": "hartree"}
    assert of_each(("xtb, solvent=water",), ("a",), "--level") == {"a": "xtb, solvent=water"}
    with pytest.raises(DataError, match="given twice for a"):
        of_each(("eV", "hartree"), ("a",), "--unit")


def test_units_of_forces():
    assert force_unit("hartree/bohr") == pytest.approx(51.42208619)  # CODATA 2018
    assert force_unit("kcal/mol/Ang") == pytest.approx(0.0433641, rel=1e-6)
    with pytest.raises(DataError, match="hartree/bohr"):
        force_unit("hartree")


def test_limit_and_left_out_rows(tmp_path: Path):
    rows = [{"smiles": one.smiles, "E": one.energy} for one in ten()]
    options = ImportOptions(
        properties=("E=energy",), units=("eV",), kinds=("total",), levels=(LEVEL,), limit=4
    )
    assert import_files([write_table(tmp_path / "a.csv", rows)], tmp_path / "out.db", options).written == 4
