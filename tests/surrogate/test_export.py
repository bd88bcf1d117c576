"""surrogate.export: the same energies in plain schnetpack and here, both ways, to float32 rounding."""

import dataclasses
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from torch import nn

from surrogate import (
    AtomReferences,
    Ensemble,
    EnsembleCalculator,
    ModelSettings,
    SurrogateError,
    from_schnetpack,
    graph_3d,
    to_schnetpack,
)
from surrogate.compat import schnetpack
from surrogate.schnet import build_model

NAMES = ["CH3CH2OH", "C6H6", "H2O", "CH3CN", "HCOOH", "CH4"]
MOLECULES = [molecule(name) for name in NAMES]
SCHNET = ModelSettings(features=16, interactions=2, gaussians=8, elements=("H", "C", "N", "O"))
PAINN = dataclasses.replace(SCHNET, representation="painn")
ROUNDING = {"rtol": 2e-6, "atol": 2e-5}
# Plain schnetpack: nothing of alkit but the one line that lets schnetpack 2.0.4 load under torch 2.13.
_PLAIN = """
import sys
import surrogate.compat
import numpy as np, torch
from ase.io import read
from schnetpack.interfaces import SpkCalculator
from schnetpack.transform import ASENeighborList
torch.load = __import__("functools").partial(torch.load, weights_only=False)  # the file is our own
calculator = SpkCalculator(
    sys.argv[1], ASENeighborList(5.0), energy_unit="eV", dtype=torch.float64
)
rows = []
for atoms in read(sys.argv[2], ":"):
    atoms.calc = calculator
    rows.append((atoms.get_potential_energy(), atoms.get_forces()))
np.savez(sys.argv[3], energies=[energy for energy, _ in rows], forces=np.concatenate([f for _, f in rows]))
"""


def an_ensemble(settings: ModelSettings, members: int = 2) -> Ensemble:
    references = AtomReferences((1, 6, 7, 8), (-2.5, -7.25, -6.1, -5.4))
    networks = [build_model(settings, seed=k).eval() for k in range(members)]
    return Ensemble(settings, references, networks, scale=0.37)


def graphs() -> list:
    return [graph_3d(one.numbers, one.positions, cutoff=5.0) for one in MOLECULES]


@pytest.mark.parametrize("settings", [SCHNET, PAINN])
def test_a_member_in_plain_schnetpacks_calculator(settings: ModelSettings, tmp_path: Path) -> None:
    from ase.io import write

    ensemble = an_ensemble(settings)
    torch.save(to_schnetpack(ensemble, member=1), tmp_path / "best_model")
    write(tmp_path / "molecules.xyz", MOLECULES)
    command = [sys.executable, "-c", _PLAIN, "best_model", "molecules.xyz", "found.npz"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120, capture_output=True)
    found = np.load(tmp_path / "found.npz")
    read = [Atoms(one.numbers, np.round(one.positions, 8)) for one in MOLECULES]
    expected = ensemble.predict([graph_3d(one.numbers, one.positions, cutoff=5.0) for one in read]).samples[1]
    np.testing.assert_allclose(found["energies"], expected, **ROUNDING)
    here = EnsembleCalculator(dataclasses.replace(ensemble, members=ensemble.members[1:]))
    forces = np.concatenate([here.get_forces(atoms) for atoms in read])
    assert np.abs(forces).max() > 0.01
    np.testing.assert_allclose(found["forces"], forces, rtol=1e-4, atol=1e-5)


