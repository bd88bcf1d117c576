"""surrogate.training: a toy energy that SchNet can learn, and what training promises of seeds and weights."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.collections import g2

from surrogate import ModelSettings, SurrogateError, TrainingSettings, graph_3d
from surrogate.batches import TARGET, GraphDataset, collate
from surrogate.compat import schnetpack
from surrogate.schnet import build_model
from surrogate.stack import evaluate_members, variances
from surrogate.training import train_members

SETTINGS = ModelSettings(features=16, interactions=2, gaussians=8)
NAME = "representation.interactions.0.in2f.weight"
QUICK = TrainingSettings(epochs=3, batch_size=8, device="cpu")


def toy_energy(numbers: np.ndarray, positions: np.ndarray) -> float:
    """Pairs repel, by element and distance: smooth, and not a sum over atoms."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    pairs = np.exp(-distances) * np.outer(np.sqrt(numbers), np.sqrt(numbers))
    return float(np.triu(pairs, k=1).sum()) / 5


def toy_set() -> tuple[list, np.ndarray]:
    atoms = [molecule(name) for name in g2.names]
    kept = [one for one in atoms if 2 <= len(one) <= 9 and set(one.numbers) <= {1, 6, 7, 8, 9}]
    graphs = [graph_3d(one.numbers, one.positions, cutoff=5.0) for one in kept]
    energies = np.array([toy_energy(one.numbers, one.positions) for one in kept])
    return graphs, energies - energies.mean()


GRAPHS, ENERGIES = toy_set()
TRAINING = GraphDataset(GRAPHS[::2], SETTINGS, ENERGIES[::2])
VALIDATION = GraphDataset(GRAPHS[1::2], SETTINGS, ENERGIES[1::2])


def run(settings: TrainingSettings = QUICK, *, seed: int = 0, model=None, **others):
    model = model or build_model(SETTINGS, seed=1)
    return model, train_members([model], TRAINING, VALIDATION, settings, seed=seed, **others)[0]


def validation_loss(model) -> float:
    with torch.no_grad():
        found = model(collate(VALIDATION.graphs))[TARGET]
    return float(((found - VALIDATION.targets) ** 2).mean())


def test_a_learnable_energy_is_learned() -> None:
    model, history = run(TrainingSettings(epochs=40, batch_size=8, lr=5e-3, device="cpu"))
    assert history.epochs[-1]["val_MSE"] < 0.1 * history.epochs[0]["val_MSE"]
    assert history.epochs[-1]["train_loss"] < 0.1 * history.epochs[0]["train_loss"]
    trivial = float(VALIDATION.targets.var())  # what the mean predictor leaves
    assert validation_loss(model) < 0.25 * trivial


def test_the_history_has_every_quantity_of_every_epoch() -> None:
    seen = []
    _, history = run(on_epoch=lambda member, epoch, row: seen.append((member, epoch, row)))
    assert seen == [(0, epoch, row) for epoch, row in enumerate(history.epochs)]
    assert len(seen) == QUICK.epochs
    for row in history.epochs[1:]:
        assert row.keys() == {"train_loss", "val_MAE", "val_MSE", "lr", "seconds"}
        assert row["val_MAE"] ** 2 <= row["val_MSE"] * (1 + 1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_model_ends_with_its_best_validation_weights(seed: int) -> None:
    jumpy = TrainingSettings(epochs=30, batch_size=4, lr=0.05, device="cpu")
    model, history = run(jumpy, seed=seed)
    losses = [row["val_MSE"] for row in history.epochs]
    assert validation_loss(model) == pytest.approx(min(losses), rel=1e-4)
    assert losses[history.best_epoch] == min(losses)
    assert losses[-1] > 1.01 * min(losses)  # the last epoch is not the best, or nothing was proved
    assert not model.training


def test_the_validation_error_is_that_of_molecules_however_they_are_cut_into_batches() -> None:
    sizes = np.argsort([len(graph) for graph in VALIDATION.graphs], kind="stable")
    order = np.repeat(sizes, 5)  # small molecules in the first batches, large ones in a short last batch
    many = GraphDataset([VALIDATION.graphs[i] for i in order], SETTINGS, VALIDATION.targets.numpy()[order])
    assert len(many) > 100  # of which a batch has at most 100
    assert len(many) % 100 != 0
    model = build_model(SETTINGS, seed=1)
    (history,) = train_members([model], TRAINING, many, QUICK, seed=0)
    losses = [row["val_MSE"] for row in history.epochs]
    assert validation_loss(model) == pytest.approx(min(losses), rel=1e-4)


def timeless(history) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.epochs]


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    torch.manual_seed(1)
    (one, first), other_order = run(seed=5), run(seed=6)[0]
    torch.manual_seed(2)  # global state has no part in it
    same, second = run(seed=5)
    assert timeless(first) == timeless(second)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other_order.parameters(), strict=True))


