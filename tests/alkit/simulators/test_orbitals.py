"""HOMO, LUMO, gap and dipole moment as labels, against the other binding, published values and ASE."""

import pytest
from ase.calculators.emt import EMT

from alkit.errors import ConfigError, LabelError
from alkit.molecules.conformers import embed
from alkit.simulators.ase_calculator import ASESimulator
from alkit.simulators.base import Label, Level, SimulatorSpec, check_label, create_simulator
from alkit.simulators.tblite import TBLiteSimulator
from alkit.simulators.xtb import XTBSimulator
from alkit.storage.label_cache import LabelCache

FORMALDEHYDE = embed("C=O", seed=0)
ETHANE = embed("CC", seed=0)


class WithExtras(EMT):
    """A calculator that says more than its energy."""

    implemented_properties = (*EMT.implemented_properties, "logp", "homo", "lumo")

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results |= {"logp": 0.25 * len(self.atoms), "homo": -9.0, "lumo": -2.5}


@pytest.mark.parametrize("target", ["homo", "lumo", "gap", "mu", "zpve"])
def test_both_bindings_say_the_same(target: str) -> None:
    labels = [cls(target=target).label(FORMALDEHYDE) for cls in (XTBSimulator, TBLiteSimulator)]
    assert labels[0].value == pytest.approx(labels[1].value, abs=2e-4)
    assert (
        labels[0].level == labels[1].level == Level("GFN2-xTB", target, "Debye" if target == "mu" else "eV")
    )
    assert "atom_energies" not in labels[0].parts
    assert check_label(labels[0], FORMALDEHYDE, labels[0].level).value == labels[0].value


def test_the_dipole_moment_is_near_the_measured_one() -> None:
    """Formaldehyde has 2.33 Debye (CRC Handbook of Chemistry and Physics)."""
    gap, mu = (XTBSimulator(target=target).label(FORMALDEHYDE) for target in ("gap", "mu"))
    assert gap.value == pytest.approx(gap.parts["lumo"] - gap.parts["homo"], abs=1e-12)
    assert mu.value == pytest.approx(2.33, abs=0.5)
    assert XTBSimulator(target="dipole").level == mu.level
    assert XTBSimulator(target="mu").label(ETHANE).value == pytest.approx(0.0, abs=1e-3)  # by symmetry


def test_the_gap_belongs_to_the_relaxed_geometry() -> None:
    relaxed = XTBSimulator(target="gap").label(FORMALDEHYDE)
    moved = type(FORMALDEHYDE)("C=O", relaxed.numbers, relaxed.positions, "given")
    point = TBLiteSimulator(target="gap", relax=False).label(moved)
    assert point.value == pytest.approx(relaxed.value, abs=1e-4)
    assert point.level.method == "GFN2-xTB (unrelaxed)"


@pytest.mark.parametrize("target", ["energy", "u0"])
def test_energies_bring_what_the_same_calculation_says(target: str) -> None:
    label = XTBSimulator(target=target).label(FORMALDEHYDE)
    gap = XTBSimulator(target="gap").label(FORMALDEHYDE)
    for name in ("homo", "lumo", "gap", "mu_Debye"):
        assert label.parts[name] == pytest.approx(gap.parts[name], abs=2e-3)


