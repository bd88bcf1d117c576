"""Settings of the model and of its training; plain data, so reading them loads neither torch nor RDKit."""

import math
import re
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, get_args

from surrogate.errors import SurrogateError

Mode = Literal["2d", "3d"]
Representation = Literal["schnet", "painn", "kernel", "committee", "auto"]
Layout = Literal["topological", "depiction"]
Input = Literal[
    "chemistry",
    "xtb",
    "gfn1",
    "gfn2",
    "aimnet2-b973c",
    "aimnet2-wb97m",
    "aimnet2-b973c-learned",
    "aimnet2-wb97m-learned",
]
Pooling = Literal["sum", "mean", "attention"]
Uncertainty = Literal["ensemble", "gp", "variance"]
References = Literal["elements", "mean", "none"]
Precision = Literal["32", "64", "bf16"]
Freeze = Literal["none", "embedding", "representation"]
_DEVICE = r"auto|cpu|cuda(:\d+)?|mps"
USUAL_FORCES_WEIGHT = 0.99  # as schnetpack's experiments on MD17 have it
USUAL_FORCES_EMA = 0.99  # energies jump from step to step where their weight is small
FEWEST_FOLDS = 3  # with two a member would learn from half of the labels
_MOST = {"features": 2048, "interactions": 32, "gaussians": 2048, "heads": 256}  # a few gigabytes


def pick_device(name: str) -> str:
    """The device that a name stands for.

    ``cpu``, ``cuda``, ``cuda:1`` (the second GPU) or ``mps`` (Apple's); ``auto`` takes a GPU where there is
    one.

    Raises:
        SurrogateError: no such device, or a GPU is asked for and there is none.
    """
    check_device(name)
    if name == "cpu":
        return name
    gpus = _gpus()
    if name == "auto":
        return gpus[0] if gpus else "cpu"
    if name not in gpus:
        there = f"the GPUs here are {', '.join(gpus)}" if gpus else "torch finds no GPU here"
        raise SurrogateError(f"device is {name!r}, but {there}; 'auto' or 'cpu' would do.")
    return name


def check_device(name: str) -> None:
    """Whether this is the name of a device, here or on another machine.

    Raises:
        SurrogateError: it is not.
    """
    if not re.fullmatch(_DEVICE, name):
        raise SurrogateError(
            f"device is {name!r}; it is 'auto', 'cpu', 'cuda', 'cuda:1' and so on, or 'mps'."
        )


@cache
def _gpus() -> tuple[str, ...]:
    """Names of those that torch finds; looking takes it a tenth of a second each time."""
    import torch

    if count := torch.cuda.device_count():
        return ("cuda", *(f"cuda:{i}" for i in range(count)))
    return ("mps",) if torch.backends.mps.is_available() else ()


