"""surrogate.schnet: the symmetries of the energy, the embedding, and weights drawn from a seed."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from scipy.spatial.transform import Rotation

from surrogate import ModelSettings, graph_2d, graph_3d
from surrogate.batches import TARGET, GraphDataset, collate
from surrogate.schnet import build_model, by_schnetpack, layers
from surrogate.stack import evaluate_members

NAMES = ["CH3CH2OH", "C6H6", "H2O", "CH3CN", "HCOOH"]
CLOSE = {"rtol": 2e-5, "atol": 2e-5}
SETTINGS = ModelSettings(features=16, interactions=2, gaussians=8)
MODEL = build_model(SETTINGS, seed=11).eval()
seeds = st.integers(0, 2**31 - 1)


def energies(graphs, model=MODEL) -> torch.Tensor:
    with torch.inference_mode():
        return evaluate_members([model], GraphDataset(graphs, SETTINGS).batch(range(len(graphs))))[0][0]


def graph_of(numbers, positions):
    return graph_3d(numbers, positions, cutoff=5.0)


@given(st.sampled_from(NAMES), seeds)
@settings(max_examples=40, deadline=None)
def test_rotating_moving_and_renumbering_change_nothing(name: str, seed: int) -> None:
    rng, atoms = np.random.default_rng(seed), molecule(name)
    moved = Rotation.random(random_state=seed).apply(atoms.positions) + rng.normal(size=3) * 10
    order = rng.permutation(len(atoms))
    one, other = graph_of(atoms.numbers, atoms.positions), graph_of(atoms.numbers[order], moved[order])
    torch.testing.assert_close(energies([other]), energies([one]), **CLOSE)


def test_moving_one_atom_does_change_the_energy() -> None:
    atoms = molecule("CH3CH2OH")
    bent = atoms.positions.copy()
    bent[0] += 0.1
    difference = energies([graph_of(atoms.numbers, bent)]) - energies(
        [graph_of(atoms.numbers, atoms.positions)]
    )
    assert abs(float(difference)) > 1e-3


@given(st.lists(st.sampled_from(NAMES), min_size=2, max_size=6))
@settings(max_examples=25, deadline=None)
def test_an_energy_does_not_depend_on_the_rest_of_the_batch(names: list[str]) -> None:
    graphs = [graph_of(molecule(name).numbers, molecule(name).positions) for name in names]
    alone = torch.cat([energies([graph]) for graph in graphs])
    torch.testing.assert_close(energies(graphs), alone, **CLOSE)


@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
@settings(max_examples=15, deadline=None)
def test_energies_of_distant_molecules_add_up(first: str, second: str) -> None:
    a, b = molecule(first), molecule(second)
    both = graph_of(np.concatenate([a.numbers, b.numbers]), np.concatenate([a.positions, b.positions + 50.0]))
    apart = energies([graph_of(a.numbers, a.positions), graph_of(b.numbers, b.positions)])
    torch.testing.assert_close(energies([both])[0], apart.sum(), **CLOSE)


def test_no_pair_enters_with_a_jump() -> None:
    def at(distance: float) -> float:
        return float(energies([graph_of([6, 8], [[0, 0, 0], [distance, 0, 0]])])[0])

    assert at(5.0 - 1e-4) == pytest.approx(at(5.0 + 1e-4), abs=1e-5)
    assert abs(at(1.2) - at(5.1)) > 1e-3


@given(st.sampled_from(["CCO", "c1cc[nH]c1", "C[C@H](O)F", "O=CN1CC1", "C#CC(C)=O"]), seeds)
@settings(max_examples=30, deadline=None)
def test_a_2d_energy_does_not_depend_on_how_the_smiles_is_written(smiles: str, seed: int) -> None:
    parsed = Chem.MolFromSmiles(smiles)
    order = [int(i) for i in np.random.default_rng(seed).permutation(parsed.GetNumAtoms())]
    other = Chem.MolToSmiles(Chem.RenumberAtoms(parsed, order), canonical=False)
    graphs = [graph_2d(smiles, cutoff=5.0), graph_2d(other, cutoff=5.0)]
    found = energies(graphs)
    torch.testing.assert_close(found[0], found[1], **CLOSE)
    assert abs(float(found[0] - energies([graph_2d("CCN", cutoff=5.0)])[0])) > 1e-3


def test_by_schnetpack_is_the_models_own_forward_pass() -> None:
    batch = collate([graph_of(molecule(name).numbers, molecule(name).positions) for name in NAMES])
    with torch.inference_mode():
        energies, atoms = by_schnetpack(MODEL, batch)
        assert torch.equal(energies, MODEL(dict(batch))[TARGET])
        assert torch.equal(atoms, MODEL.representation(dict(batch))["scalar_representation"])


def test_settings_decide_the_architecture() -> None:
    model = build_model(ModelSettings(features=24, interactions=4, gaussians=9, cutoff=3.5), seed=0)
    representation = model.representation
    assert len(representation.interactions) == 4
    assert representation.n_atom_basis == 24
    assert float(representation.cutoff) == 3.5
    assert representation.radial_basis.n_rbf == 9


def test_weights_come_from_the_seed_and_leave_the_global_state() -> None:
    before = torch.get_rng_state()
    one, same, other = (build_model(SETTINGS, seed=seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_schnetpack_imports_through_compat_in_a_fresh_process() -> None:
    code = "from surrogate.compat import schnetpack; print(schnetpack.representation.SchNet.__name__)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "SchNet", ran.stderr


def test_importing_surrogate_loads_neither_torch_nor_rdkit() -> None:
    code = (
        "import sys, surrogate; from surrogate import ModelSettings, TrainingSettings, SurrogateError;"
        "print([m for m in ('torch', 'rdkit', 'schnetpack', 'scipy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_public_name_of_surrogate_is_there() -> None:
    import surrogate

    assert all(getattr(surrogate, name) is not None for name in surrogate.__all__)
    with pytest.raises(AttributeError, match="No surrogate attribute Schnet"):
        _ = surrogate.Schnet


@pytest.mark.parametrize("representation", ["schnet", "painn"])
@pytest.mark.parametrize("inputs", [(), ("xtb",)])
@pytest.mark.parametrize("uncertainty", ["gp", "variance"])
def test_layers_hold_every_parameter_once(representation: str, inputs: tuple, uncertainty: str) -> None:
    settings = ModelSettings(
        representation=representation, inputs=inputs, features=8, uncertainty=(uncertainty,)
    )
    model = build_model(settings, seed=0)
    held = [id(parameter) for layer in layers(model) for parameter in layer.parameters()]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
