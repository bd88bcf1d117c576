"""alkit.simulators.recovery: every strategy is reached by a calculation that really fails."""

import numpy as np
import pytest
from ase import Atoms

from alkit.errors import LabelError
from alkit.molecules.conformers import embed
from alkit.molecules.molecule import Molecule
from alkit.simulators import recipes
from alkit.simulators.recovery import FIRST, STRATEGIES, first_success
from alkit.simulators.xtb import XTBSimulator

pytest.importorskip("xtb.ase.calculator", reason="xtb has no wheel for this Python")


def tries(simulator: XTBSimulator, molecule: Molecule) -> tuple[float, list[tuple[str, str]]]:
    label = simulator.label(molecule)
    assert all(attempt.seconds > 0 for attempt in label.attempts)
    return label.value, [(attempt.strategy, attempt.reason) for attempt in label.attempts]


def failed(simulator: XTBSimulator, molecule: Molecule) -> tuple[str, list[tuple[str, str]]]:
    with pytest.raises(LabelError) as failure:
        simulator.label(molecule)
    return failure.value.reason, [(attempt.strategy, attempt.reason) for attempt in failure.value.attempts]


def misplaced() -> Molecule:
    """Ethanol by name, dimethyl ether by geometry: as if an embedding had gone wrong."""
    ether = embed("COC", seed=0)
    return Molecule("CCO", ether.numbers, ether.positions, "given")


@pytest.mark.parametrize("relax", [True, False])
def test_an_scf_that_does_not_converge_is_annealed_to_the_same_energy(relax: bool) -> None:
    molecule = embed("CC=O", seed=0)
    usual, once = tries(XTBSimulator(target="energy", relax=relax), molecule)
    value, recovered = tries(XTBSimulator(target="energy", relax=relax, max_iterations=8), molecule)
    assert once == [("as given", "")]
    assert recovered == [("as given", "scf_not_converged"), ("annealed SCF", "")]
    assert value == pytest.approx(usual, abs=1e-4)


@pytest.mark.parametrize("smiles", ["CC=O", "C[N+](=O)[O-]", "c1ccoc1"])
def test_annealing_does_what_patience_alone_does_not(smiles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    molecule = embed(smiles, seed=0)
    settings = {"target": "energy", "relax": False}
    usual, _ = tries(XTBSimulator(**settings), molecule)
    value, recovered = tries(XTBSimulator(**settings, max_iterations=3), molecule)
    assert recovered[-1] == ("annealed SCF", "")
    assert value == pytest.approx(usual, abs=1e-8)
    monkeypatch.setattr(recipes, "_ANNEALING", ())
    assert failed(XTBSimulator(**settings, max_iterations=3), molecule)[0] == "scf_not_converged"


@pytest.mark.parametrize("binding", ["xtb", "tblite"])
def test_each_scf_starts_from_the_density_before(binding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Calculator = pytest.importorskip(f"{binding}.interface").Calculator
    monkeypatch.setattr("alkit.simulators.xtb.installed_binding", lambda: binding)
    restarts, singlepoint = [], Calculator.singlepoint

    def recorded(self: Calculator, result: object = None, **more: object) -> object:
        restarts.append(result is not None)
        return singlepoint(self, result, **more)

    monkeypatch.setattr(Calculator, "singlepoint", recorded)
    water = embed("O", seed=0)
    atoms = Atoms(water.numbers, water.positions, calculator=XTBSimulator().new_calculator())
    recipes.single_point(recipes.System(atoms), anneal=True)
    assert restarts == [False] + [True] * len(recipes._ANNEALING)
    restarts.clear()
    XTBSimulator().label(water)  # relaxation, Hessian and single point
    assert len(restarts) > 10
    assert restarts == [False] + [True] * (len(restarts) - 1)


def test_a_relaxation_that_runs_out_of_steps_is_tried_with_another_optimiser() -> None:
    molecule = embed("OCC(O)CO", seed=0)
    usual, _ = tries(XTBSimulator(target="energy"), molecule)
    value, recovered = tries(XTBSimulator(target="energy", max_steps=6), molecule)
    assert recovered == [("as given", "not_relaxed"), ("FIRE, then a computed Hessian", "")]
    assert value == pytest.approx(usual, abs=1e-3)


def test_a_saddle_that_is_not_left_is_tried_with_another_optimiser() -> None:
    rotor = embed("CC#CC", geometry="etkdg", seed=1)
    _, recovered = tries(XTBSimulator(imaginary=1.0, fmax=0.1), rotor)
    assert recovered[0] == ("as given", "imaginary_modes")
    assert recovered[-1][1] == ""


def test_a_start_of_another_molecule_is_embedded_again() -> None:
    value, recovered = tries(XTBSimulator(target="energy"), misplaced())
    assert recovered == [
        ("as given", "identity_changed"),
        ("MMFF94 before", "mmff_failed"),
        ("FIRE, then a computed Hessian", "identity_changed"),
        ("embedding seed 1", ""),
    ]
    assert value == pytest.approx(tries(XTBSimulator(target="energy"), embed("CCO", seed=0))[0], abs=2e-2)
    assert value == XTBSimulator(target="energy").label(misplaced()).value  # its seeds are its own


def test_a_molecule_that_the_method_does_not_know_fails_with_every_try_named() -> None:
    glycine = embed("[NH3+]CC(=O)[O-]", geometry="etkdg", seed=0)
    reason, climbed = failed(XTBSimulator(target="energy"), glycine)
    assert reason == "identity_changed"
    strategies = [FIRST, *STRATEGIES["identity_changed"]]
    assert climbed == [(strategy.name, "identity_changed") for strategy in strategies]
    # What MMFF94 has relaxed already is not relaxed with it again.
    _, climbed = failed(XTBSimulator(target="energy"), embed("[NH3+]CC(=O)[O-]", seed=0))
    assert len(climbed) == len(strategies) - 1


def test_the_ladder_of_the_first_failure_goes_on_after_another_one() -> None:
    reason, climbed = failed(XTBSimulator(target="energy", max_steps=1), embed("OCC(N)CO", seed=0))
    assert (reason, climbed[0]) == ("not_relaxed", ("as given", "not_relaxed"))
    assert len(climbed) == len({strategy for strategy, _ in climbed}) > 2


def test_a_single_point_keeps_its_geometry() -> None:
    reason, climbed = failed(
        XTBSimulator(target="energy", relax=False, max_iterations=1), embed("CC=O", seed=0)
    )
    assert reason == "scf_not_converged"
    assert [strategy for strategy, _ in climbed] == ["as given", "annealed SCF"]


def test_a_single_point_of_another_molecule_is_refused() -> None:
    reason, climbed = failed(XTBSimulator(target="energy", relax=False), misplaced())
    assert (reason, len(climbed)) == ("identity_changed", 1)


def test_nothing_is_tried_again_where_nothing_can_help_or_nobody_wants_it() -> None:
    tin = Molecule("[SnH4]", np.array([50]), np.zeros((1, 3)), "given")
    assert failed(XTBSimulator(), tin) == ("unsupported_element", [])
    assert failed(XTBSimulator(recover=False), misplaced()) == (
        "identity_changed",
        [("as given", "identity_changed")],
    )

    def attempt(strategy: object) -> None:
        raise LabelError("out_of_cheese", "no such reason")

    with pytest.raises(LabelError) as failure:
        first_success(attempt, lambda strategy: True)
    assert len(failure.value.attempts) == 1