def test_a_member_in_spkpredict(tmp_path: Path) -> None:
    """The command itself, on a database of schnetpack's own."""
    ensemble = an_ensemble(SCHNET)
    torch.save(to_schnetpack(ensemble), tmp_path / "best_model")
    database = schnetpack.data.ASEAtomsData.create(
        str(tmp_path / "new.db"), distance_unit="Ang", property_unit_dict={"energy": "eV"}
    )
    database.add_systems([{"energy": np.zeros(1)} for _ in MOLECULES], MOLECULES)
    program = (
        "import functools, sys, torch, surrogate.compat\n"
        "torch.load = functools.partial(torch.load, weights_only=False)\n"
        "from schnetpack import cli\n"
        "cli.AtomsLoader = lambda data, num_workers, **other: __import__('schnetpack').data.AtomsLoader("
        "data, **other)\n"
        "cli.predict()\n"
    )
    where = [f"datapath={tmp_path / 'new.db'}", f"modeldir={tmp_path}", f"outputdir={tmp_path / 'out'}"]
    options = ["cutoff=5.0", "enable_grad=true", "trainer.accelerator=cpu", "write_interval=batch"]
    done = subprocess.run(
        [sys.executable, "-c", program, *where, *options], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = (tmp_path / "out").rglob("*.pt")
    energies = torch.load(file, weights_only=True)["energy"].numpy()
    np.testing.assert_allclose(energies, ensemble.predict(graphs()).samples[0], **ROUNDING)


def test_total_energies_take_tabulated_atoms() -> None:
    ensemble = an_ensemble(SCHNET)
    atoms = {1: -13.6, 6: -1029.9, 7: -1485.3, 8: -2042.6}
    plain, total = to_schnetpack(ensemble), to_schnetpack(ensemble, atom_energies=atoms)
    added = (total.postprocessors[1].atomref - plain.postprocessors[1].atomref).tolist()
    assert [added[z] for z in atoms] == pytest.approx(list(atoms.values()))
    for table, missing in (({1: -13.6}, 6), ({}, 1)):
        with pytest.raises(SurrogateError, match=f"no tabulated energy of the atom with Z = {missing}"):
            to_schnetpack(ensemble, atom_energies=table)


def test_schnetpack_predicts_no_element_that_the_model_was_not_built_for() -> None:
    model = to_schnetpack(an_ensemble(SCHNET))
    converter = schnetpack.interfaces.AtomsConverter(schnetpack.transform.ASENeighborList(5.0))
    assert model(converter(molecule("CH3CN")))["energy"].isfinite().all()
    assert model(converter(molecule("HF")))["energy"].isnan().all()


@pytest.mark.parametrize(
    "settings",
    [
        ModelSettings(mode="2d", features=8),
        ModelSettings(baseline="x", features=8),
        ModelSettings(inputs=("xtb",), features=8),
    ],
)
def test_what_schnetpack_cannot_hold_is_refused(settings: ModelSettings) -> None:
    with pytest.raises(SurrogateError, match="files cannot hold; train 3d and direct"):
        to_schnetpack(Ensemble(settings, AtomReferences((1,), (0.0,)), []))
    with pytest.raises(SurrogateError, match="no member 2; the ensemble has 0 to 1"):
        to_schnetpack(an_ensemble(SCHNET), member=2)


def plain_model(kind: str, *, scaled: bool = False, activation=None) -> nn.Module:
    """As a user of schnetpack alone builds one, with offsets of the data set."""
    basis = schnetpack.nn.GaussianRBF(n_rbf=12, cutoff=4.0)
    arguments = {"n_atom_basis": 24, "n_interactions": 2, "radial_basis": basis}
    arguments |= {"activation": activation} if activation else {}
    network = getattr(schnetpack.representation, kind)(**arguments, cutoff_fn=schnetpack.nn.CosineCutoff(4.0))
    offsets = schnetpack.transform.AddOffsets("energy_U0", add_mean=True, add_atomrefs=True)
    offsets.mean = torch.tensor([-4.2])
    offsets.atomref = torch.zeros(100)
    offsets.atomref[[1, 6, 7, 8]] = torch.tensor([-13.6, -1029.9, -1485.3, -2042.6])
    steps = [schnetpack.transform.CastTo64()]
    if scaled:
        steps.append(schnetpack.transform.ScaleProperty("energy_U0", scale=torch.tensor([2.5])))
    return schnetpack.model.NeuralNetworkPotential(
        representation=network,
        input_modules=[schnetpack.atomistic.PairwiseDistances()],
        output_modules=[schnetpack.atomistic.Atomwise(n_in=24, output_key="energy_U0")],
        postprocessors=[*steps, offsets],
    ).eval()


@pytest.mark.parametrize(("kind", "scaled"), [("SchNet", False), ("SchNet", True), ("PaiNN", False)])
def test_a_plain_checkpoint_loads_here(kind: str, scaled: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = plain_model(kind, scaled=scaled)
    torch.save(model, tmp_path / "best_model")
    converter = schnetpack.interfaces.AtomsConverter(schnetpack.transform.ASENeighborList(4.0))
    expected = [model(converter(one))["energy_U0"].item() for one in MOLECULES]
    here = from_schnetpack([tmp_path / "best_model"], elements=("H", "C", "N", "O"), unit=2.0)
    assert here.settings.features == 24
    assert here.settings.representation == kind.lower()
    answer = here.predict([graph_3d(one.numbers, one.positions, cutoff=4.0) for one in MOLECULES])
    np.testing.assert_allclose(answer.mean, 2.0 * np.array(expected), rtol=1e-6)
    assert np.isnan(answer.std).all()
    with pytest.raises(SurrogateError, match="atomic numbers"):
        here.predict([graph_3d([9, 1], [[0, 0, 0], [0, 0, 0.9]], cutoff=4.0)])


def test_there_and_back(tmp_path: Path) -> None:
    ensemble = an_ensemble(SCHNET)
    for k in range(2):
        torch.save(to_schnetpack(ensemble, member=k), tmp_path / f"{k}")
    back = from_schnetpack([tmp_path / "0", tmp_path / "1"], elements=SCHNET.elements)
    np.testing.assert_allclose(back.predict(graphs()).samples, ensemble.predict(graphs()).samples, **ROUNDING)
    assert np.isfinite(back.predict(graphs()).std).all()


def test_elements_are_those_of_the_file(tmp_path: Path) -> None:
    torch.save(to_schnetpack(an_ensemble(SCHNET)), tmp_path / "best_model")
    with pytest.raises(SurrogateError, match="not trained on Z = 9; leave it out of the elements"):
        from_schnetpack([tmp_path / "best_model"], elements=("H", "C", "F"))
    twice = from_schnetpack([tmp_path / "best_model"], elements=("H", "C", "N", "O", "C"))
    np.testing.assert_allclose(twice.predict(graphs()).mean, an_ensemble(SCHNET, 1).predict(graphs()).mean)


def _other(kind: str) -> nn.Module:
    """A model that differs from alkit's in one place that has no weights."""
    model = plain_model("PaiNN" if kind in ("mixing", "epsilon") else "SchNet")
    representation = model.representation
    if kind == "f2out":
        representation.interactions[1].f2out[0].activation = torch.nn.functional.silu
    elif kind == "mixing":
        representation.mixing[1].intraatomic_context_net[0].activation = nn.Identity()
    elif kind == "epsilon":
        representation.mixing[0].epsilon = 0.1
    else:
        representation.cutoff_fn.cutoff = representation.cutoff_fn.cutoff + 1.0
    return model


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("f2out", "activation silu in interactions.1.f2out.0; alkit's networks have shifted_softplus"),
        ("mixing", "activation Identity in mixing.1.intraatomic_context_net.0; alkit's networks have silu"),
        ("epsilon", "epsilon 0.1 in mixing.0; alkit's networks have 1e-08"),
        ("cutoff", "cutoff 5.0 in cutoff_fn; alkit's networks have 4.0"),
    ],
)
def test_another_function_in_one_place_is_refused_for_its_own_reason(
    kind: str, reason: str, tmp_path: Path
) -> None:
    torch.save(_other(kind), tmp_path / "best_model")
    with pytest.raises(SurrogateError, match=re.escape(f"best_model has {reason}")):
        from_schnetpack([tmp_path / "best_model"], elements=SCHNET.elements)


