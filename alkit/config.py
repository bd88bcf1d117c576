"""The campaign file: its schema, and errors that name the key, the line and the nearest valid key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from alkit.config_errors import repeated_key, sentence
from alkit.config_proposers import (
    CustomProposer,
    GeneratorProposer,
    MixProposer,
    PoolProposer,
    Proposer,
    SingleProposer,
)
from alkit.config_simulator import MEANS, Simulator
from alkit.config_types import NotTruth, PositiveFloat, PositiveInt, Section, as_text
from alkit.errors import ConfigError


class Domain(Section):
    """Which molecules the campaign is about; anything else is rejected with the reason."""

    elements: list[str] = Field(
        ["H", "C", "N", "O", "F"], min_length=1, description="Symbols allowed, H included."
    )
    max_heavy_atoms: PositiveInt = Field(9, description="Most atoms other than hydrogen.")

    @model_validator(mode="after")
    def _known_elements(self) -> "Domain":
        from ase.data import atomic_numbers

        if len(set(self.elements)) < len(self.elements):
            raise ValueError(f"elements {self.elements} names one twice")
        for symbol in self.elements:
            if symbol not in atomic_numbers or atomic_numbers[symbol] == 0:
                raise ValueError(f"{symbol!r} is not the symbol of an element")
        return self


class Start(Section):
    """Random molecules labelled before the first round; drawn once, from the seed."""

    training: PositiveInt = Field(100, description="Labels of the first training set.")
    validation: Annotated[int, Field(ge=5, strict=True)] = Field(
        40, description="Labels for early stopping and calibration; they count as labels."
    )
    test: Annotated[int, Field(ge=5, strict=True)] = Field(
        100, description="Labels of the fixed test set; never acquired from."
    )


class Surrogate(Section):
    """The SchNet ensemble and its trainer."""

    mode: Literal["2d", "3d"] = Field("3d", description="2d needs the SMILES alone; 3d a geometry.")
    representation: Literal["schnet", "painn"] = Field("schnet", description="painn in 3d only.")
    geometry: Literal["mmff", "etkdg", "xtb", "dataset"] = Field(
        "mmff", description="Where 3d geometries come from, in training and screening alike."
    )
    conformers: PositiveInt = Field(
        10, description="mmff, xtb: the lowest of this many; labels start from it."
    )
    layout: Literal["topological", "depiction"] = Field("topological", description="Distances of 2d mode.")
    chemistry: bool = Field(False, description="2d: what the SMILES says of atoms and bonds as inputs.")
    learning: Literal["direct", "delta", "pretrain"] = Field(
        "direct", description="delta: label less GFN2-xTB; pretrain: on GFN2-xTB energies first."
    )
    xtb_inputs: bool = Field(False, description="3d: GFN2-xTB charges and bond orders as inputs.")
    pretrain_molecules: Annotated[int, Field(ge=10, strict=True)] = Field(
        1000, description="learning: pretrain: cheap labels, not counted as labels."
    )
    members: Annotated[int, Field(ge=2, strict=True)] = Field(3, description="SchNets in the ensemble.")
    features: PositiveInt = Field(128, description="Width of atom features and filters.")
    interactions: PositiveInt = Field(3, description="Interaction blocks.")
    gaussians: Annotated[int, Field(ge=2, strict=True)] = Field(20, description="Radial basis functions.")
    cutoff: PositiveFloat = Field(5.0, description="Å.")
    epochs: PositiveInt = Field(200, description="At most; early stopping often ends sooner.")
    batch_size: PositiveInt = Field(32, description="Molecules in a training step.")
    lr: PositiveFloat = Field(1e-3, description="First learning rate of AdamW.")
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False), NotTruth] = Field(
        0.01, description="Of AdamW."
    )
    plateau_patience: PositiveInt = Field(10, description="Epochs without gain before lr is cut.")
    plateau_factor: Annotated[float, Field(gt=0, lt=1), NotTruth] = Field(
        0.5, description="What lr is cut by."
    )
    stop_patience: PositiveInt = Field(30, description="Epochs without gain before training ends.")
    gradient_clip: PositiveFloat = Field(10.0, description="Largest norm of the gradient.")
    references: Literal["elements", "mean", "none"] = Field(
        "elements", description="Subtracted from labels: energy per element, per atom, or nothing."
    )
    scale: bool = Field(True, description="Divide what is left by its deviation per atom.")
    ema: Annotated[float, Field(ge=0, lt=1), NotTruth] = Field(
        0.0, description="Decay of a moving average of the weights; 0: off."
    )
    precision: Annotated[Literal["32", "64", "bf16"], BeforeValidator(as_text)] = Field(
        "32", description="Of training, in bits."
    )
    freeze: Literal["none", "embedding", "representation"] = Field(
        "none", description="Layers that a warm start or pretraining leaves as they are."
    )
    depth_decay: Annotated[float, Field(gt=0, le=1), NotTruth] = Field(
        1.0, description="Factor on lr per layer below the output, after a warm start or pretraining."
    )
    warm_start: bool = Field(False, description="Go on from the last round's weights.")
    uncertainty: Annotated[tuple[Literal["ensemble", "gp", "variance"], ...], Field(min_length=1)] = Field(
        ("ensemble", "gp"), description="The members' spread, a GP on the last layer, a head for variances."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one.")

    @model_validator(mode="after")
    def _agree(self) -> "Surrogate":
        if self.ema and self.precision == "64":
            raise ValueError("ema averages weights in 32 bits: with precision 64 leave it at 0")
        warm = self.warm_start or self.learning == "pretrain"
        if not warm and (self.freeze != "none" or self.depth_decay != 1.0):
            raise ValueError(
                "freeze and depth_decay are about weights that are trained already; set learning: pretrain "
                "or warm_start: true"
            )
        if self.learning == "pretrain" and self.mode == "2d":
            raise ValueError("learning: pretrain takes its cheap labels at a geometry; use mode: 3d")
        return self


class Acquisition(Section):
    name: str = Field(description="A built-in, an installed plug-in, or './file.py:function'.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of that acquisition function."
    )
    features: Literal["embeddings", "soap"] | None = Field(
        default=None,
        description="embeddings (of the surrogate) or soap (of the geometry); null: as the function needs.",
    )


class Stop(Section):
    """Any one of these ends the campaign; the report names which."""

    rounds: PositiveInt | None = Field(5, description="Rounds of acquisition.")
    labels: PositiveInt | None = Field(None, description="Training and validation labels together.")
    hours: PositiveFloat | None = Field(
        None, description="Wall time of this campaign, all its runs together."
    )
    target_mae: PositiveFloat | None = Field(None, description="eV, reached on the validation set.")
    plateau: PositiveInt | None = Field(None, description="Rounds without a better validation MAE.")

    @model_validator(mode="after")
    def _ends(self) -> "Stop":
        if self.rounds is None and self.labels is None and self.hours is None:
            raise ValueError(
                "at least one of rounds, labels and hours must be set, or the campaign never ends"
            )
        return self


class Tracking(Section):
    uri: str = Field("sqlite:///mlflow.db", description="MLflow tracking store.")
    experiment: str = Field("alkit", description="MLflow experiment.")


class CampaignConfig(Section):
    """One campaign. Input paths are relative to this file; the campaign folder to the working directory."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        description="Names runs and folder."
    )
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = Field(0, description="Of every random draw.")
    folder: Path | None = Field(None, description="Campaign folder; runs/<name> by default.")
    target: Literal["u0", "energy"] = Field(
        "u0", description="u0: with zero-point energy; energy: electronic."
    )
    seeds: Path | None = Field(
        None, description="SMILES file the start and test sets come from; built in by default."
    )
    dataset: Path | None = Field(None, description="ASE database that `alkit data import` wrote.")
    domain: Domain = Field(default_factory=lambda: Domain.model_validate({}))
    start: Start = Field(default_factory=lambda: Start.model_validate({}))
    proposer: Proposer
    surrogate: Surrogate = Field(default_factory=lambda: Surrogate.model_validate({}))
    acquisition: Acquisition = Field(default_factory=lambda: Acquisition(name="bias"))
    batch_size: PositiveInt = Field(50, description="Molecules acquired each round.")
    simulator: Simulator = Field(default_factory=lambda: Simulator.model_validate({}))
    stop: Stop = Field(default_factory=lambda: Stop.model_validate({}))
    tracking: Tracking = Field(default_factory=lambda: Tracking.model_validate({}))

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """`acquisition: lcmd` and `simulator: xtb` are short for their `name` and `kind`."""
        if isinstance(data, dict):
            data = dict(data)
            for key, inner in (("acquisition", "name"), ("simulator", "kind"), ("proposer", "kind")):
                if isinstance(data.get(key), str):
                    data[key] = {inner: data[key]}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> "CampaignConfig":
        inventive = [part.kind for part in self.proposers if not isinstance(part, PoolProposer)]
        if inventive and (self.simulator.kind == "lookup" or self.surrogate.geometry == "dataset"):
            raise ValueError(
                f"proposer: {inventive[0]} proposes molecules that no data set holds; with simulator: lookup "
                "or surrogate.geometry: dataset use proposer: pool"
            )
        if self.dataset is None:
            if self.simulator.kind == "lookup":
                raise ValueError("simulator: lookup needs `dataset`, the database whose labels it looks up")
            if self.surrogate.mode == "3d" and self.surrogate.geometry == "dataset":
                raise ValueError("surrogate.geometry: dataset needs `dataset`; or choose mmff or etkdg")
            if any(isinstance(part, PoolProposer) and part.file is None for part in self.proposers):
                raise ValueError("proposer: pool needs `file`, or `dataset` for the whole campaign")
        return self

    @property
    def proposers(self) -> list[SingleProposer]:
        """The proposer, or the parts of a mix."""
        return self.proposer.parts if isinstance(self.proposer, MixProposer) else [self.proposer]

    @property
    def generator(self) -> GeneratorProposer | None:
        """The settings of the GAN, where there is one."""
        return next((part for part in self.proposers if isinstance(part, GeneratorProposer)), None)

    @property
    def campaign_folder(self) -> Path:
        return self.folder.expanduser() if self.folder else Path("runs") / self.name

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def load_config(path: Path, overrides: list[str] | tuple[str, ...] = ()) -> CampaignConfig:
    """Read and check a campaign file.

    Args:
        path: YAML.
        overrides: ``key.inner=value`` each, the value in YAML.

    Raises:
        ConfigError: anything wrong with it, in one sentence with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f"There is no campaign file {path}; `alkit campaign template` prints one to start from."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not a text file in UTF-8 ({error.reason} at byte {error.start})."
        ) from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}, {where}: not YAML ({problem}).") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no campaign: a mapping of keys like `name: first` is expected.")
    if repeated := repeated_key(text):
        raise ConfigError(f"{path}, line {repeated[1]}: the key {repeated[0]!r} is there twice; keep one.")
    for override in overrides:
        override_key(data, override)
    overridden = [override.partition("=")[0] for override in overrides]
    return check_config(data, path=path, text=text, overridden=overridden)


def check_config(
    data: dict[str, Any], *, path: Path | None = None, text: str = "", overridden: Sequence[str] = ()
) -> CampaignConfig:
    """A campaign from its keys; input paths are relative to the folder of ``path``, or the working directory.

    Raises:
        ConfigError: anything wrong with it, in one sentence.
    """
    try:
        config = CampaignConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(sentence(error, CampaignConfig, path, text, overridden)) from None
    return _resolved(config, path.resolve().parent if path else Path.cwd())


def override_key(data: dict[str, Any], override: str) -> None:
    """Set what ``key.inner=value`` names, the value in YAML. Raises `ConfigError` for anything else."""
    keys, equals, value = override.partition("=")
    if not equals or not keys:
        raise ConfigError(f"--set {override!r} is not of the form key=value, such as stop.rounds=2.")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override!r}: the value is not YAML.") from None
    *outer, last = keys.split(".")
    for key in outer:
        inner = data.setdefault(key, {})
        if isinstance(inner, str):  # the short form, such as `simulator: xtb`
            inner = {"name" if key == "acquisition" else "kind": inner}
        if not isinstance(inner, dict):
            held = "a list" if isinstance(inner, list) else "a single value"
            raise ConfigError(f"--set {override!r}: {key!r} holds {held}, not keys.")
        data[key] = inner
        data = inner
    data[last] = parsed


def _scheduler(base: Path, dask: str | None) -> str | None:
    """Of a Dask cluster: its file, or its address as it stands."""
    return str((base / dask).resolve()) if dask and dask.endswith(".json") else dask


def _placed(base: Path, cache: Path | str | None) -> Path | str | None:
    """A cache need not exist: it is made."""
    return (base / cache.expanduser()).resolve() if isinstance(cache, Path) else cache


def _resolved(config: CampaignConfig, base: Path) -> CampaignConfig:
    """Input paths made absolute, and checked to exist."""
    changes: dict[str, Any] = {}
    for key in ("seeds", "dataset"):
        if (given := getattr(config, key)) is not None:
            changes[key] = _existing(base, given, key)
    changes["proposer"] = _resolved_proposer(config.proposer, base)
    changes["acquisition"] = config.acquisition.model_copy(
        update={"name": absolute_code_path(config.acquisition.name, base)}
    )
    changes["simulator"] = config.simulator.model_copy(
        update={
            "kind": absolute_code_path(config.simulator.kind, base),
            "parsl": config.simulator.parsl and absolute_code_path(config.simulator.parsl, base),
            "dask": _scheduler(base, config.simulator.dask),
            "cache": _placed(base, config.simulator.cache),
        }
    )
    return config.model_copy(update=changes)


def _resolved_proposer(proposer: Any, base: Path) -> Any:
    if isinstance(proposer, MixProposer):
        parts = [_resolved_proposer(part, base) for part in proposer.parts]
        return proposer.model_copy(update={"parts": parts})
    if isinstance(proposer, PoolProposer) and proposer.file is not None:
        return proposer.model_copy(update={"file": _existing(base, proposer.file, "proposer.file")})
    if isinstance(proposer, CustomProposer):
        return proposer.model_copy(update={"name": absolute_code_path(proposer.name, base)})
    return proposer


def _existing(base: Path, given: Path, key: str) -> Path:
    path = (base / given.expanduser()).resolve()
    if not path.is_file():
        hint = " `alkit data import` makes one." if key == "dataset" else ""
        raise ConfigError(f"{key}: there is no file {path}.{hint}")
    return path


def absolute_code_path(name: str, base: Path) -> str:
    """``./file.py:function`` with the file made absolute; other names as they are."""
    file, colon, function = name.rpartition(":")
    return f"{(base / file).resolve()}:{function}" if colon and file.endswith(".py") else name


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Lines ``key: old -> new`` for what differs, and must not while a campaign is under way."""
    means = {f"simulator.{name}" for name in MEANS}
    return [line for line in difference(old, new) if line.partition(":")[0] not in means]


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Lines ``key: old -> new`` for what differs."""
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += difference(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {a} -> {b}")
    return lines