def test_global_random_states_and_the_working_directory_are_left_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    run()
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    assert list(tmp_path.iterdir()) == []


def test_training_goes_on_from_the_weights_it_is_given() -> None:
    earlier, _ = run()
    before = {name: value.clone() for name, value in earlier.state_dict().items()}
    still = TrainingSettings(epochs=1, lr=1e-12, weight_decay=0.0, device="cpu")
    model, _ = run(still, model=earlier)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-9)


def test_training_stops_early_and_cuts_the_rate_without_gain() -> None:
    # What is learned is the opposite of what is validated on, so the validation loss soon only grows.
    opposite = GraphDataset(TRAINING.graphs, SETTINGS, -TRAINING.targets)
    settings = TrainingSettings(epochs=60, lr=5e-3, plateau_patience=2, stop_patience=8, device="cpu")
    (history,) = train_members([build_model(SETTINGS, seed=1)], TRAINING, opposite, settings, seed=0)
    assert len(history.epochs) == history.best_epoch + 1 + settings.stop_patience < settings.epochs
    rates = [row["lr"] for row in history.epochs]
    assert rates[history.best_epoch] == settings.lr
    assert rates[-1] == pytest.approx(settings.lr * settings.plateau_factor**2)


def test_auto_takes_what_there_is_and_ends_on_the_cpu() -> None:
    model, history = run(dataclasses.replace(QUICK, device="auto", epochs=1))
    assert len(history.epochs) == 1
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(SurrogateError, match="device is 'cuda', but torch finds no GPU"):
        run(dataclasses.replace(QUICK, device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_learns_as_well_as_the_cpu() -> None:
    model, _ = run(TrainingSettings(epochs=40, batch_size=8, lr=5e-3, device="cuda"))
    assert validation_loss(model) < 0.25 * float(VALIDATION.targets.var())
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0)])
def test_an_empty_set_is_refused(sizes: tuple[int, int]) -> None:
    training, validation = (GraphDataset(GRAPHS[:n], SETTINGS, ENERGIES[:n]) for n in sizes)
    with pytest.raises(SurrogateError, match=f"{sizes[0]} training and {sizes[1]} validation molecules"):
        train_members([build_model(SETTINGS, seed=0)], training, validation, QUICK, seed=0)


def test_members_train_as_if_each_were_alone() -> None:
    """The one that learns nothing stops early; the others go on, at rates of their own."""
    settings = TrainingSettings(
        epochs=12, batch_size=8, lr=5e-3, plateau_patience=1, stop_patience=3, device="cpu"
    )
    hopeless = build_model(SETTINGS, seed=2)
    with torch.no_grad():
        hopeless.output_modules[0].outnet[-1].bias.fill_(1e8)  # gradients are clipped: it hardly comes back
    members = [build_model(SETTINGS, seed=1), hopeless, build_model(SETTINGS, seed=3)]
    together = train_members(members, TRAINING, VALIDATION, settings, seed=0)
    for k, seed in ((0, 1), (2, 3)):
        alone, history = run(settings, model=build_model(SETTINGS, seed=seed))
        rates = [row["lr"] for row in history.epochs]
        assert [row["lr"] for row in together[k].epochs] == rates
        found = [row["val_MSE"] for row in together[k].epochs]
        np.testing.assert_allclose(found, [row["val_MSE"] for row in history.epochs], rtol=1e-2)
        assert validation_loss(members[k]) == pytest.approx(validation_loss(alone), rel=1e-2)


def test_a_member_that_diverges_spoils_no_other() -> None:
    broken = build_model(SETTINGS, seed=2)
    with torch.no_grad():
        broken.output_modules[0].outnet[-1].bias.fill_(float("nan"))
    sound = build_model(SETTINGS, seed=1)
    with pytest.raises(SurrogateError, match="never finite"):
        train_members([sound, broken], TRAINING, VALIDATION, QUICK, seed=0)
    assert all(torch.isfinite(weights).all() for weights in sound.state_dict().values())