@pytest.mark.parametrize("name", ["SchNet", "PaiNN"])
def test_what_newer_schnetpack_adds_without_effect_is_no_obstacle(name: str, tmp_path: Path) -> None:
    """Since 2.1 a representation keeps its electronic embeddings, of which it has none by default."""
    model = plain_model(name)
    torch.save(model, tmp_path / "old")
    model.representation.electronic_embeddings = nn.ModuleList([])
    torch.save(model, tmp_path / "new")
    old, new = (from_schnetpack([tmp_path / file], elements=SCHNET.elements) for file in ("old", "new"))
    structures = [graph_3d(one.numbers, one.positions, cutoff=4.0) for one in MOLECULES]
    np.testing.assert_array_equal(new.predict(structures).mean, old.predict(structures).mean)
    model.representation.electronic_embeddings = nn.ModuleList([nn.Embedding(3, 2)])
    torch.save(model, tmp_path / "charged")
    with pytest.raises(SurrogateError, match="in electronic_embeddings, which alkit's networks have not"):
        from_schnetpack([tmp_path / "charged"], elements=SCHNET.elements)


@pytest.mark.parametrize("rows", [10, 140])
def test_any_number_of_elements_is_read(rows: int, tmp_path: Path) -> None:
    model = plain_model("SchNet")
    torch.save(model, tmp_path / "usual")
    embedding = model.representation.embedding
    usual = embedding.weight.detach()
    weight = torch.zeros(rows, usual.shape[1])
    shared = min(rows, len(usual))
    weight[:shared] = usual[:shared]
    embedding.weight, embedding.num_embeddings = nn.Parameter(weight), rows
    torch.save(model, tmp_path / "other")
    usual_model, other = (
        from_schnetpack([tmp_path / file], elements=("H", "C", "O")) for file in ("usual", "other")
    )
    water = [graph_3d(np.array([8, 1, 1]), np.array([[0.0, 0, 0], [0.96, 0, 0], [0, 0.96, 0]]), cutoff=4.0)]
    np.testing.assert_array_equal(other.predict(water).mean, usual_model.predict(water).mean)
    if rows == 10:
        with pytest.raises(SurrogateError, match="knows elements up to Z = 9; leave out Z = 17"):
            from_schnetpack([tmp_path / "other"], elements=("H", "Cl"))


