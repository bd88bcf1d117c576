"""Units and bounds of properties that are no energies of atomization."""

import numpy as np
import pytest
from ase import units
from hypothesis import given
from hypothesis import strategies as st

from alkit.errors import DataError
from alkit.molecules.energies import UNITS as ENERGY_UNITS
from alkit.molecules.scalars import (
    check_unit,
    check_values,
    problem_of,
    problem_of_orbitals,
    split_column,
    stored_unit,
    units_of,
)
from alkit.properties import ENERGIES, QM9, TABLE, Quantity, column, is_energy, kind_of, known, short_name

SCALARS = [one.name for one in TABLE if one.kind != "energy"]
MOLECULES = [np.array([6, 1, 1, 1, 1]), np.array([8, 1, 1]), np.array([7, 1, 1, 1])] * 3
NAMES = ["C", "O", "N"] * 3
GAPS = np.array([13.6, 9.7, 8.9, 13.5, 9.8, 8.8, 13.4, 9.6, 8.7])  # eV


def test_the_table_has_each_name_once_and_schnetpacks_names() -> None:
    import surrogate.compat  # noqa: F401, I001, schnetpack cannot be imported without it
    import schnetpack.datasets as published

    names = [name for one in TABLE for name in {one.name, one.stored, *one.also}]
    assert len(names) == len(set(names))
    theirs = {value for key, value in vars(published.QM9).items() if isinstance(value, str) and key[0] != "_"}
    assert {one.stored for one in QM9} <= theirs
    assert set(ENERGIES) == {"energy", "u0", "u298", "h298", "g298"}
    assert short_name("dipole") == short_name("dipole_moment") == "mu"
    assert short_name("mine") == "mine"
    assert known("mine") is None


@pytest.mark.parametrize(
    ("name", "unit", "factor", "stored"),
    [
        ("gap", "hartree", units.Hartree, "eV"),
        ("zpve", "kcal/mol", units.kcal / units.mol, "eV"),
        ("dipole", "e*Ang", 4.80320471, "Debye"),  # CODATA: 1 Debye is 0.2081943 e Å
        ("mu", "e*a0", 2.541746473, "Debye"),
        ("mu", "e*Å", 4.80320471, "Debye"),
        ("alpha", "Ang^3", 6.748334, "a0 a0 a0"),
        ("cv", "J/mol/K", 1 / 4.184, "cal/mol/K"),
        ("A", "cm-1", 29.9792458, "GHz"),
        ("mine", "kJ/mol", units.kJ / units.mol, "eV"),
        ("mine", "V", 1.0, "V"),
    ],
)
def test_units_become_the_propertys_own(name: str, unit: str, factor: float, stored: str) -> None:
    found = stored_unit(name, unit)
    assert found[0] == pytest.approx(factor, rel=1e-5)
    assert found[1] == stored


@pytest.mark.parametrize("name", SCALARS)
def test_every_unit_that_is_offered_is_taken_and_the_own_one_changes_nothing(name: str) -> None:
    own = known(name)
    assert own is not None
    assert stored_unit(name, own.unit) == (1.0, own.unit)
    assert all(stored_unit(name, unit)[1] == own.unit for unit in units_of(name))
    assert split_column(column(name, own.unit)) == (name, own.unit)


@pytest.mark.parametrize(
    ("name", "unit", "said"),
    [
        ("mu", "eV", "'eV' is no unit of mu; it is in one of Debye"),
        ("gap", "Debye", "'Debye' is no unit of gap; it is in one of eV, hartree"),
        ("u0", "Debye", "'Debye' is no unit of u0"),
        ("gap", "", "the unit of gap is not known; give it: eV, hartree"),
        ("mine", "", "the unit of mine is not known; give it"),
    ],
)
def test_a_unit_that_does_not_fit_is_refused(name: str, unit: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        stored_unit(name, unit)


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ("u0_kcal/mol", ("u0", "kcal/mol")),
        ("gap_eV", ("gap", "eV")),
        ("gap_std", ("gap_std", "")),
        ("mine_eV", ("mine_eV", "")),
        ("dipole_moment_debye", ("dipole_moment", "debye")),
    ],
)
def test_columns_name_their_unit(given_: str, found: tuple[str, str]) -> None:
    assert split_column(given_) == found


@pytest.mark.parametrize(
    ("name", "value"),
    [("gap", -0.1), ("gap", float("nan")), ("mu", -1.0), ("zpve", -0.5), ("homo", 30.0), ("mine", np.inf)],
)
def test_what_no_molecule_has(name: str, value: float) -> None:
    assert problem_of(name, value)


def test_homo_lies_below_lumo() -> None:
    assert "above lumo" in problem_of_orbitals({"homo": -3.0, "lumo": -5.0})
    assert not problem_of_orbitals({"homo": -5.0, "lumo": -3.0})
    assert not problem_of_orbitals({"homo": -3.0})


@pytest.mark.parametrize("unit", sorted(set(ENERGY_UNITS) - {"eV"}))
def test_a_column_in_another_unit_is_recognised(unit: str) -> None:
    with pytest.raises(DataError):
        check_values("gap", GAPS / ENERGY_UNITS[unit], MOLECULES, "x", names=NAMES)


def test_a_column_that_is_right_or_unknown_is_taken() -> None:
    check_values("gap", GAPS, MOLECULES, "x", names=NAMES)
    check_unit("mine", GAPS / 27.2, MOLECULES, "x")
    with pytest.raises(DataError, match="nothing to learn"):
        check_values("gap", np.full(9, 3.0), MOLECULES, "x", names=NAMES)
    with pytest.raises(DataError, match="look like gap in hartree"):
        check_unit("gap", GAPS / 27.2, MOLECULES, "x")


@given(st.sampled_from(TABLE), st.sampled_from(["", "scalar"]))
def test_kinds(one, stated: str) -> None:
    assert kind_of(one.name, stated) == one.kind
    assert kind_of(one.stored, stated) == one.kind
    assert kind_of("mine", stated) is None
    assert kind_of("mine", "intensive") == "intensive"
    assert is_energy(one.name) == (one.kind == "energy") == Quantity.of(one.name).energy