@pytest.mark.filterwarnings("ignore")  # Lightning's, of a task without validation
def test_training_is_that_of_schnetpacks_own_task() -> None:
    """AtomisticTask under Lightning's automatic optimization: the trainer of schnetpack's tutorials."""
    import pytorch_lightning as pl

    model = build_model(SETTINGS, seed=1)
    output = schnetpack.task.ModelOutput(name=TARGET, loss_fn=torch.nn.MSELoss(), metrics={})
    task = schnetpack.task.AtomisticTask(
        model=model,
        outputs=[output],
        optimizer_cls=torch.optim.AdamW,
        optimizer_args={"lr": QUICK.lr, "weight_decay": QUICK.weight_decay},
    )
    batch = collate(TRAINING.graphs) | {
        TARGET: TRAINING.targets
    }  # all at once, so that order has no part in it
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=5, gradient_clip_val=10.0, accelerator="cpu", **quiet)
    trainer.fit(task, torch.utils.data.DataLoader([batch], batch_size=None))

    settings = dataclasses.replace(QUICK, epochs=5, batch_size=len(TRAINING))
    ours, history = run(settings)
    assert history.best_epoch == 4  # the last, as theirs
    first = build_model(SETTINGS, seed=1).state_dict()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=0, atol=1e-4)
    assert float((ours.state_dict()[NAME] - first[NAME]).abs().max()) > 3e-3


def test_a_second_head_learns_how_large_errors_are() -> None:
    """Labels with noise that grows with the number of atoms, which the head is to find."""
    rng = np.random.default_rng(0)
    noisy = dataclasses.replace(SETTINGS, uncertainty=("variance",))
    graphs = [GRAPHS[i] for i in rng.integers(0, len(GRAPHS), 400)]
    sizes = np.array([len(graph) for graph in graphs])
    sigma = 0.05 * np.exp(0.4 * sizes)
    data = GraphDataset(graphs, noisy, sigma * rng.normal(size=400))
    model = build_model(noisy, seed=0)
    settings = TrainingSettings(epochs=25, batch_size=16, lr=3e-3, device="cpu")
    train_members([model], data, GraphDataset(graphs[:40], noisy, np.zeros(40)), settings, seed=0)
    every = GraphDataset(GRAPHS, noisy)
    batch = every.batch(range(len(every)))
    with torch.no_grad():
        found = variances([model], evaluate_members([model], batch)[1], batch)[0].sqrt().numpy()
    expected = 0.05 * np.exp(0.4 * np.array([len(graph) for graph in GRAPHS]))
    assert np.corrcoef(np.log(found), np.log(expected))[0, 1] > 0.6
    assert 0.5 < np.median(found / expected) < 2.0


def test_a_loss_that_is_never_finite_is_said() -> None:
    with pytest.raises(SurrogateError, match="never finite; a smaller learning rate"):
        run(TrainingSettings(epochs=2, lr=1e30, device="cpu"))


def test_threads_do_not_decide_the_order_of_sums() -> None:
    """Large enough for torch to split sums over atoms between threads; another number of threads may divide
    matrix products differently, and so change the last bits."""
    rng = np.random.default_rng(0)
    graphs = [
        graph_3d(rng.choice([1, 6, 7, 8], 18), 2.5 * rng.normal(size=(18, 3)), cutoff=5.0) for _ in range(60)
    ]
    energies = rng.normal(size=60)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            wide = ModelSettings(features=64)
            members = [build_model(wide, seed=seed) for seed in range(2)]
            parts = (slice(0, 50), slice(50, 60))
            data = [GraphDataset(graphs[part], wide, energies[part]) for part in parts]
            train_members(members, *data, TrainingSettings(epochs=3, device="cpu"), seed=0)
            weights = [value for member in members for value in member.state_dict().values()]
            found.append(torch.cat([value.flatten() for value in weights]))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)
    assert torch.equal(found[1], found[2])


def test_averaged_weights_are_what_is_validated_and_kept() -> None:
    plain, _ = run(dataclasses.replace(QUICK, epochs=1))
    model, history = run(dataclasses.replace(QUICK, epochs=1, ema=0.9))
    assert validation_loss(model) == pytest.approx(history.epochs[0]["val_MSE"], rel=1e-4)
    # One epoch's average lies between the first weights and the last.
    first = build_model(SETTINGS, seed=1)
    moved = [float((first.state_dict()[NAME] - m.state_dict()[NAME]).norm()) for m in (plain, model)]
    assert 0 < moved[1] < moved[0]


