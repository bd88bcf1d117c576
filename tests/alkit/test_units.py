"""alkit.units: constants against ASE's."""

import ase.units
import pytest

from alkit.units import CHEMICAL_ACCURACY, KCAL_PER_MOL


def test_chemical_accuracy_is_one_kcal_per_mol():
    assert pytest.approx(ase.units.kcal / ase.units.mol, rel=1e-6) == KCAL_PER_MOL == CHEMICAL_ACCURACY
