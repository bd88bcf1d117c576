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
from generator.graphs import read_training_set
from generator.steering import Steering, _graphs, _standardized

QM9 = Path(__file__).parents[3] / "shared" / "data" / "qm9_smiles.txt.gz"
MOLECULES = [
    f"{a}C{b}{c}"
    for a in ("C", "N", "O", "F", "C=C", "C#C", "C1CC1")
    for b in ("C", "(C)C", "OC", "NC", "(=O)C")
    for c in ("", "C", "O", "C#N", "C=O", "N")
]
SMALL = GeneratorSettings(max_atoms=9, hidden=16, batch_size=16)
VALUES = {smiles: float(smiles.count("N")) for smiles in MOLECULES}


def weights_of(gan):
    return [p.detach().clone() for p in (*gan._generator.parameters(), *gan._critic.parameters())]


def test_save_load_fit_equals_fit_fit(tmp_path):
    one = GraphGAN(SMALL, seed=1)
    one.fit(MOLECULES, steps=4, novelty_steps=2, adversarial_steps=3, seed=2)
    one.save(tmp_path / "gan.pt")
    two = GraphGAN.load(tmp_path / "gan.pt")
    assert one.sample(12, seed=4) == two.sample(12, seed=4)
    for gan in (one, two):
        gan.fit(MOLECULES, steps=3, adversarial_steps=2, seed=3, values=VALUES, steering=1.0)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(one), weights_of(two), strict=True))
    assert one.total_steps == two.total_steps == 14
    assert one.sample(12, seed=4, novel_against=one.known) == two.sample(12, seed=4, novel_against=two.known)
    assert [path.name for path in tmp_path.iterdir()] == ["gan.pt"]


def test_even_a_hardly_trained_generator_draws_sound_molecules():
    gan = GraphGAN(SMALL, seed=1)
    gan.fit(MOLECULES, steps=1, adversarial_steps=0, seed=2)
    drawn = gan.sample(50, seed=3)
    assert metrics.summary(drawn, MOLECULES)["valid"] == 1.0
    assert not any(atom.GetFormalCharge() for s in drawn for atom in Chem.MolFromSmiles(s).GetAtoms())


def test_it_learns():
    gan = GraphGAN(GeneratorSettings(max_atoms=9, hidden=64, batch_size=64), seed=1)
    calls = []
    history = gan.fit(
        MOLECULES,
        steps=200,
        adversarial_steps=10,
        seed=2,
        on_progress=lambda done, of: calls.append((done, of)),
    )
    assert calls[0] == (1, 210)
    assert calls[-1] == (210, 210)
    assert history.warning is None
    assert history.steps == 210
    assert len(history.likelihood) == 200
    assert len(history.critic) == len(history.known) == len(history.strange) == 10
    assert np.isfinite(history.critic).all()
    assert np.mean(history.likelihood[-20:]) > 0.6 * np.mean(history.likelihood[:20])
    drawn = gan.sample(200, seed=3)
    assert drawn == gan.sample(200, seed=3)
    assert drawn != gan.sample(200, seed=4)
    result = metrics.summary(drawn, MOLECULES)
    assert result["valid"] == 1.0
    assert result["unique"] > 0.6
    assert result["distance"]["rings"] < 0.3


def test_steering_moves_draws_to_what_is_valued():
    counts = {}
    for strength in (0.0, 4.0):
        gan = GraphGAN(GeneratorSettings(max_atoms=9, hidden=64, batch_size=64), seed=1)
        history = gan.fit(
            MOLECULES, steps=200, adversarial_steps=40, seed=2, values=VALUES, steering=strength
        )
        drawn = gan.sample(400, seed=3)
        counts[strength] = np.mean([smiles.upper().count("N") for smiles in drawn])
        assert len(set(drawn)) > 200
    assert history.steering > 0.5
    assert history.steered
    assert counts[4.0] > 1.5 * counts[0.0]