def test_postprocessing_that_is_off_stays_off(tmp_path: Path) -> None:
    model = plain_model("SchNet", scaled=True)
    model.do_postprocessing = False
    torch.save(model, tmp_path / "best_model")
    converter = schnetpack.interfaces.AtomsConverter(schnetpack.transform.ASENeighborList(4.0))
    expected = [model(converter(one))["energy_U0"].item() for one in MOLECULES]
    here = from_schnetpack([tmp_path / "best_model"], elements=SCHNET.elements)
    answer = here.predict([graph_3d(one.numbers, one.positions, cutoff=4.0) for one in MOLECULES])
    np.testing.assert_allclose(answer.mean, expected, **ROUNDING)


class _Evil:
    def __reduce__(self):
        return print, ("code ran",)


class _Writes:
    """A module of schnetpack's own that makes folders when it is made."""

    def __init__(self, folder: Path):
        self.folder = str(folder)

    def __reduce__(self):
        return schnetpack.transform.CachedNeighborList, (self.folder, None)


def test_files_with_code_in_them_are_refused(tmp_path: Path, capfd) -> None:
    torch.save(_Evil(), tmp_path / "evil")
    torch.save(_Writes(tmp_path / "made"), tmp_path / "writes")
    (tmp_path / "pickle").write_bytes(pickle.dumps(_Evil()))
    (tmp_path / "text").write_text("no model")
    torch.save(nn.Linear(2, 2), tmp_path / "linear")
    torch.save(nn.Identity(), tmp_path / "identity")
    torch.save(plain_model("SchNet", activation=torch.nn.functional.silu), tmp_path / "silu")
    why = {
        "evil": "holds builtins.print, which is no part of a schnetpack model as alkit knows it",
        "pickle": "is not a model of schnetpack",
        "text": "is not a model of schnetpack",
        "writes": "holds schnetpack.transform.neighborlist.CachedNeighborList, which is no part",
        "linear": "holds torch.nn.modules.linear.Linear, which is no part",
        "identity": "holds no NeuralNetworkPotential",
        "silu": "silu has activation silu in ",
        "none": "There is no file",
    }
    for name, sentence in why.items():
        with pytest.raises(SurrogateError, match=sentence):
            from_schnetpack([tmp_path / name], elements=("H", "C"))
    assert "code ran" not in capfd.readouterr().out
    assert not (tmp_path / "made").exists()