@dataclass(frozen=True)
class ModelSettings:
    """Hyper-parameters of one network, and what it sees of a molecule.

    Args:
        mode: ``3d`` convolves over interatomic distances; ``2d`` over those of a drawing, from SMILES alone.
        representation: ``schnet``. Or, in 3D only: ``painn``, whose messages also see directions; ``kernel``,
            a Gaussian process for few labels; ``committee``, kernel and SchNet together; ``auto``, by the
            number of labels.
        layout: of 2D mode: ``topological`` distances (shortest paths over bonds), or the flat RDKit
            ``depiction``.
        inputs: further inputs of atoms and pairs. ``chemistry`` (2D) is what the SMILES says of atoms and
            bonds. ``xtb`` (3D) is charges and bond orders of a GFN2-xTB single point. ``gfn1``, ``gfn2``,
            ``aimnet2-b973c`` and ``aimnet2-wb97m`` (3D) are all that a baseline says of atoms.
        baseline: level of theory whose energy at the input geometry is subtracted from labels and added to
            predictions. If it is empty, labels are learned directly.
        features: width of the atom features and of the filters.
        interactions: number of interaction blocks.
        gaussians: radial basis functions between 0 and ``cutoff``.
        cutoff: Å; pairs farther apart do not interact.
        elements: symbols the model is built for; any other is refused.
        heads: outputs of one network. Several are a shallow ensemble
            (https://doi.org/10.48550/arXiv.2402.16621). They differ in the last layer alone, and the
            likelihood of the labels under their mean and spread trains them.
        pooling: how a molecule's value comes from its atoms': ``sum`` for an extensive property, such as an
            energy. An intensive one takes ``mean``, or ``attention`` (networks alone), a weighted mean whose
            weights are learned.
        uncertainty: sources of the uncertainty estimate. ``ensemble`` is the spread of members. ``gp`` is a
            Gaussian process on the last atom features. ``variance`` is a second head that learns the variance
            of errors. Several are each weighted by how well they rank the validation errors.
    """

    mode: Mode = "3d"
    representation: Representation = "schnet"
    layout: Layout = "topological"
    inputs: tuple[Input, ...] = ()
    baseline: str = ""
    features: int = 128
    interactions: int = 3
    gaussians: int = 40
    cutoff: float = 5.0
    elements: tuple[str, ...] = ("H", "C", "N", "O", "F")
    heads: int = 1
    pooling: Pooling = "sum"
    uncertainty: tuple[Uncertainty, ...] = ("ensemble", "gp")

    @property
    def intensive(self) -> bool:
        """Whether a molecule's value is a mean over its atoms."""
        return self.pooling != "sum"

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "uncertainty", tuple(self.uncertainty))
        _check_choice("mode", self.mode, get_args(Mode))
        _check_choice("representation", self.representation, get_args(Representation))
        _check_choice("layout", self.layout, get_args(Layout))
        _check_choice("pooling", self.pooling, get_args(Pooling))
        if self.pooling != "sum" and self.baseline:
            raise SurrogateError(
                f"pooling is {self.pooling!r}, of an intensive property; a baseline is an energy, a sum."
            )
        if self.pooling == "attention" and self.representation not in ("schnet", "painn"):
            raise SurrogateError(
                f"pooling is 'attention', which {self.representation} has not; use mean, or schnet or painn."
            )
        for name in self.inputs:
            _check_choice("inputs", name, get_args(Input))
        for kind in self.uncertainty:
            _check_choice("uncertainty", kind, get_args(Uncertainty))
        if self.mode == "2d" and self.representation == "painn":
            raise SurrogateError(
                "representation is 'painn', which sees directions; 2d mode has none: use schnet."
            )
        if self.mode == "2d" and self.representation != "schnet":
            raise SurrogateError(
                f"representation is {self.representation!r}, which sees a geometry; 2d mode has none: use "
                "schnet."
            )
        if self.mode == "2d" and (set(self.inputs) - {"chemistry"} or self.baseline):
            raise SurrogateError("xtb inputs and a baseline belong to a geometry; use mode 3d.")
        if self.mode == "3d" and self.layout != "topological":
            raise SurrogateError(
                f"layout {self.layout!r} is a drawing; use mode 2d, or leave layout out in 3d."
            )
        if self.mode == "3d" and "chemistry" in self.inputs:
            raise SurrogateError("chemistry inputs come from the SMILES; use mode 2d, or inputs xtb in 3d.")
        _check_positive(self, ("features", "interactions", "gaussians", "cutoff", "heads"))
        for field_name, most in _MOST.items():
            value = getattr(self, field_name)
            if isinstance(value, bool) or not isinstance(value, int) or value > most:
                raise SurrogateError(
                    f"{field_name} is {value!r:.40}; it is a whole number of at most {most}."
                )
        if not isinstance(self.baseline, str) or not math.isfinite(self.cutoff):
            raise SurrogateError(
                f"baseline is {self.baseline!r:.40}, cutoff {self.cutoff}; give a text and a finite number."
            )
        if self.gaussians < 2:
            raise SurrogateError(f"gaussians is {self.gaussians}; a radial basis has 2 at least.")

    def as_dict(self) -> dict[str, Any]:
        """Plain values; one head and a sum are left out, which earlier revisions do not name."""
        usual = {("heads", "1"), ("pooling", "sum")}
        return {name: value for name, value in asdict(self).items() if (name, str(value)) not in usual}


