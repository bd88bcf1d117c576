"""The campaign file: its schema, and errors that name the key, the line and the nearest valid key."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from alkit.config import dataset
from alkit.config.baseline import Baselines, PretrainingConfig, pretraining_of, renamed
from alkit.config.dataset import DatasetOptions
from alkit.config.domain import DomainConfig
from alkit.config.masking import masked
from alkit.config.proposer import GeneratorConfig, MixConfig, PoolConfig, ProposerConfig, SingleProposerConfig
from alkit.config.simulator import SimulatorConfig
from alkit.config.start import StartConfig
from alkit.config.types import DeviceName, NotTruth, PositiveFloat, PositiveInt, Section, as_text
from alkit.config.words import Features, KnownAs, Learning, ModelGeometry, PoolingChoice, TargetSet
from alkit.properties import NAME_PATTERN, is_energy, known, short_name
from surrogate.settings import (
    FEWEST_FOLDS,
    Freeze,
    Layout,
    Mode,
    ModelSettings,
    Precision,
    References,
    Representation,
    TrainingSettings,
    Uncertainty,
)

_MODEL, _TRAINING = ModelSettings(), TrainingSettings()  # their defaults are the campaign file's


class TargetSetConfig(Section):
    """Molecules that the surrogate must be good at: selection lowers their expected error.

    Those without a label are candidates in every round too, unless ``candidates`` says otherwise.
    """

    kind: TargetSet = Field(
        "seeds", description="seeds, pool (what proposer: pool offers) or file; target_set: none has none."
    )
    file: Path | None = Field(None, description="kind: file: a SMILES file; test molecules come from it too.")
    known: KnownAs = Field(
        "list",
        description="kind: file: list, or distribution: its sizes, elements and fragments are known alone.",
    )
    count: PositiveInt = Field(500, description="Unlabelled molecules of it that stand for it in a round.")
    candidates: bool = Field(True, description="Whether they may be acquired, not only predicted.")

    @model_validator(mode="after")
    def _named(self) -> "TargetSetConfig":
        if (self.kind == "file") != (self.file is not None):
            raise ValueError("kind: file and a file belong together; give both or neither")
        if self.known == "distribution" and self.file is None:
            raise ValueError(f"known: distribution is of a file; kind is {self.kind}: give kind: file")
        return self


class SurrogateConfig(Section):
    """The SchNet ensemble and its trainer."""

    mode: Mode = Field(_MODEL.mode, description="2d needs the SMILES alone; 3d a geometry.")
    representation: Representation = Field(
        _MODEL.representation,
        description="schnet, painn, kernel, committee, or auto: by the number of labels.",
    )
    geometry: ModelGeometry = Field(
        "mmff", description="Where 3d geometries come from, in training and screening alike."
    )
    conformers: Annotated[PositiveInt, Field(le=1000)] = Field(
        10, description="mmff, xtb, gfn2: the lowest of this many; labels start from it."
    )
    layout: Layout = Field(_MODEL.layout, description="Distances of 2d mode.")
    chemistry: bool = Field(False, description="2d: what the SMILES says of atoms and bonds as inputs.")
    learning: Learning = Field("direct", description="direct: the label; delta: label less the baseline.")
    baseline: Baselines = Field(
        ({"kind": "gfn2"},),
        description="gfn1, gfn2, gfnff, aimnet2, an ASE calculator, or several: their mean.",
    )
    baseline_inputs: bool = Field(
        False, description="3d: what the baselines say of atoms, bonds and the molecule as inputs."
    )
    xtb_inputs: bool = Field(False, description="3d: GFN2-xTB charges and bond orders as inputs.")
    pretraining: Annotated[PretrainingConfig | None, BeforeValidator(pretraining_of)] = Field(
        None,
        description="Cheap energies that networks learn first: {level: gfn2, minus: gfn1, molecules: 1000}.",
    )
    members: Annotated[int, Field(ge=1, le=100, strict=True)] = Field(
        3, description="Networks in the ensemble; {heads: 16} is one with so many outputs."
    )
    heads: Annotated[int, Field(ge=1, le=256, strict=True)] = Field(
        _MODEL.heads, description="Outputs of a network, trained by likelihood; 1: one, by squared errors."
    )
    pooling: PoolingChoice = Field(
        "auto", description="sum of atoms, mean, attention; auto: as the target is extensive or intensive."
    )
    features: PositiveInt = Field(_MODEL.features, description="Width of atom features and filters.")
    interactions: PositiveInt = Field(_MODEL.interactions, description="Interaction blocks.")
    gaussians: Annotated[int, Field(ge=2, strict=True)] = Field(
        _MODEL.gaussians, description="Radial basis functions."
    )
    cutoff: PositiveFloat = Field(_MODEL.cutoff, le=100, description="Å; atoms farther apart are no pair.")
    epochs: PositiveInt = Field(
        _TRAINING.epochs, le=10**6, description="Epochs, at most; early stopping often ends sooner."
    )
    batch_size: PositiveInt = Field(_TRAINING.batch_size, description="Molecules in a training step.")
    lr: PositiveFloat = Field(_TRAINING.lr, le=10, description="First learning rate of AdamW.")
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False), NotTruth] = Field(
        _TRAINING.weight_decay, description="Weight decay of AdamW."
    )
    plateau_patience: PositiveInt = Field(
        _TRAINING.plateau_patience, description="Epochs without gain before lr is cut."
    )
    plateau_factor: Annotated[float, Field(gt=0, lt=1), NotTruth] = Field(
        _TRAINING.plateau_factor, description="Factor that lr is cut by."
    )
    stop_patience: PositiveInt = Field(
        _TRAINING.stop_patience, description="Epochs without gain before training ends."
    )
    gradient_clip: PositiveFloat = Field(_TRAINING.gradient_clip, description="Largest norm of the gradient.")
    references: References = Field(
        _TRAINING.references, description="Subtracted from labels: energy per element, per atom, or nothing."
    )
    scale: bool = Field(_TRAINING.scale, description="Divide labels less references by a spread per atom.")
    ema: Annotated[float, Field(ge=0, lt=1), NotTruth] = Field(
        _TRAINING.ema, description="Decay of a moving average of the weights; 0: off."
    )
    precision: Annotated[Precision, BeforeValidator(as_text)] = Field(
        _TRAINING.precision, description="Precision of training, in bits."
    )
    freeze: Freeze = Field(
        _TRAINING.freeze, description="Layers that a warm start or pretraining leaves as they are."
    )
    depth_decay: Annotated[float, Field(gt=0, le=1), NotTruth] = Field(
        _TRAINING.depth_decay,
        description="Factor on lr per layer below the output, after a warm start or pretraining.",
    )
    warm_start: bool = Field(False, description="Go on from the last round's weights.")
    uncertainty: Annotated[tuple[Uncertainty, ...], Field(min_length=1)] = Field(
        _MODEL.uncertainty, description="The members' spread, a GP on the last layer, a head for variances."
    )
    device: DeviceName = Field(_TRAINING.device, description="auto: a GPU if any; or cpu, cuda, cuda:1, mps.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        """`members: {heads: 16}` is short for one network with 16 heads; `networks` may be more."""
        if isinstance(data, dict):
            data = renamed(data)
        if isinstance(data, dict) and isinstance(members := data.get("members"), dict):
            if strange := sorted(set(members) - {"heads", "networks"}, key=str):
                raise ValueError(f"members has {strange[0]!r}; it is a number, or heads and networks")
            if "heads" not in members or "heads" in data:
                raise ValueError("members: {heads: 16} names the heads, once")
            data = data | {"members": members.get("networks", 1), "heads": members["heads"]}
        return data

    @model_validator(mode="after")
    def _agree(self) -> "SurrogateConfig":
        if self.members * self.heads < 2:
            raise ValueError("members is 1, which has no spread; give 2 or more, or {heads: 16}")
        if self.ema and self.precision == "64":
            raise ValueError("ema averages weights in 32 bits: with precision 64 leave it at 0")
        warm = self.warm_start or self.pretraining is not None
        if not warm and (self.freeze != "none" or self.depth_decay != 1.0):
            raise ValueError(
                "freeze and depth_decay are about weights that are trained already; set pretraining "
                "or warm_start: true"
            )
        given = self.baseline != type(self).model_fields["baseline"].default
        if given and self.learning != "delta" and not self.baseline_inputs:
            raise ValueError(
                f"baseline is given, but learning is {self.learning} and baseline_inputs false: "
                "nothing uses it; set learning: delta or baseline_inputs: true"
            )
        if self.baseline_inputs and self.mode == "2d":
            raise ValueError("baseline_inputs belong to a geometry; use mode: 3d")
        if self.pretraining is not None:
            below = self.baseline if self.learning == "delta" else ()
            self.pretraining.check_surrogate(self.mode, self.representation, below)
        return self


class AcquisitionConfig(Section):
    """Which of a round's candidates are labelled: the acquisition function."""

    name: str = Field(description="A built-in, an installed plug-in, or './file.py:function'.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of that acquisition function."
    )
    features: Features | None = Field(
        default=None,
        description="embeddings (of the surrogate) or soap (of the geometry); null: as the function needs.",
    )


