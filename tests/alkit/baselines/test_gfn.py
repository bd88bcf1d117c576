"""alkit.simulators.single_point: the single point that delta mode learns on top of."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import Hartree
from gfn2 import LEVEL, single_point

from alkit.errors import LabelError
from alkit.molecules.free_atoms import ATOM_ENERGIES
from alkit.simulators.xtb import XTBSimulator


def test_the_energy_is_that_of_the_ase_calculator() -> None:
    atoms = molecule("CH3CHO")
    found = single_point(atoms.numbers, atoms.positions)
    atoms.calc = XTBSimulator().new_calculator()
    references = sum(ATOM_ENERGIES["GFN2-xTB"][z] for z in atoms.numbers.tolist())
    assert found.energy == pytest.approx(atoms.get_potential_energy() - references, abs=1e-4)
    np.testing.assert_allclose(found.charges, atoms.calc.get_charges(), atol=1e-3)
    assert found.level == LEVEL
    assert "unrelaxed" in str(found.level)


def test_the_energy_and_charges_are_those_of_the_other_binding() -> None:
    tblite = pytest.importorskip("tblite.interface")
    atoms = molecule("HCOOH")
    found = single_point(atoms.numbers, atoms.positions)
    other = tblite.Calculator("GFN2-xTB", atoms.numbers, atoms.positions / 0.52917721)
    other.set("verbosity", 0)
    result = other.singlepoint()
    references = sum(ATOM_ENERGIES["GFN2-xTB"][z] for z in atoms.numbers.tolist())
    assert found.energy == pytest.approx(result.get("energy") * Hartree - references, abs=1e-3)
    np.testing.assert_allclose(found.charges, result.get("charges"), atol=1e-3)
    np.testing.assert_allclose(found.bond_orders, result.get("bond-orders").reshape(5, 5), atol=1e-3)


def test_charges_and_bond_orders_are_those_of_chemistry() -> None:
    def orders(name: str) -> float:
        atoms = molecule(name)
        found = single_point(atoms.numbers, atoms.positions)
        assert found.charges.sum() == pytest.approx(0, abs=1e-6)
        np.testing.assert_allclose(found.bond_orders, found.bond_orders.T, atol=1e-9)
        assert (np.diag(found.bond_orders) == 0).all()
        carbon = np.flatnonzero(atoms.numbers == 6)
        return float(found.bond_orders[carbon[0], carbon[1]])

    single, double, triple = orders("C2H6"), orders("C2H4"), orders("C2H2")
    assert single == pytest.approx(1, abs=0.2)
    assert double == pytest.approx(2, abs=0.2)
    assert triple == pytest.approx(3, abs=0.3)
    water = molecule("H2O")
    assert single_point(water.numbers, water.positions).charges[water.numbers == 8] < -0.3


def test_moving_and_turning_change_nothing() -> None:
    atoms = molecule("CH3OH")
    first = single_point(atoms.numbers, atoms.positions)
    atoms.rotate(70, (1, 2, 3))
    atoms.translate((3, 1, 2))
    moved = single_point(atoms.numbers, atoms.positions)
    assert moved.energy == pytest.approx(first.energy, abs=1e-5)
    np.testing.assert_allclose(moved.charges, first.charges, atol=1e-4)


def test_failures_have_names() -> None:
    with pytest.raises(LabelError) as caught:
        single_point(np.array([2, 2]), np.array([[0, 0, 0], [0, 0, 2.0]]), smiles="[He][He]")
    assert caught.value.reason == "unsupported_element"
    crushed = Atoms("O2", np.zeros((2, 3)))
    with pytest.raises(LabelError) as caught:
        single_point(crushed.numbers, crushed.positions, smiles="O=O")
    assert caught.value.reason in ("scf_not_converged", "not_finite")


@pytest.mark.parametrize("name", ["CH3", "OH", "NO2"])
def test_a_radical_is_refused(name: str) -> None:
    atoms = molecule(name)
    with pytest.raises(LabelError, match="odd number of electrons") as refused:
        single_point(atoms.numbers, atoms.positions, smiles=name)
    assert refused.value.reason == "unpaired_electrons"
