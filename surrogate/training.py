"""Training the members of an ensemble side by side, under a Lightning Trainer."""

import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, WeightAveraging
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from surrogate.batches import FORCES, LEFT_OUT, MOLECULE_OF_ATOM, TARGET, GraphDataset, loader
from surrogate.determinism import deterministic
from surrogate.errors import SurrogateError
from surrogate.forces import evaluate_forces
from surrogate.schnet import layers
from surrogate.settings import TrainingSettings, pick_device
from surrogate.stack import evaluate_heads, evaluate_members, variances

_SMALLEST_VARIANCE = 1e-4  # of heads, in units of the scale: of a batch where all agree
OnEpoch = Callable[[int, int, dict[str, float]], None]
_SUMMED = ("loss", "batches", "squares", "sizes", "force_squares", "force_sizes", "components")
_PRECISIONS: dict[str, Any] = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed"}


@dataclass
class TrainingHistory:
    """One row per epoch.

    The columns are ``train_loss`` (eV², mean over batches), ``val_MSE`` (eV²), ``val_MAE`` (eV), ``lr``, and
    ``seconds`` since the start of training. Where forces are learned, ``val_forces_MSE`` and
    ``val_forces_MAE`` of their components (eV/Å) are added. They are in the loss with their weight.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0


def train_members(
    members: Sequence[nn.Module],
    training: GraphDataset,
    validation: GraphDataset,
    settings: TrainingSettings,
    *,
    seed: int,
    scale: float = 1.0,
    warm: bool = False,
    on_epoch: OnEpoch | None = None,
) -> list[TrainingHistory]:
    """Train in place; every member ends with the weights of its best validation epoch, on the CPU.

    Members see the same batches, so that a batch is read once for all of them; their learning rates, early
    stops and best epochs are their own.

    Args:
        members: networks of one architecture, as ``build_model`` gives them or warm from an earlier round.
        training: targets in ``scale`` eV beyond references and baseline. Where the settings have a weight for
            forces, it comes with forces.
        validation: as ``training``, and disjoint from it. Or the same set with ``left_out``: then a member
            learns from the molecules that it is not left out of.
        settings: of the optimiser.
        seed: of the order of batches.
        scale: eV; the history is in eV.
        warm: the weights are trained already, so ``freeze`` and ``depth_decay`` of the settings apply.
        on_epoch: called with the member, the epoch and its metrics.

    Raises:
        SurrogateError: an empty set, a loss that is never finite, or a GPU asked for where there is none.
    """
    if len(training) == 0 or len(validation) == 0:
        raise SurrogateError(
            f"{len(training)} training and {len(validation)} validation molecules; both need at least one."
        )
    task = _Task(members, settings, warm)
    callbacks: list[Callback] = [_Watch(task, settings, scale, on_epoch)]
    if settings.ema:
        # Behind the one that keeps the best: both act on the end of validation, where this swaps the average
        # out again.
        average = get_ema_multi_avg_fn(settings.ema)
        callbacks.append(WeightAveraging(use_buffers=False, multi_avg_fn=average))
    frozen = [weights for member in members for weights in _frozen(member, settings)] if warm else []
    device = torch.device(pick_device(settings.device))
    with _Quiet(), deterministic(), torch.random.fork_rng(), _without_gradients(frozen):
        torch.manual_seed(seed)
        _fit(
            _trainer(settings, callbacks),
            task,
            loader(training.to(device), batch_size=settings.batch_size, shuffle_seed=seed),
            loader(validation.to(device), batch_size=max(settings.batch_size, 100)),
        )
    for member, run in zip(members, task.runs, strict=True):
        if run.weights is None:
            raise SurrogateError(
                "The validation loss was never finite; a smaller learning rate (lr) may help."
            )
        member.float().cpu().load_state_dict(run.weights)
        member.eval()
    return [run.history for run in task.runs]


@dataclass
class _Run:
    """How far one member has come."""

    history: TrainingHistory = field(default_factory=TrainingHistory)
    weights: dict[str, Tensor] | None = None  # of the best epoch, on the CPU
    best_loss: float = math.inf
    waited: int = 0  # epochs since then
    stopped: bool = False


class _Task(pl.LightningModule):
    """The standard plateau-LR trainer, once for each member.

    Lightning optimizes "manually" here: its automatic way knows one loss and one learning rate.
    """

    def __init__(self, members: Sequence[nn.Module], settings: TrainingSettings, warm: bool):
        super().__init__()
        self.automatic_optimization = False
        self.members = nn.ModuleList(members)
        self.runs = [_Run() for _ in members]
        self.schedulers: list[torch.optim.lr_scheduler.ReduceLROnPlateau] = []
        self.sums: dict[str, Tensor] = {}
        # Looked up once, and not in each step.
        self._weights = [list(member.parameters()) for member in members]
        self._settings, self._warm = settings, warm

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        settings = self._settings
        optimizers = [_optimizer(member, settings, self._warm) for member in self.members]
        self.schedulers = [
            torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, patience=settings.plateau_patience, factor=settings.plateau_factor
            )
            for optimizer in optimizers
        ]
        return optimizers

    def on_train_epoch_start(self) -> None:
        where: dict[str, Any] = {"device": self.device, "dtype": _widest(self.device)}
        # Summed where the numbers are: none is fetched before the epoch ends.
        self.sums = {name: torch.zeros(len(self.members), **where) for name in _SUMMED}

    def losses(self, batch: dict[str, Tensor], learning: list[int]) -> tuple[Tensor, Tensor]:
        """``(s,)`` losses of these members, and the sum to minimise.

        No member's loss depends on another's weights.
        """
        members: list[Any] = [self.members[k] for k in learning]
        weight, forces = self._settings.forces_weight, None
        if weight:
            heads, atoms, forces = evaluate_forces(members, batch, learning=True)
        else:
            heads, atoms = evaluate_heads(members, batch)
        squares = (heads.mean(dim=1) - batch[TARGET]) ** 2
        losses = _means(squares, batch, learning) * (1 - weight)
        if forces is not None:
            of_atoms = ((forces - batch[FORCES]) ** 2).mean(dim=2)
            losses = losses + weight * _means(of_atoms, batch, learning, MOLECULE_OF_ATOM)
        total = losses.sum()
        if heads.shape[1] > 1:
            total = total + _means(_unlikelihood(heads, squares), batch, learning).sum() * (1 - weight)
        if len(members[0].output_modules) > 1:  # heads that learn the variance, and leave all else alone
            variance = variances(members, atoms, batch)
            likelihood = variance.log() + squares.detach() / variance
            total = total + _means(likelihood, batch, learning).sum() / 2
        return losses.detach(), total

    def training_step(self, batch: dict[str, Tensor], _: int) -> None:
        learning = [k for k, run in enumerate(self.runs) if not run.stopped]
        optimizers: Any = self.optimizers()  # one alone comes without a list
        chosen = [optimizers[k] for k in learning] if len(self.runs) > 1 else [optimizers]
        for optimizer in chosen:
            optimizer.zero_grad()
        losses, total = self.losses(batch, learning)
        self.manual_backward(total)
        for k, optimizer in zip(learning, chosen, strict=True):
            nn.utils.clip_grad_norm_(self._weights[k], self._settings.gradient_clip)
            optimizer.step()
        for k, loss in zip(learning, losses, strict=True):
            self.sums["loss"][k] += loss
            self.sums["batches"][k] += 1

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        members = list(self.members)
        if self._settings.forces_weight:
            heads, _atoms, forces = evaluate_forces(members, batch)
            outputs, wrong = heads.mean(dim=1), (forces - batch[FORCES]).to(_widest(self.device))
            tested = torch.ones_like(wrong)
            if LEFT_OUT in batch:
                tested = tested * batch[LEFT_OUT][batch[MOLECULE_OF_ATOM]].T[..., None]
            wrong = wrong * tested
            self.sums["components"] += tested.sum(dim=(1, 2))
            self.sums["force_squares"] += (wrong**2).sum(dim=(1, 2))
            self.sums["force_sizes"] += wrong.abs().sum(dim=(1, 2))
        else:
            outputs = evaluate_members(members, batch)[0]
        errors = (outputs - batch[TARGET]).to(_widest(self.device))
        if LEFT_OUT in batch:
            errors = errors * batch[LEFT_OUT].T
        self.sums["squares"] += (errors**2).sum(dim=1)
        self.sums["sizes"] += errors.abs().sum(dim=1)


def _widest(device: torch.device) -> torch.dtype:
    """The widest numbers that a device computes with: Apple's have 32 bits."""
    return torch.float32 if device.type == "mps" else torch.float64


