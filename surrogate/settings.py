"""Settings of the model and of its training; plain data, so reading them loads neither torch nor RDKit."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from surrogate.errors import SurrogateError

Mode = Literal["2d", "3d"]


def pick_device(name: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` takes a GPU where there is one.

    Raises:
        SurrogateError: no such device, or a GPU is asked for and there is none.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise SurrogateError(f"device is {name!r}; it is 'auto', 'cpu' or 'cuda'.")
    if name == "cuda" and not torch.cuda.is_available():
        raise SurrogateError("device is 'cuda', but torch finds no GPU here; 'auto' or 'cpu' would do.")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class ModelSettings:
    """Hyper-parameters of one SchNet.

    Args:
        mode: ``3d`` convolves over interatomic distances; ``2d`` over topological ones, from SMILES alone.
        features: width of the atom features and of the filters.
        interactions: number of interaction blocks.
        gaussians: radial basis functions between 0 and ``cutoff``.
        cutoff: Å; pairs farther apart do not interact.
        elements: symbols the model is built for; any other is refused.
    """

    mode: Mode = "3d"
    features: int = 128
    interactions: int = 3
    gaussians: int = 20
    cutoff: float = 5.0
    elements: tuple[str, ...] = ("H", "C", "N", "O", "F")

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        if self.mode not in ("2d", "3d"):
            raise SurrogateError(f"mode is {self.mode!r}; it is '2d' or '3d'.")
        for name in ("features", "interactions", "gaussians", "cutoff"):
            if not getattr(self, name) > 0:
                raise SurrogateError(f"{name} is {getattr(self, name)}; it must be above 0.")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class TrainingSettings:
    """The standard plateau-LR trainer: AdamW, ReduceLROnPlateau and early stopping on the validation loss.

    Args:
        epochs: most epochs; early stopping usually ends sooner.
        lr, weight_decay: of AdamW.
        plateau_patience, plateau_factor: epochs without a better validation loss before the rate is cut.
        stop_patience: epochs without a better validation loss before training stops.
        gradient_clip: norm to which gradients are clipped.
        device: ``auto`` takes a GPU where there is one; or ``cpu``, ``cuda``.
    """

    epochs: int = 200
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01
    plateau_patience: int = 10
    plateau_factor: float = 0.5
    stop_patience: int = 30
    gradient_clip: float = 10.0
    device: Literal["auto", "cpu", "cuda"] = field(default="auto")

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise SurrogateError(f"device is {self.device!r}; it is 'auto', 'cpu' or 'cuda'.")
        for name in ("epochs", "batch_size", "lr", "stop_patience", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise SurrogateError(f"{name} is {getattr(self, name)}; it must be above 0.")
        if not 0 < self.plateau_factor < 1:
            raise SurrogateError(f"plateau_factor is {self.plateau_factor}; it must lie between 0 and 1.")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