class StopConfig(Section):
    """Any one of these ends the campaign; the report names which."""

    rounds: PositiveInt | None = Field(5, description="Rounds of acquisition.")
    labels: PositiveInt | None = Field(None, description="Training and validation labels together.")
    hours: PositiveFloat | None = Field(
        None, description="Wall time of this campaign, all its runs together."
    )
    target_mae: PositiveFloat | None = Field(
        None, description="In the target's unit, reached on the validation set."
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1), NotTruth] | None = Field(
        None, description="Probability that the error is no larger than target_mae; null: as measured."
    )
    plateau: PositiveInt | None = Field(None, description="Rounds without a better validation MAE.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        """`mae` is short for `target_mae`."""
        if isinstance(data, dict) and "mae" in data:
            if "target_mae" in data:
                raise ValueError("mae is short for target_mae; give one of them")
            data = {("target_mae" if key == "mae" else key): value for key, value in data.items()}
        return data

    @model_validator(mode="after")
    def _ends(self) -> "StopConfig":
        if self.rounds is None and self.labels is None and self.hours is None:
            raise ValueError(
                "at least one of rounds, labels and hours must be set, or the campaign never ends"
            )
        if self.confidence is not None and self.target_mae is None:
            raise ValueError("confidence is about target_mae; give an error to aim at, or leave it out")
        return self


class TrackingConfig(Section):
    """Where MLflow keeps the campaign and its rounds."""

    uri: str = Field("sqlite:///mlflow.db", description="MLflow store; tracking: none keeps nothing there.")
    experiment: str = Field("alkit", description="MLflow experiment.")
    system_metrics: bool = Field(False, description="CPU, memory, disk and GPU of this machine too.")


def _short_target(given: Any) -> Any:
    return short_name(given) if isinstance(given, str) else given


class CampaignConfig(Section):
    """One campaign. Input paths are relative to this file; the campaign folder to the working directory."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)] = Field(
        description="Names runs and folder."
    )
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = Field(
        0, description="Seed of every random draw."
    )
    folder: Path | None = Field(None, description="Campaign folder; runs/<name> by default.")
    target: Annotated[str, Field(pattern=NAME_PATTERN, max_length=60), BeforeValidator(_short_target)] = (
        Field(
            "u0",
            description="u0 (with zero-point energy), energy (electronic), gap, homo, lumo, mu, another of "
            "QM9's, or one of your own.",
        )
    )
    seeds: Path | None = Field(
        None, description="SMILES file the start and test sets come from; built in by default."
    )
    dataset: Path | None = Field(
        None, description="Database of `alkit data import`; or {file: mine.csv, property: E=u0, unit: …}."
    )
    dataset_options: DatasetOptions = Field(default_factory=lambda: DatasetOptions.model_validate({}))
    domain: DomainConfig = Field(default_factory=lambda: DomainConfig.model_validate({}))
    start: StartConfig = Field(default_factory=lambda: StartConfig.model_validate({}))
    target_set: TargetSetConfig | None = Field(
        default_factory=lambda: TargetSetConfig.model_validate({}),
        description="What the surrogate must be good at; none: the candidates of the round.",
    )
    proposer: ProposerConfig = Field(description="What a round's candidates come from; a kind with its keys.")
    surrogate: SurrogateConfig = Field(default_factory=lambda: SurrogateConfig.model_validate({}))
    acquisition: AcquisitionConfig = Field(default_factory=lambda: AcquisitionConfig(name="bias"))
    batch_size: PositiveInt = Field(50, description="Molecules acquired each round.")
    simulator: SimulatorConfig = Field(default_factory=lambda: SimulatorConfig.model_validate({}))
    twin: Literal["random"] | None = Field(
        None, description="random: the same campaign with random selection runs beside it, to compare with."
    )
    stop: StopConfig = Field(default_factory=lambda: StopConfig.model_validate({}))
    tracking: TrackingConfig = Field(default_factory=lambda: TrackingConfig.model_validate({}))

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """Read short forms: `acquisition: lcmd` is its `name`, `target_set: ours.smi` its `file`."""
        if isinstance(data, dict):
            data = dataset.apart(dict(data))
            for key, inner in (("acquisition", "name"), ("simulator", "kind"), ("proposer", "kind")):
                if isinstance(data.get(key), str):
                    data[key] = {inner: data[key]}
            if data.get("tracking") == "none":
                data["tracking"] = {"uri": "none"}
            if isinstance(named := data.get("target_set"), str):
                known = {"kind": named} if named in get_args(TargetSet) else {"kind": "file", "file": named}
                data["target_set"] = None if named == "none" else known
        return data

    @model_validator(mode="after")
    def _consistent(self) -> "CampaignConfig":
        aim = self.target_set.kind if self.target_set else None
        if aim == "pool" and not any(isinstance(p, PoolConfig) for p in self.proposers):
            raise ValueError("target_set: pool is what proposer: pool offers; give that proposer, or seeds")
        inventive = [part.kind for part in self.proposers if not isinstance(part, PoolConfig)]
        if inventive and (self.simulator.kind == "lookup" or self.surrogate.geometry == "dataset"):
            raise ValueError(
                f"proposer: {inventive[0]} proposes molecules that no data set holds; with simulator: lookup "
                "or surrogate.geometry: dataset use proposer: pool"
            )
        self._check_target()
        if self.twin and self.simulator.kind == "manual":
            raise ValueError(
                "twin: random needs labels that are computed; with simulator: manual they are not"
            )
        members, training = self.surrogate.members, self.start.training
        kind = self.surrogate.representation
        if self.start.validation and kind in ("kernel", "committee", "auto"):
            raise ValueError(
                f"surrogate.representation: {kind} sets no labels apart; start.validation is "
                f"{self.start.validation}, and must be 0"
            )
        if self.start.choice == "integrated_variance" and kind not in ("kernel", "committee", "auto"):
            raise ValueError(
                f"start.choice: integrated_variance asks a kernel; surrogate.representation is {kind}: give "
                "kernel, committee or auto, or choose kmeans++"
            )
        if self.start.validation == 0 and kind == "kernel":
            members = max(members, FEWEST_FOLDS)
        if self.start.validation == 0 and not FEWEST_FOLDS <= members <= training:
            raise ValueError(
                f"start.validation is 0, so that each member leaves out a part of the {training} training "
                f"labels; surrogate.members is {members}: give {FEWEST_FOLDS} to {training}"
            )
        alone = self.surrogate.uncertainty == ("ensemble",) and self.surrogate.heads == 1 and kind != "kernel"
        if self.start.validation == 0 and alone and members < 2 * FEWEST_FOLDS:
            raise ValueError(
                f"start.validation is 0, and surrogate.uncertainty the members' spread alone: with {members} "
                f"members one alone has not seen a label; add gp, or give {2 * FEWEST_FOLDS} members"
            )
        if self.dataset is None:
            if self.simulator.kind == "lookup":
                raise ValueError("simulator: lookup needs `dataset`, the database whose labels it looks up")
            if self.surrogate.mode == "3d" and self.surrogate.geometry == "dataset":
                raise ValueError("surrogate.geometry: dataset needs `dataset`; or choose mmff or etkdg")
        return self

    def _check_target(self) -> None:
        """Raise `ValueError` for settings that do not fit the property."""
        surrogate, energy = self.surrogate, is_energy(self.target)
        if known(self.target) is None and surrogate.pooling == "auto":
            raise ValueError(
                f"target: {self.target} is no property that alkit knows; say with surrogate.pooling whether "
                "it grows with the molecule: sum (extensive), or mean or attention (intensive)"
            )
        if energy and surrogate.pooling not in ("auto", "sum"):
            raise ValueError(
                f"target: {self.target} is an energy, a sum over atoms; surrogate.pooling is "
                f"{surrogate.pooling}"
            )
        if not energy and (surrogate.learning == "delta" or surrogate.pretraining is not None):
            what = "learning: delta" if surrogate.learning == "delta" else "pretraining"
            raise ValueError(
                f"surrogate.{what} is about cheap energies, and target: {self.target} is none; leave it out, "
                "or give what baselines say of atoms as inputs: surrogate.baseline_inputs: true"
            )

    _base: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def base(self) -> Path:
        """Folder that paths in the campaign file start from: the file's own."""
        return self._base

    @property
    def proposers(self) -> list[SingleProposerConfig]:
        """The proposer, or the parts of a mix."""
        return self.proposer.parts if isinstance(self.proposer, MixConfig) else [self.proposer]

    @property
    def generator(self) -> GeneratorConfig | None:
        """The settings of the generator, where there is one."""
        return next((part for part in self.proposers if isinstance(part, GeneratorConfig)), None)

    @property
    def campaign_folder(self) -> Path:
        """The folder as the file has it; "~" stands for the home folder."""
        return self.folder or Path("runs") / self.name

    def as_dict(self) -> dict[str, Any]:
        """Plain values, to be written: a password in ``tracking.uri`` is hidden."""
        values = self.model_dump(mode="json")
        values["tracking"]["uri"] = masked(values["tracking"]["uri"])
        return values