@pytest.mark.parametrize(
    ("freeze", "learning"), [("embedding", "interactions"), ("representation", "output_modules")]
)
def test_frozen_layers_of_a_warm_start_stay(freeze: str, learning: str) -> None:
    model, before = build_model(SETTINGS, seed=1), dict(build_model(SETTINGS, seed=1).named_parameters())
    run(dataclasses.replace(QUICK, freeze=freeze), model=model, warm=True)
    kept = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    assert "representation.embedding.weight" in kept
    assert not any(learning in name for name in kept)
    assert freeze == "embedding" or all("representation" in name for name in kept)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_deeper_layers_of_a_warm_start_move_less() -> None:
    def embedding_moves(decay: float) -> float:
        model, _ = run(dataclasses.replace(QUICK, epochs=1, depth_decay=decay), warm=True)
        first = build_model(SETTINGS, seed=1).representation.embedding.weight
        return float((model.representation.embedding.weight - first).norm().detach())

    assert 0 < embedding_moves(0.1) < 0.5 * embedding_moves(1.0)


@pytest.mark.parametrize("precision", ["64", "bf16"])
def test_precisions(precision: str) -> None:
    model, _ = run(dataclasses.replace(QUICK, epochs=1, precision=precision))
    plain, _ = run(dataclasses.replace(QUICK, epochs=1))
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert validation_loss(model) == pytest.approx(
        validation_loss(plain), rel=1e-3 if precision == "64" else 0.2
    )
    assert validation_loss(model) != validation_loss(plain)


def test_the_history_is_in_ev_whatever_the_scale() -> None:
    _, history = run(scale=3.0)
    _, plain = run()
    assert history.epochs[-1]["val_MAE"] == pytest.approx(3 * plain.epochs[-1]["val_MAE"], rel=1e-5)
    assert history.epochs[-1]["val_MSE"] == pytest.approx(9 * plain.epochs[-1]["val_MSE"], rel=1e-5)


SCHEDULERS = {
    "Slurm": {
        "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "alkit", "SLURM_NTASKS": "4", "SLURM_PROCID": "3",
        "SLURM_LOCALID": "3", "SLURM_NODEID": "1", "SLURM_NNODES": "2", "SLURM_NODELIST": "node[1-2]",
        "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_NTASKS_PER_NODE": "2",
    },
    "LSF": {"LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "/nowhere", "JSM_NAMESPACE_LOCAL_RANK": "1",
            "JSM_NAMESPACE_SIZE": "4", "JSM_NAMESPACE_RANK": "3", "LSB_JOBNAME": "alkit"},
    "torchelastic": {"TORCHELASTIC_RUN_ID": "1", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4",
                     "GROUP_RANK": "1", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"},
    "MPI": {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "2",
            "PMI_RANK": "2", "PMI_SIZE": "4", "MPI_LOCALRANKID": "2"},
    "PBS": {"PBS_JOBID": "1.host", "PBS_NODEFILE": "/nowhere", "PBS_NP": "4", "PBS_TASKNUM": "2"},
    "Kubeflow": {"KUBERNETES_PORT": "tcp://127.0.0.1:443", "MASTER_ADDR": "node1", "MASTER_PORT": "1",
                 "WORLD_SIZE": "4", "RANK": "2"},
    "XLA": {"XRT_TORCH_DIST_ROOT": "node1", "NODE_RANK": "1"},
}  # fmt: skip


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_no_schedulers_variables_change_a_training(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, expected = run()
    weights = [parameter.clone() for parameter in model.parameters()]
    for name, value in SCHEDULERS[scheduler].items():
        monkeypatch.setenv(name, value)
    model, history = run()
    assert [row["val_MSE"] for row in history.epochs] == [row["val_MSE"] for row in expected.epochs]
    for mine, theirs in zip(model.parameters(), weights, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    assert {name: os.environ[name] for name in SCHEDULERS[scheduler]} == SCHEDULERS[scheduler]


def test_in_a_job_of_several_tasks_a_new_process_trains_too(tmp_path: Path) -> None:
    """What Lightning reads when it is imported."""
    script = tmp_path / "train.py"
    source = (Path(__file__).parents[1] / "small_ensembles.py").read_text()
    script.write_text(f"{source}\nprint(len(fit().members))\n")
    for variables in (SCHEDULERS["Slurm"], SCHEDULERS["torchelastic"]):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", script],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["2"]
