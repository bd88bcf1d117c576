"""Ions and radicals: charge and spin come from the SMILES, or are refused with the true cause."""

from dataclasses import dataclass

import numpy as np
import pytest
from ase.build import molecule as g2
from ase.units import Bohr, Hartree
from tblite.interface import Calculator

from alkit.errors import ConfigError, LabelError
from alkit.molecules.conformers import embed
from alkit.molecules.molecule import Molecule, canonical, charge_and_radicals
from alkit.simulators.ase_calculator import ASESimulator
from alkit.simulators.base import Label, Level, check_electrons
from alkit.simulators.electrons import FROM_SMILES, electrons_of
from alkit.simulators.xtb import XTBSimulator


def total_energy(label: Label, charge: int, unpaired: int) -> float:
    """By tblite itself, eV."""
    calculator = Calculator(
        "GFN2-xTB", label.numbers, label.positions / Bohr, charge=float(charge), uhf=unpaired
    )
    calculator.set("verbosity", 0)
    return float(calculator.singlepoint().get("energy")) * Hartree


@pytest.mark.parametrize(
    ("smiles", "charge", "unpaired"),
    [
        ("[NH4+]", 1, 0),
        ("CC(=O)[O-]", -1, 0),
        ("[OH-]", -1, 0),
        ("O=S(=O)([O-])[O-]", -2, 0),
        ("C[CH+]C", 1, 0),
        ("[CH3]", 0, 1),
        ("[CH2]", 0, 2),
        ("[O][O]", 0, 2),
        ("[O][O-]", -1, 1),
    ],
)
def test_ions_and_radicals_have_the_energy_that_tblite_gives_them(smiles: str, charge: int, unpaired: int):
    assert charge_and_radicals(smiles) == (charge, unpaired)
    simulator = XTBSimulator(target="energy")
    label = simulator.label(embed(smiles))
    assert label.parts["total_energy"] == pytest.approx(total_energy(label, charge, unpaired), abs=2e-5)
    assert str(label.level) == "GFN2-xTB energy [eV]"  # what the molecule is is not part of the level


def test_ammonium_at_the_geometry_of_methane_has_its_known_energy():
    methane = g2("CH4")
    ammonium = Molecule("[NH4+]", [7, 1, 1, 1, 1], methane.positions, "given")
    for settings in ({}, {"charge": FROM_SMILES}, {"charge": 1}):
        label = XTBSimulator(target="energy", relax=False, **settings).label(ammonium)
        assert label.parts["total_energy"] / Hartree == pytest.approx(-4.4855, abs=5e-5)


def test_a_number_in_the_settings_goes_before_the_smiles_unless_they_contradict():
    water, triplet = embed("O"), embed("O=O")
    assert electrons_of(water, 1, 1) == (1, 1, False)
    assert electrons_of(triplet, FROM_SMILES, 2) == (0, 2, True)
    with pytest.raises(LabelError, match=r"\[NH4\+\] has a charge of \+1, and the setting `charge` is -1"):
        electrons_of(embed("[NH4+]"), -1, 0)
    with pytest.raises(LabelError, match="charge of \\+1 it has 9 electrons, of which 0 cannot be unpaired"):
        electrons_of(water, 1, FROM_SMILES)
    with pytest.raises(LabelError, match="has 0 electrons"):
        electrons_of(Molecule("[H+]", [1], np.zeros((1, 3)), "given"), FROM_SMILES, FROM_SMILES)


def test_a_campaign_is_of_neutral_molecules_and_says_so_before_it_starts():
    with pytest.raises(ConfigError, match=r"charge \+1 with 0 unpaired electrons cannot be: neutral"):
        XTBSimulator(charge=1).check_closed_shell()
    with pytest.raises(ConfigError, match=r"charge \+0 with 1 unpaired"):
        XTBSimulator(unpaired=1).check_closed_shell()
    for settings in ({}, {"charge": 1, "unpaired": 1}, {"unpaired": 2}, {"charge": -2}):
        XTBSimulator(**settings).check_closed_shell()
    with pytest.raises(Exception, match="neutral closed-shell molecules are expected"):
        canonical("[NH4+]")
    assert canonical("[NH4+]", ions=True) == "[NH4+]"


def test_gfn_ff_says_that_it_has_no_ions():
    with pytest.raises(LabelError, match="GFN-FF is for neutral closed-shell molecules"):
        XTBSimulator(target="energy", method="GFN-FF").label(embed("[NH4+]"))


def test_an_ase_calculator_is_asked_for_ions_only_where_that_is_set():
    arguments = {"method": "GFN2-xTB", "verbosity": 0}
    ammonium = embed("[NH4+]")
    simulator = ASESimulator(calculator="tblite.ase:TBLite", arguments=arguments, target="energy")
    with pytest.raises(LabelError, match="set it to from_smiles"):
        simulator.label(ammonium)
    heeding = ASESimulator(
        calculator="tblite.ase:TBLite", arguments=arguments, target="energy", charge=FROM_SMILES
    )
    assert heeding.label(ammonium).value == pytest.approx(
        XTBSimulator(target="energy").label(ammonium).value, abs=2e-3
    )


@dataclass
class Neutral:
    level = Level("mine", "energy")


def test_a_simulator_that_does_not_speak_of_ions_is_given_none():
    check_electrons(Neutral(), embed("C[N+](=O)[O-]"))
    for smiles in ("[NH4+]", "[CH3]"):
        with pytest.raises(LabelError, match="does not say that it labels ions and radicals"):
            check_electrons(Neutral(), embed(smiles))
