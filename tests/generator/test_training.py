"""Training, sampling, saving; on molecules enumerated here and, where present, on QM9."""

import gzip
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

from generator import GeneratorError, GeneratorSettings, GraphGAN, metrics

QM9 = Path(__file__).parents[3] / "shared" / "data" / "qm9_smiles.txt.gz"
MOLECULES = [
    f"{a}C{b}{c}"
    for a in ("C", "N", "O", "F", "C=C", "C#C", "C1CC1")
    for b in ("C", "(C)C", "OC", "NC", "(=O)C")
    for c in ("", "C", "O", "C#N", "C=O", "N")
]
SMALL = GeneratorSettings(max_atoms=9, latent=8, hidden=16, batch_size=16, warm_up=6)


def weights_of(gan):
    return [p.detach().clone() for p in (*gan._generator.parameters(), *gan._critic.parameters())]


@pytest.mark.filterwarnings("ignore:Only:RuntimeWarning")  # hardly trained, on purpose
def test_save_load_fit_equals_fit_fit(tmp_path):
    one = GraphGAN(SMALL, seed=1)
    one.fit(MOLECULES, steps=9, seed=2)
    one.save(tmp_path / "gan.pt")
    two = GraphGAN.load(tmp_path / "gan.pt")
    for gan in (one, two):
        gan.fit(MOLECULES, steps=5, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(one), weights_of(two), strict=True))
    assert one.total_steps == two.total_steps == 14
    assert one.sample(12, seed=4) == two.sample(12, seed=4)
    assert [path.name for path in tmp_path.iterdir()] == ["gan.pt"]


def test_even_a_hardly_trained_generator_draws_sound_molecules_and_says_so():
    gan = GraphGAN(SMALL, seed=1)
    gan.fit(MOLECULES, steps=1, seed=2)
    with pytest.warns(RuntimeWarning, match="local chemistry"):
        drawn = gan.sample(50, seed=3)
    assert metrics.summary(drawn, MOLECULES)["valid"] == 1.0
    assert not any(atom.GetFormalCharge() for s in drawn for atom in Chem.MolFromSmiles(s).GetAtoms())


def test_it_learns():
    gan = GraphGAN(GeneratorSettings(max_atoms=9, hidden=64, latent=16, warm_up=250), seed=1)
    calls = []
    history = gan.fit(MOLECULES, steps=300, seed=2, on_progress=lambda done, of: calls.append((done, of)))
    assert calls[0] == (1, 300)
    assert calls[-1] == (300, 300)
    assert history.warning is None
    assert history.steps == len(history.reconstruction) == len(history.critic) == 300
    assert np.isnan(history.critic[249])
    assert np.isfinite(history.critic[250])
    assert np.mean(history.reconstruction[-20:]) < 0.35 * np.mean(history.reconstruction[:20])
    drawn = gan.sample(200, seed=3)
    assert drawn == gan.sample(200, seed=3)
    assert drawn != gan.sample(200, seed=4)
    result = metrics.summary(drawn, MOLECULES)
    assert result["valid"] == 1.0
    assert result["unique"] > 0.4
    assert result["valid_unique_novel"] > 0.1


def test_weights_steer_what_is_learned():
    """Replaying one half only: the generator draws that half's element, not the other's."""
    plain = [s for s in MOLECULES if "N" not in s]
    rich = [s for s in MOLECULES if "N" in s]
    gan = GraphGAN(GeneratorSettings(max_atoms=9, hidden=32, latent=8, warm_up=10**6), seed=1)
    gan.fit(plain + rich, steps=150, seed=2, weights=[1.0] * len(plain) + [0.001] * len(rich))
    share = np.mean(["N" in s for s in gan.sample(100, seed=3)])
    assert share < 0.2 < len(rich) / len(MOLECULES)


def test_divergence_keeps_the_last_good_weights():
    gan = GraphGAN(SMALL, seed=1)
    gan.fit(MOLECULES, steps=5, seed=2)
    before = weights_of(gan)
    for group in gan._drawing_optimizer.param_groups:
        group["lr"] = 1e20
    history = gan.fit(MOLECULES, steps=40, seed=3)
    assert history.warning is not None
    assert "diverged" in history.warning
    assert history.steps == 0
    assert gan.total_steps == 5
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(gan), strict=True))


def test_refused_molecules_change_nothing():
    gan = GraphGAN(SMALL, seed=1)
    before = weights_of(gan)
    with pytest.raises(GeneratorError, match="formal charges"):
        gan.fit([*MOLECULES, "C[NH3+]"], steps=3, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(gan), strict=True))
    with pytest.raises(GeneratorError, match="call fit first"):
        gan.sample(3, seed=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda gan: gan.fit(MOLECULES, steps=0, seed=1),
        lambda gan: gan.fit(MOLECULES, steps=1, seed=-1),
        lambda gan: gan.fit("CCO", steps=1, seed=1),
        lambda gan: gan.sample(0, seed=1),
        lambda gan: gan.sample(1.5, seed=1),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(GeneratorError, match="give"):
        call(GraphGAN(SMALL, seed=1))


class Touch:
    """Pickled code that a loader must not run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_files_that_are_no_generator_are_refused_and_not_run(tmp_path):
    with pytest.raises(GeneratorError, match="There is no generator file"):
        GraphGAN.load(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Touch(tmp_path / "ran")))
    torch.save({"format": 1}, tmp_path / "empty.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("text", "evil", "empty", "list"):
        with pytest.raises(GeneratorError, match="not a generator file"):
            GraphGAN.load(tmp_path / f"{name}.pt")
    assert not (tmp_path / "ran").exists()
    torch.save({"format": 99}, tmp_path / "newer.pt")
    with pytest.raises(GeneratorError, match="format 99"):
        GraphGAN.load(tmp_path / "newer.pt")


def test_import_loads_no_torch():
    code = "import sys, generator, generator.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.long
@pytest.mark.skipif(not QM9.exists(), reason="QM9's SMILES are not beside the repository")
def test_qm9_seven_heavy_atoms():
    with gzip.open(QM9, "rt") as file:
        every = [line.strip() for line in file]
    small = [s for s in every if not set(s) & set("+-") and Chem.MolFromSmiles(s).GetNumAtoms() <= 7]
    chosen = np.random.default_rng(0).choice(small, 1500, replace=False).tolist()
    gan = GraphGAN(GeneratorSettings(max_atoms=7), seed=1)
    gan.fit(chosen, steps=1500, seed=2)
    result = metrics.summary(gan.sample(500, seed=3), chosen)
    assert result["valid"] == 1.0
    assert result["unique"] > 0.6
    assert result["novel"] > 0.3
    assert result["distance"]["rings"] < 0.15