def test_ions_and_radicals_have_no_gap_and_no_dipole() -> None:
    for smiles in ("[NH4+]", "[CH3]"):
        with pytest.raises(LabelError, match="does not say its gap"):
            XTBSimulator(target="gap").label(embed(smiles, seed=0))
        energy = XTBSimulator(target="energy").label(embed(smiles, seed=0))
        assert "gap" not in energy.parts


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "xtb", "method": "GFN-FF", "target": "gap"}, "must be one of u0, energy, zpve"),
        ({"kind": "xtb", "target": "h298"}, "must be one of u0, energy, zpve, homo, lumo, gap, mu"),
        ({"kind": "tblite", "target": "zpve", "relax": False}, "zpve needs a minimum"),
        ({"kind": "ase", "calculator": "ase.calculators.emt:EMT", "target": "mu"}, "no dipole moments"),
        ({"kind": "ase", "calculator": "ase.calculators.emt:EMT", "target": "logp"}, "must be one of"),
        (
            {"kind": "ase", "calculator": "ase.calculators.emt:EMT", "target": "gap", "unit": "hartree"},
            "gap is in eV",
        ),
    ],
)
def test_what_a_simulator_does_not_give_is_refused(settings: dict, said: str) -> None:
    settings = dict(settings)
    with pytest.raises(ConfigError, match=said):
        create_simulator(SimulatorSpec(settings.pop("kind"), settings))


def test_any_calculator_gives_what_its_results_hold() -> None:
    of = {"calculator": f"{__name__}:WithExtras"}
    own = ASESimulator(**of, target="logp", unit="1").label(FORMALDEHYDE)
    assert (own.value, own.level.unit, own.level.property) == (1.0, "1", "logp")
    assert ASESimulator(**of, target="gap").label(FORMALDEHYDE).value == 6.5
    tblite = {"calculator": "tblite.ase:TBLite", "arguments": {"verbosity": 0}, "method": "GFN2-xTB"}
    for target in ("mu", "gap"):
        theirs = ASESimulator(**tblite, target=target, relax=False).label(FORMALDEHYDE)
        ours = TBLiteSimulator(target=target, relax=False).label(FORMALDEHYDE)
        assert theirs.value == pytest.approx(ours.value, abs=1e-3)
    with pytest.raises(LabelError, match="does not say its gap"):
        ASESimulator(calculator="ase.calculators.emt:EMT", target="gap").label(FORMALDEHYDE)


def test_no_label_is_taken_for_that_of_another_property(tmp_path) -> None:
    specs = [SimulatorSpec("xtb", {"target": target}) for target in ("gap", "homo", "energy", "mu")]
    caches = [LabelCache(tmp_path / "labels.sqlite", spec) for spec in specs]
    caches[0].put(FORMALDEHYDE, XTBSimulator(target="gap").label(FORMALDEHYDE))
    assert len({cache.key(FORMALDEHYDE) for cache in caches}) == len(caches)
    assert caches[0].get(FORMALDEHYDE) is not None
    assert [cache.get(FORMALDEHYDE) for cache in caches[1:]] == [None] * 3
    for cache in caches:
        cache.close()


@pytest.mark.parametrize(
    ("target", "unit", "value", "parts", "reason"),
    [
        ("gap", "eV", -0.2, {}, "impossible_value"),
        ("gap", "eV", float("nan"), {}, "not_finite"),
        ("mu", "Debye", -1.0, {}, "impossible_value"),
        ("homo", "eV", -3.0, {"homo": -3.0, "lumo": -5.0}, "impossible_value"),
        ("gap", "eV", 2.0, {"homo": -3.0, "lumo": -5.0}, "impossible_value"),
    ],
)
def test_values_that_no_molecule_has_are_refused(
    target: str, unit: str, value: float, parts: dict, reason: str
) -> None:
    level = Level("mine", target, unit)
    label = Label("C=O", value, level, parts, FORMALDEHYDE.numbers, FORMALDEHYDE.positions, 0.0)
    with pytest.raises(LabelError) as caught:
        check_label(label, FORMALDEHYDE, level)
    assert caught.value.reason == reason


def test_values_that_a_molecule_has_are_taken() -> None:
    level = Level("mine", "homo", "eV")
    atoms = FORMALDEHYDE.numbers, FORMALDEHYDE.positions
    label = Label("C=O", -9.0, level, {"homo": -9.0, "lumo": -2.0}, *atoms, 0.0)
    assert check_label(label, FORMALDEHYDE, level).value == -9.0