@dataclass(frozen=True)
class TrainingSettings:
    """The standard plateau-LR trainer: AdamW, ReduceLROnPlateau and early stopping on the validation loss.

    Args:
        epochs: most epochs; early stopping usually ends sooner.
        lr, weight_decay: of AdamW.
        plateau_patience, plateau_factor: epochs without a better validation loss before the rate is cut.
        stop_patience: epochs without a better validation loss before training stops.
        gradient_clip: norm to which gradients are clipped.
        references: what is subtracted from labels before training: ``elements`` (an energy per element, by
            ridge regression), ``mean`` (one energy per atom) or ``none``.
        scale: divide what is left by its standard deviation per atom.
        ema: decay of an exponential moving average of the weights, which is what is validated and kept;
            0 is off.
        precision: ``32``, ``64`` or ``bf16`` (mixed).
        freeze: of a warm start: keep the ``embedding`` or the whole ``representation`` as it was.
        depth_decay: of a warm start: factor on the learning rate for each layer farther from the output
            (Howard and Ruder, https://doi.org/10.18653/v1/P18-1031); 1 is off.
        forces_weight: of the squared error of forces (eV/Å) in the loss; that of energies (eV) has the rest
            of 1. 0: energies alone are learned; 0.99 is usual.
        device: ``auto`` takes a GPU where there is one; or ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    """

    epochs: int = 200
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01
    plateau_patience: int = 10
    plateau_factor: float = 0.5
    stop_patience: int = 30
    gradient_clip: float = 10.0
    references: References = "elements"
    scale: bool = True
    ema: float = 0.0
    precision: Precision = "32"
    freeze: Freeze = "none"
    depth_decay: float = 1.0
    forces_weight: float = 0.0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_device(self.device)
        _check_choice("references", self.references, get_args(References))
        _check_choice("precision", self.precision, get_args(Precision))
        _check_choice("freeze", self.freeze, get_args(Freeze))
        _check_positive(self, ("epochs", "batch_size", "lr", "stop_patience", "gradient_clip"))
        if not 0 < self.plateau_factor < 1:
            raise SurrogateError(f"plateau_factor is {self.plateau_factor}; it must lie between 0 and 1.")
        if not 0 <= self.ema < 1:
            raise SurrogateError(f"ema is {self.ema}; it is a decay from 0 (off) to below 1, such as 0.995.")
        if self.ema and self.precision == "64":
            raise SurrogateError("ema averages weights in 32 bits; with precision 64 set it to 0.")
        if not 0 <= self.forces_weight < 1:
            raise SurrogateError(
                f"forces_weight is {self.forces_weight}; it is from 0 (energies alone) to below 1: "
                f"{USUAL_FORCES_WEIGHT} is usual."
            )
        if self.forces_weight and self.precision == "bf16":
            raise SurrogateError("Forces are slopes, which bf16 is too coarse for; use precision 32 or 64.")
        if not 0 < self.depth_decay <= 1:
            raise SurrogateError(
                f"depth_decay is {self.depth_decay}; it must be above 0 and at most 1 (off)."
            )

    def as_dict(self) -> dict[str, Any]:
        """All settings by name, as JSON can hold them."""
        return asdict(self)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        said = ", ".join(repr(choice) for choice in choices[:-1]) + f" or {choices[-1]!r}"
        raise SurrogateError(f"{name} is {value!r}; it is {said}.")


def _check_positive(settings: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if not getattr(settings, name) > 0:
            raise SurrogateError(f"{name} is {getattr(settings, name)}; it must be above 0.")
