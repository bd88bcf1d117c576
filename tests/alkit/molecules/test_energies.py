"""alkit.molecules.energies: which numbers are atomization energies in eV, and what the others are."""

import numpy as np
import pytest
from ase import units
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from alkit.datasets.qm9 import ATOMREFS
from alkit.errors import DataError
from alkit.molecules.energies import UNITS, Reading, check_energies, problem_of, read_as, unit_of

# B3LYP/6-31G(2df,p) of QM9 at 0 K, Hartree, for the first molecules of the set.
U0 = {
    "C": -40.47893, "N": -56.525887, "O": -76.404702, "C#C": -77.308427, "C#N": -93.411888,
    "C=O": -114.483613,
    "CC": -79.764152, "CO": -115.679136, "CC#C": -116.609549, "CC#N": -132.71815, "CC=O": -153.787612,
    "NC=O": -169.860788, "CCC": -119.052475, "CCO": -154.972731, "COC": -154.960361, "C1CC1": -117.824798,
}  # fmt: skip
# Measured or computed atomization energies in eV of molecules at the ends of the range.
ENDS = {
    "FF": -1.6, "II": -1.54, "BrBr": -1.97, "FCl": -2.6, "[O-][O+]=O": -6.1, "FN(F)F": -8.6, "N#N": -10.55,
    "O=C=O": -26.34, "[C-]#[O+]": -15.264, "FC(F)(F)F": -21.9, "FB(F)F": -20.79, "[H][H]": -5.326,
    "ClC(Cl)(Cl)Cl": -13.5,
}  # fmt: skip


def numbers(smiles: str) -> np.ndarray:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])


ATOMS = [numbers(smiles) for smiles in U0]
TOTAL = np.array(list(U0.values())) * units.Hartree
ATOMIZATION = TOTAL - np.array([sum(ATOMREFS["energy_U0"][int(z)] for z in atoms) for atoms in ATOMS])
NAMES = list(U0)


def test_real_atomization_energies_pass() -> None:
    check_energies(ATOMIZATION, ATOMS, "QM9", names=NAMES)
    for smiles, energy in ENDS.items():
        assert problem_of(energy, numbers(smiles)) == ""


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", ["atomization", "total", "of the other sign", "per atom"])
def test_every_wrong_unit_and_kind_is_refused_and_recognised(unit: str, kind: str) -> None:
    sizes = np.array([len(atoms) for atoms in ATOMS])
    energies = {
        "atomization": ATOMIZATION,
        "total": TOTAL,
        "of the other sign": -ATOMIZATION,
        "per atom": ATOMIZATION / sizes,
    }[kind] / UNITS[unit]
    assert read_as(energies, ATOMS) == Reading(unit, kind)
    if (unit, kind) == ("eV", "atomization"):
        return
    with pytest.raises(DataError, match=r"y: .* lies between .* eV; the numbers look like") as said:
        check_energies(energies, ATOMS, "y", names=NAMES, advice=lambda reading: f" It is {reading}!")
    assert f"It is {Reading(unit, kind)}!" in str(said.value)


def test_one_value_for_all_is_refused() -> None:
    with pytest.raises(DataError, match="all 5 energies are -20 eV"):
        check_energies(np.full(5, -20.0), ATOMS[6:11], "x", names=NAMES[6:11])


def test_a_single_wrong_value_is_named() -> None:
    values = ATOMIZATION.copy()
    values[3] = 5.0
    with pytest.raises(DataError, match=r"C#C has 5, .* 1 of 16 molecules"):
        check_energies(values, ATOMS, "x", names=NAMES)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_number_is_no_energy(value: float) -> None:
    assert problem_of(value, [8, 1, 1])
    with pytest.raises(DataError):
        check_energies(np.array([value]), [np.array([8, 1, 1])], "x", names=["O"])


def test_units_have_their_usual_names() -> None:
    assert unit_of("Ha") == unit_of("HARTREE") == unit_of("Eh") == units.Hartree
    assert unit_of("KCAL/MOL") == pytest.approx(0.0433641, abs=1e-7)
    with pytest.raises(DataError, match="'cal' is no unit of energy"):
        unit_of("cal")


@given(st.lists(st.sampled_from(range(len(NAMES))), min_size=2, max_size=30), st.sampled_from(sorted(UNITS)))
@settings(max_examples=60, deadline=None)
def test_no_mixture_of_molecules_hides_a_unit(rows: list[int], unit: str) -> None:
    if unit != "eV":
        with pytest.raises(DataError):
            check_energies(ATOMIZATION[rows] / UNITS[unit], [ATOMS[i] for i in rows], "x", names=NAMES)
