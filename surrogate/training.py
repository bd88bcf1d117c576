"""Training one SchNet with schnetpack's AtomisticTask under a Lightning Trainer."""

import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torchmetrics
from pytorch_lightning.callbacks import Callback, EarlyStopping, WeightAveraging
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from surrogate.batches import TARGET, GraphDataset, loader
from surrogate.compat import schnetpack
from surrogate.determinism import deterministic
from surrogate.errors import SurrogateError
from surrogate.schnet import layers
from surrogate.settings import TrainingSettings, pick_device

OnEpoch = Callable[[int, dict[str, float]], None]

# The validation loss itself. Not the task's own `val_loss`: Lightning averages that over batches weighted by
# what it takes for the batch size, the number of atoms.
_MONITOR = f"val_{TARGET}_MSE"
_PRECISIONS: dict[str, Any] = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed"}
# What AtomisticTask logs, and the name the history gives it.
_LOGGED = {
    "train_loss": "train_loss",
    f"val_{TARGET}_MAE": "val_MAE",
    f"val_{TARGET}_MSE": "val_MSE",
}


@dataclass
class TrainingHistory:
    """One row per epoch: ``train_loss`` of the last batch and ``val_MSE`` (eV²), ``val_MAE`` (eV), ``lr``,
    ``seconds`` since the start of training."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0


def train(
    model: nn.Module,
    training: GraphDataset,
    validation: GraphDataset,
    settings: TrainingSettings,
    *,
    seed: int,
    scale: float = 1.0,
    warm: bool = False,
    on_epoch: OnEpoch | None = None,
) -> TrainingHistory:
    """Train in place; the model ends with the weights of its best validation epoch, on the CPU.

    Args:
        model: as ``build_model`` gives it, or warm from an earlier round.
        training, validation: disjoint; targets in ``scale`` eV beyond references and baseline.
        seed: of the order of batches.
        scale: eV; the history is in eV.
        warm: the weights are trained already, so ``freeze`` and ``depth_decay`` of the settings apply.
        on_epoch: called with the epoch and its metrics.

    Raises:
        SurrogateError: an empty set, a loss that is never finite, or a GPU asked for where there is none.
    """
    if len(training) == 0 or len(validation) == 0:
        raise SurrogateError(
            f"{len(training)} training and {len(validation)} validation molecules; both need at least one."
        )
    best = _BestWeights(model, scale, on_epoch)
    callbacks: list[Callback] = [best, EarlyStopping(_MONITOR, patience=settings.stop_patience)]
    if settings.ema:
        # Behind the one that keeps the best: both act on the end of validation, where this swaps the average
        # out again.
        average = get_ema_multi_avg_fn(settings.ema)
        callbacks.append(WeightAveraging(use_buffers=False, multi_avg_fn=average))
    frozen = _frozen(model, settings) if warm else []
    with _Quiet(), deterministic(), torch.random.fork_rng(), _without_gradients(frozen):
        torch.manual_seed(seed)
        _fit(
            _trainer(settings, callbacks),
            _task(model, settings, warm),
            loader(training, batch_size=settings.batch_size, shuffle_seed=seed),
            loader(validation, batch_size=max(settings.batch_size, 100)),
        )
    if best.weights is None:
        raise SurrogateError("The validation loss was never finite; a smaller learning rate (lr) may help.")
    model.float().cpu().load_state_dict(best.weights)
    model.eval()
    return best.history


def _fit(trainer: pl.Trainer, *arguments: Any) -> None:
    """``trainer.fit``, with Ctrl-C left to the caller: Lightning turns it into an exit with code 1, and
    ignores every further one."""
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


def _task(model: nn.Module, settings: TrainingSettings, warm: bool) -> pl.LightningModule:
    output = schnetpack.task.ModelOutput(
        name=TARGET,
        loss_fn=nn.MSELoss(),
        metrics={"MAE": torchmetrics.MeanAbsoluteError(), "MSE": torchmetrics.MeanSquaredError()},
    )
    return schnetpack.task.AtomisticTask(
        model=model,
        outputs=[output],
        optimizer_cls=_layerwise(model, settings) if warm else torch.optim.AdamW,
        optimizer_args={"lr": settings.lr, "weight_decay": settings.weight_decay},
        # torch's own scheduler: schnetpack 2.0.4's subclass passes `verbose`, which torch has dropped.
        scheduler_cls=torch.optim.lr_scheduler.ReduceLROnPlateau,
        scheduler_args={"patience": settings.plateau_patience, "factor": settings.plateau_factor},
        scheduler_monitor=_MONITOR,
    )


def _layerwise(model: nn.Module, settings: TrainingSettings) -> Callable[..., torch.optim.Optimizer]:
    """AdamW whose learning rate falls from the output to the input, as ``depth_decay`` says."""

    def optimizer(params: Any, lr: float, **arguments: Any) -> torch.optim.Optimizer:
        groups = [
            {"params": learning, "lr": lr * settings.depth_decay**depth}
            for depth, layer in enumerate(reversed(layers(model)))
            if (learning := [p for p in layer.parameters() if p.requires_grad])
        ]
        return torch.optim.AdamW(groups, lr=lr, **arguments)

    return optimizer


def _frozen(model: nn.Module, settings: TrainingSettings) -> list[nn.Parameter]:
    parts = layers(model)
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


def _trainer(settings: TrainingSettings, callbacks: list[Callback]) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=settings.epochs,
        accelerator=pick_device(settings.device),
        devices=1,
        precision=_PRECISIONS[settings.precision],
        gradient_clip_val=settings.gradient_clip,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=Path.cwd(),
    )


class _BestWeights(Callback):
    """Keeps the weights of the best validation epoch, and the history.

    Lightning's ModelCheckpoint would pickle the whole module beside the weights (AtomisticTask saves it as a
    hyper-parameter), and files with code in them are not loaded anywhere in alkit.
    """

    def __init__(self, model: nn.Module, scale: float, on_epoch: OnEpoch | None):
        self._model = model
        self._units = {"val_MAE": scale, "val_MSE": scale**2, "train_loss": scale**2}
        self._start = time.monotonic()
        self.on_epoch = on_epoch
        self.history = TrainingHistory()
        self.weights: dict[str, torch.Tensor] | None = None
        self._best_loss = float("inf")

    def on_validation_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        seen = trainer.callback_metrics
        row = {name: float(seen[key]) * self._units[name] for key, name in _LOGGED.items() if key in seen}
        row["seconds"] = time.monotonic() - self._start
        row["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])  # of the last layer: the first group
        self.history.epochs.append(row)
        if row["val_MSE"] < self._best_loss:
            self._best_loss = row["val_MSE"]
            self.history.best_epoch = trainer.current_epoch
            weights = self._model.state_dict()
            self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        if self.on_epoch:
            self.on_epoch(trainer.current_epoch, row)


class _Quiet:
    """Lightning tells on every fit which devices it found; a campaign fits dozens of times."""

    def __enter__(self) -> None:
        self._logger = logging.getLogger("pytorch_lightning")
        self._level = self._logger.level
        self._logger.setLevel(logging.ERROR)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("ignore", module=r"pytorch_lightning\..*")
        warnings.filterwarnings("ignore", message=".*is an instance of `nn.Module` and is already saved.*")

    def __exit__(self, *error: object) -> None:
        self._warnings.__exit__(None, None, None)
        self._logger.setLevel(self._level)