def _unlikelihood(heads: Tensor, squares: Tensor) -> Tensor:
    """``(s, b)``: negative log likelihood of labels, normal about the heads' mean with their variance."""
    variances = heads.var(dim=1) + _SMALLEST_VARIANCE
    return (variances.log() + squares / variances) / 2


def _means(values: Tensor, batch: dict[str, Tensor], members: list[int], owner: str = "") -> Tensor:
    """``(s,)``: means of ``(s, b)`` values over the molecules that each member learns from.

    With ``(s, n)`` values of atoms, ``owner`` names the entry of the batch with the molecule of each.
    """
    if LEFT_OUT not in batch:
        return values.mean(dim=1)
    left_out = batch[LEFT_OUT][:, members]
    learned = ~(left_out[batch[owner]] if owner else left_out).T
    return (values * learned).sum(dim=1) / learned.sum(dim=1).clamp(min=1)


def _fit(trainer: pl.Trainer, *arguments: Any) -> None:
    """Call ``trainer.fit``, with Ctrl-C left to the caller.

    Lightning turns it into an exit with code 1, and ignores every further one.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(*arguments)
    except SystemExit:
        if not trainer.interrupted:
            raise
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
    if trainer.interrupted:
        raise KeyboardInterrupt


def _optimizer(member: nn.Module, settings: TrainingSettings, warm: bool) -> torch.optim.Optimizer:
    """AdamW; in a warm start the learning rate falls from output to input by ``depth_decay``."""
    if not warm:
        parameters: Any = member.parameters()
    else:
        parameters = [
            {"params": learning, "lr": settings.lr * settings.depth_decay**depth}
            for depth, layer in enumerate(reversed(layers(member)))
            if (learning := [p for p in layer.parameters() if p.requires_grad])
        ]
    return torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


def _frozen(member: nn.Module, settings: TrainingSettings) -> list[nn.Parameter]:
    parts = layers(member)
    kept = {"none": [], "embedding": parts[:1], "representation": parts[:-1]}[settings.freeze]
    return [parameter for part in kept for parameter in part.parameters()]


@contextmanager
def _without_gradients(parameters: list[nn.Parameter]) -> Iterator[None]:
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


class _SingleProcess(LightningEnvironment):
    """One process of its own, whatever the variables of a scheduler say.

    By itself Lightning joins any job of Slurm, LSF, MPI or torchelastic whose variables it finds. It then
    trains as one of its tasks, or refuses to.
    """

    creates_processes_externally = False
    main_address = "127.0.0.1"

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return 0

    def teardown(self) -> None:
        """Leave the job's variables to the job."""