def test_what_was_drawn_before_is_worth_less_than_it_would_be():
    head = Steering.fit(VALUES, SMALL, 2.0, torch.Generator().manual_seed(0))
    graphs = _graphs(read_training_set(MOLECULES[:30], SMALL), np.arange(30), SMALL)
    new = head(*graphs, torch.zeros(30, dtype=torch.bool))
    repeated = head(*graphs, torch.ones(30, dtype=torch.bool))
    torch.testing.assert_close(new.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(new.std(), torch.tensor(2.0))
    torch.testing.assert_close(repeated, new.clamp(max=0) - 4.0)


def test_strong_steering_does_not_repeat_itself():
    gan = GraphGAN(GeneratorSettings(max_atoms=9, hidden=64, batch_size=64), seed=1)
    gan.fit(MOLECULES, steps=200, adversarial_steps=40, seed=2, values=VALUES, steering=16.0)
    drawn = gan.sample(400, seed=3)
    assert len(set(drawn)) > 0.8 * len(drawn)


def test_a_head_that_has_learned_nothing_does_not_steer():
    noise = dict(zip(MOLECULES, np.random.default_rng(0).normal(size=len(MOLECULES)).tolist(), strict=True))
    drawn = []
    for values, strength in ((None, 0.0), (noise, 50.0)):
        gan = GraphGAN(SMALL, seed=1)
        history = gan.fit(MOLECULES, steps=5, adversarial_steps=0, seed=2, values=values, steering=strength)
        drawn.append(gan.sample(20, seed=3))
    assert drawn[0] == drawn[1]
    head = Steering.fit(noise, SMALL, 1.0, torch.Generator().manual_seed(0))
    assert abs(head.rank_correlation) < 0.4
    assert not Steering(head.head, 1.0, 0.3, held_out=20).convincing
    assert Steering(head.head, 1.0, 0.3, held_out=200).convincing
    assert not Steering(head.head, 1.0, float("nan"), held_out=200).convincing
    assert np.isnan(history.steering)  # without adversarial updates there is none


def test_values_of_stereoisomers_are_averaged():
    values = dict.fromkeys(MOLECULES[:40], 0.0) | {"C[C@H](F)O": -3.0, "C[C@@H](F)O": 3.0}
    graphs = read_training_set(list(values), SMALL)
    np.testing.assert_allclose(_standardized(values, graphs), 0.0, atol=1e-6)


def test_weights_steer_what_is_learned():
    """Replaying one half only: the generator draws that half's element, not the other's."""
    plain = [s for s in MOLECULES if "N" not in s]
    rich = [s for s in MOLECULES if "N" in s]
    gan = GraphGAN(GeneratorSettings(max_atoms=9, hidden=32, batch_size=32), seed=1)
    weights = [1.0] * len(plain) + [0.001] * len(rich)
    gan.fit(plain + rich, steps=150, adversarial_steps=0, seed=2, weights=weights)
    share = np.mean(["N" in s for s in gan.sample(100, seed=3)])
    assert share < 0.2 < len(rich) / len(MOLECULES)


@pytest.mark.parametrize(
    ("part", "optimizer", "kept"),
    [("likelihood", "_likely_optimizer", 0), ("adversarial", "_critic_optimizer", 4)],
)
def test_divergence_keeps_the_last_good_weights(part, optimizer, kept):
    gan = GraphGAN(SMALL, seed=1)
    gan.fit(MOLECULES, steps=5, adversarial_steps=0, seed=2)
    before = weights_of(gan)
    for group in getattr(gan, optimizer).param_groups:
        group["lr"] = 1e30
    history = gan.fit(MOLECULES, steps=4, adversarial_steps=4, seed=3)
    assert history.warning is not None
    assert f"diverged at {part} update" in history.warning
    assert history.steps == kept
    assert gan.total_steps == 5 + kept
    if not kept:
        assert all(torch.equal(a, b) for a, b in zip(before, weights_of(gan), strict=True))
    assert all(torch.isfinite(weights).all() for weights in weights_of(gan))
    assert len(gan.sample(10, seed=1)) == 10


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
        lambda gan: gan.fit(MOLECULES, steps=1, adversarial_steps=-1, seed=1),
        lambda gan: gan.fit(MOLECULES, steps=1, seed=1, steering=-1.0, values=VALUES),
        lambda gan: gan.fit(MOLECULES, steps=1, seed=1, steering=1.0),
        lambda gan: gan.fit(MOLECULES, steps=1, seed=1, steering=1.0, values=VALUES | {"CCO": np.nan}),
        lambda gan: gan.fit(MOLECULES, steps=1, seed=1, steering=1.0, values={"CCO": 1.0, "CCN": 2.0}),
        lambda gan: gan.fit(MOLECULES, steps=1, seed=1, steering=1.0, values=dict.fromkeys(MOLECULES, 1.0)),
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


def test_files_that_are_no_generator_are_refused_and_not_run(tmp_path):
    with pytest.raises(GeneratorError, match="There is no generator file"):
        GraphGAN.load(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Touch(tmp_path / "ran")))
    torch.save({"format": 2}, tmp_path / "empty.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("text", "evil", "empty", "list"):
        with pytest.raises(GeneratorError, match="not a generator file"):
            GraphGAN.load(tmp_path / f"{name}.pt")
    assert not (tmp_path / "ran").exists()
    GraphGAN(SMALL, seed=1).save(tmp_path / "good.pt")
    good = torch.load(tmp_path / "good.pt", weights_only=True)
    torch.save({**good, "known": "text"}, tmp_path / "letters.pt")
    with pytest.raises(GeneratorError, match="not a generator file"):
        GraphGAN.load(tmp_path / "letters.pt")
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
    gan.fit(chosen, steps=1000, adversarial_steps=60, seed=2)
    result = metrics.summary(gan.sample(500, seed=3), chosen)
    assert result["valid"] == 1.0
    assert result["unique"] > 0.6
    assert result["novel"] > 0.3
    assert result["distance"]["rings"] < 0.3