def _trainer(settings: TrainingSettings, callbacks: list[Callback]) -> pl.Trainer:
    device = torch.device(pick_device(settings.device))
    alone = _SingleProcess()
    alone.set_global_rank(0)  # Lightning has read it from the environment when it was imported
    return pl.Trainer(
        plugins=[alone],
        num_nodes=1,
        max_epochs=settings.epochs,
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        precision=_PRECISIONS[settings.precision],
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        inference_mode=not settings.forces_weight,  # which has no gradients, so no forces either
        default_root_dir=Path.cwd(),
    )


class _Watch(Callback):
    """After each epoch: the history, best weights, learning rate and early stop of every member.

    Lightning's own callbacks watch one number. Its ModelCheckpoint would besides pickle code with the
    weights, and files with code in them are not loaded anywhere in alkit.
    """

    def __init__(self, task: _Task, settings: TrainingSettings, scale: float, on_epoch: OnEpoch | None):
        self._task, self._settings, self._scale, self._on_epoch = task, settings, scale, on_epoch
        self._start = time.monotonic()

    def on_validation_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        loader: Any = trainer.val_dataloaders
        data = loader.dataset
        counts = (
            [len(data)] * len(self._task.runs) if data.left_out is None else data.left_out.sum(dim=0).tolist()
        )
        sums = {name: values.tolist() for name, values in self._task.sums.items()}
        weight = self._settings.forces_weight
        for k, run in enumerate(self._task.runs):
            if run.stopped:
                continue
            loss = (1 - weight) * sums["squares"][k] / counts[k]
            row = {
                "train_loss": self._scale**2 * sums["loss"][k] / sums["batches"][k],
                "val_MSE": self._scale**2 * sums["squares"][k] / counts[k],
                "val_MAE": self._scale * sums["sizes"][k] / counts[k],
                "seconds": time.monotonic() - self._start,
                "lr": float(self._task.schedulers[k].get_last_lr()[0]),  # of the last layer: the first group
            }
            if weight:
                components = sums["components"][k]
                loss += weight * sums["force_squares"][k] / components
                row["val_forces_MSE"] = self._scale**2 * sums["force_squares"][k] / components
                row["val_forces_MAE"] = self._scale * sums["force_sizes"][k] / components
            self._keep(k, run, trainer.current_epoch, loss)
            run.history.epochs.append(row)
            self._task.schedulers[k].step(loss)
            if self._on_epoch:
                self._on_epoch(k, trainer.current_epoch, row)
        trainer.should_stop = all(run.stopped for run in self._task.runs)

    def _keep(self, k: int, run: _Run, epoch: int, loss: float) -> None:
        run.waited += 1
        if loss < run.best_loss:
            run.best_loss, run.waited, run.history.best_epoch = loss, 0, epoch
            weights = self._task.members[k].state_dict()
            run.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        run.stopped = run.waited >= self._settings.stop_patience or not math.isfinite(loss)


class _Quiet:
    """Lightning tells on every fit which devices it found; a campaign fits dozens of times."""

    def __enter__(self) -> None:
        self._logger = logging.getLogger("pytorch_lightning")
        self._level = self._logger.level
        self._logger.setLevel(logging.ERROR)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("ignore", module=r"pytorch_lightning\..*")

    def __exit__(self, *error: object) -> None:
        self._warnings.__exit__(None, None, None)
        self._logger.setLevel(self._level)
