"""`alkit train`, `predict`, `label`, `export` and `import`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from alkit.cli.console import open_console
from alkit.config.words import Energy, Engine, GFNMethod, LabelKind, ModelGeometry, PoolingChoice
from alkit.datasets.tables import Columns
from alkit.errors import ConfigError
from surrogate.settings import (
    USUAL_FORCES_EMA,
    USUAL_FORCES_WEIGHT,
    Layout,
    Mode,
    ModelSettings,
    Representation,
    TrainingSettings,
)

_MODEL, _TRAINING = ModelSettings(), TrainingSettings()  # one set of defaults, for campaigns too
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Output file; standard output by default.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random draw.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that compute at once.")]
Timeout = Annotated[float, typer.Option(help="Seconds that a molecule's geometry or label may take.")]

SmilesColumn = Annotated[
    str | None, typer.Option("--smiles-column", help="Column of a table; 'smiles' in any case by default.")
]
NameColumn = Annotated[str | None, typer.Option("--name-column", help="Column of a table; 'name', 'id' …")]
Delimiter = Annotated[str | None, typer.Option(help="Between the columns of a table; found by itself.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at a molecule that cannot be read.")]
Length = Annotated[Literal["angstrom", "bohr"], typer.Option(help="Unit of the positions in a file.")]
Unit = Annotated[
    str | None,
    typer.Option(help="Unit of a table's labels: hartree, Debye …; eV by default for energies."),
]
Kind = Annotated[
    LabelKind | None,
    typer.Option(help="atomization energies (default) or total ones; extensive or intensive: no energy."),
]
References = Annotated[
    str | None,
    typer.Option(
        "--references",
        help="With --kind total, the isolated atoms: QM9, GFN2-xTB, or JSON of {element: energy}.",
    ),
]
Source3D = Annotated[
    ModelGeometry | None,
    typer.Option(help="Source of 3D geometries; the database's own, or mmff for a table."),
]
Property = Annotated[
    str | None,
    typer.Option(
        "--target",
        "--property",
        help="Property of the database, or column; u0 or the only energy by default.",
    ),
]
Learn = Annotated[
    Literal["direct", "delta"], typer.Option(help="delta: the label less the baseline at the geometry.")
]
Baselines = Annotated[
    list[str] | None,
    typer.Option("--baseline", help="gfn1, gfn2 (default), gfnff, aimnet2 …; several: their mean."),
]
BaselineInputs = Annotated[
    bool, typer.Option("--baseline-inputs", help="3d: what the baselines say of atoms as inputs.")
]
PretrainOn = Annotated[
    str | None,
    typer.Option(
        "--pretraining",
        metavar="LEVEL",
        help="Cheap energies that networks learn first: gfn2, or {level: gfn2, minus: gfn1, file: more.smi}.",
    ),
]
XtbInputs = Annotated[
    bool, typer.Option("--xtb-inputs", help="3d: GFN2-xTB charges and bond orders as inputs.")
]
PoolingOption = Annotated[
    PoolingChoice, typer.Option("--pooling", help="sum of atoms, mean, attention; auto: by the property.")
]
Chemistry = Annotated[
    bool, typer.Option("--chemistry", help="2d: what the SMILES says of atoms and bonds as inputs.")
]
Forces = Annotated[
    bool, typer.Option("--forces", help="3d: learn the database's forces with the energies, as one function.")
]
ForcesWeight = Annotated[
    float | None,
    typer.Option(help="Share of forces (eV/Å) in the loss, energies (eV) have the rest; 0.99 with --forces."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Use this many molecules, drawn at random.")]


def train(
    data: Annotated[Path, typer.Argument(help="ASE database, or table of SMILES and labels.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")],
    target: Property = None,
    unit: Unit = None,
    kind: Kind = None,
    free_atoms: References = None,
    mode: Annotated[Mode, typer.Option(help="2d needs SMILES alone.")] = _MODEL.mode,
    geometry: Source3D = None,
    learning: Learn = "direct",
    baseline: Baselines = None,
    baseline_inputs: BaselineInputs = False,
    pretraining: PretrainOn = None,
    xtb_inputs: XtbInputs = False,
    chemistry: Chemistry = False,
    forces: Forces = False,
    forces_weight: ForcesWeight = None,
    layout: Annotated[Layout, typer.Option(help="Distances of 2d mode.")] = _MODEL.layout,
    representation: Annotated[
        Representation, typer.Option(help="All but schnet in 3d only.")
    ] = _MODEL.representation,
    limit: Limit = None,
    members: Annotated[int, typer.Option(min=2, help="SchNets in the ensemble.")] = 3,
    folds: Annotated[
        bool, typer.Option("--folds", help="No validation set: each member leaves out a part; 3 or more.")
    ] = False,
    heads: Annotated[int, typer.Option(min=1, help="Outputs of a network, trained by likelihood.")] = 1,
    pooling: PoolingOption = "auto",
    features: Annotated[int, typer.Option(min=1, help="Width of the atom features.")] = _MODEL.features,
    gaussians: Annotated[int, typer.Option(min=1, help="Radial basis functions.")] = _MODEL.gaussians,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs, at most.")] = _TRAINING.epochs,
    batch_size: Annotated[int, typer.Option(min=1, help="Molecules per step.")] = _TRAINING.batch_size,
    lr: Annotated[float, typer.Option(help="First learning rate.")] = _TRAINING.lr,
    ema: Annotated[
        float | None, typer.Option(help="Decay of averaged weights; 0 is off; 0.99 with forces, else 0.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto: a GPU if any; cpu, cuda, cuda:1, mps.")
    ] = _TRAINING.device,
    seed: Seed = 0,
    smiles_column: SmilesColumn = None,
    delimiter: Delimiter = None,
    strict: Strict = False,
    workers: Workers = 2,
    timeout: Timeout = 120.0,
) -> None:
    """Train a surrogate on labels you have; a random tenth validates (networks), another tests."""
    from alkit.cli.baseline import baselines_of
    from alkit.config.loading import read_pretraining
    from alkit.models.store import load_model
    from alkit.models.tiers import tier_of_model
    from alkit.reporting import terminal_tables, verdicts
    from alkit.standalone.training import train_model

    console, progress = open_console()
    inputs = ("chemistry",) * chemistry + ("xtb",) * xtb_inputs
    model = {"mode": mode, "representation": representation, "layout": layout, "inputs": inputs}
    if forces_weight is None:
        forces_weight = USUAL_FORCES_WEIGHT if forces else _TRAINING.forces_weight
    elif forces and not forces_weight:
        raise ConfigError("--forces-weight is 0, and --forces is given; leave one of them out.")
    if ema is None:
        ema = USUAL_FORCES_EMA if forces_weight else _TRAINING.ema
    metrics = train_model(
        data,
        out,
        target=target,
        geometry=geometry,
        learning=learning,
        baseline=baselines_of(baseline or ["gfn2"]),
        baseline_inputs=baseline_inputs,
        pretraining=read_pretraining(pretraining, "--pretraining") if pretraining is not None else None,
        limit=limit,
        members=members,
        folds=folds,
        pooling=pooling,
        model=model | {"features": features, "gaussians": gaussians, "heads": heads},
        training={"epochs": epochs, "batch_size": batch_size, "lr": lr, "ema": ema, "device": device}
        | {"forces_weight": forces_weight},
        seed=seed,
        progress=progress,
        unit=unit,
        kind=kind,
        references=free_atoms,
        columns=Columns(smiles_column, None, delimiter),
        strict=strict,
        workers=workers,
        timeout=timeout,
    )
    ensemble, provenance = load_model(out)
    title, quantity = f"{out}: {metrics['test_size']} test molecules", provenance.quantity
    console.print(terminal_tables.rounds_table([metrics], title, quantity))
    on = tier_of_model(ensemble.settings, provenance)
    console.print(verdicts.campaign_verdict([metrics], on, quantity))


def score(
    model: Annotated[Path, typer.Argument(help="Model folder of `alkit train`, or a campaign folder.")],
    data: Annotated[Path, typer.Argument(help="Labelled molecules: an imported data set, or a table.")],
    target: Property = None,
    unit: Unit = None,
    kind: Kind = None,
    free_atoms: References = None,
    smiles_column: SmilesColumn = None,
    delimiter: Delimiter = None,
    strict: Strict = False,
    workers: Workers = 2,
    timeout: Timeout = 120.0,
) -> None:
    """Score a saved model on labelled molecules that it has not seen: errors, calibration, tier."""
    from alkit.reporting.score_table import score_table
    from alkit.standalone import scoring

    console, progress = open_console()
    metrics, facts, quantity = scoring.score_model(
        model,
        data,
        target=target,
        progress=progress,
        unit=unit,
        kind=kind,
        references=free_atoms,
        columns=Columns(smiles_column, None, delimiter),
        strict=strict,
        workers=workers,
        timeout=timeout,
    )
    console.print(score_table(metrics, facts, f"{model} on {data}", quantity))


def _angstrom(length: str) -> float:
    from ase.units import Bohr

    return float(Bohr) if length == "bohr" else 1.0


def _engine(kind: Engine, **settings: str | None) -> dict[str, str]:
    """The arguments of `alkit.engines.create_engine`; a setting belongs to the engine of its name."""
    given = {name: value for name, value in settings.items() if value is not None}
    for name in given:
        if name != kind:
            raise ConfigError(f"--{name} needs --engine {name}, not {kind}.")
    return {"kind": kind, **given}


def predict(
    model: Annotated[Path, typer.Argument(help="Model folder of `alkit train`, or a campaign folder.")],
    molecules: Annotated[
        Path,
        typer.Argument(help="SMILES file, table, SD or MOL2 file; structures for a model of such."),
    ],
    out: Out = None,
    smiles_column: SmilesColumn = None,
    name_column: NameColumn = None,
    delimiter: Delimiter = None,
    length: Length = "angstrom",
    workers: Workers = 2,
    timeout: Timeout = 120.0,
    engine: Annotated[Engine, typer.Option(help="Where workers are: local, parsl or dask.")] = "local",
    parsl: Annotated[str | None, typer.Option(help="Engine parsl: './file.py:config'.")] = None,
    dask: Annotated[str | None, typer.Option(help="Engine dask: address of the scheduler.")] = None,
) -> None:
    """Predict molecules with their uncertainty, as CSV; energies to .extxyz or .db, with forces in eV/Å."""
    from alkit.standalone.predicted_forces import WRITERS, predict_forces
    from alkit.standalone.prediction import predict_file

    where = _engine(engine, parsl=parsl, dask=dask)
    if out is not None and out.suffix.lower() in WRITERS:
        done, failed, what = predict_forces(
            model, molecules, out, open_console()[1], columns=Columns(smiles_column, name_column, delimiter),
            length=_angstrom(length), workers=workers, timeout=timeout, **where,
        )  # fmt: skip
        typer.echo(f"{done} predicted ({what}), {failed} without a prediction.", err=True)
        return
    done, failed, what = predict_file(
        model,
        molecules,
        out,
        open_console()[1],
        columns=Columns(smiles_column, name_column, delimiter),
        length=_angstrom(length),
        workers=workers,
        timeout=timeout,
        **where,
    )
    typer.echo(f"{done} predicted ({what}), {failed} without a prediction (see the column reason).", err=True)


def label(
    molecules: Annotated[Path, typer.Argument(help="SMILES file, table, SD, MOL2, XYZ file or database.")],
    target: Annotated[
        str,
        typer.Option(
            "--target", "--property", help="u0 (with zero-point energy), energy, gap, homo, lumo, mu …"
        ),
    ] = "u0",
    method: Annotated[GFNMethod, typer.Option(help="Method of xtb and tblite.")] = "GFN2-xTB",
    simulator: Annotated[str, typer.Option(help="xtb, tblite, ase, or './file.py:ClassName'.")] = "xtb",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of it, such as solvent=water."),
    ] = None,
    workers: Workers = 2,
    timeout: Timeout = 120.0,
    seed: Seed = 0,
    out: Out = None,
    smiles_column: SmilesColumn = None,
    name_column: NameColumn = None,
    delimiter: Delimiter = None,
    strict: Strict = False,
    length: Length = "angstrom",
) -> None:
    """Label relaxed molecules with xtb or another simulator, as CSV; the column names property and unit."""
    from alkit.config.loading import override_key
    from alkit.properties import short_name
    from alkit.simulators.base import SIMULATORS, SimulatorSpec
    from alkit.standalone import labelling

    settings: dict[str, Any] = {"target": short_name(target)} if simulator in SIMULATORS else {}
    if simulator in ("xtb", "tblite"):
        settings["method"] = method
    for one in set_ or []:
        override_key(settings, one)
    spec = SimulatorSpec(simulator, settings)
    done, failed = labelling.label_file(
        molecules,
        out,
        simulator=spec,
        workers=workers,
        timeout=timeout,
        seed=seed,
        progress=open_console()[1],
        columns=Columns(smiles_column, name_column, delimiter),
        strict=strict,
        length=_angstrom(length),
    )
    typer.echo(f"{done} labelled, {failed} failed (see the column reason).", err=True)


def export_model(
    model: Annotated[Path, typer.Argument(help="Model folder, or a campaign's.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: schnetpack's best_model.")],
    member: Annotated[int, typer.Option(min=0, help="Network of the ensemble, from 0.")] = 0,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Total energies: add those of the isolated atoms.")
    ] = False,
) -> None:
    """Write a member as a plain schnetpack model, for spkpredict, SpkCalculator and spkmd."""
    from alkit.standalone import schnetpack_io

    energies = schnetpack_io.export_model(model, out, member=member, absolute=absolute)
    typer.echo(f"{out}: {energies} and forces in eV/Å.")


def import_model(
    checkpoints: Annotated[list[Path], typer.Argument(help="schnetpack's best_model files, one a member.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")],
    level: Annotated[str, typer.Option(help="Level of theory of its energies, such as 'PBE u0'.")],
    elements: Annotated[str, typer.Option(help="Elements it was trained on, with commas: H,C,N,O.")],
    energy: Annotated[Energy, typer.Option(help="Atomization energies, or total ones.")],
    unit: Annotated[str, typer.Option(help="Unit of its energies: eV, Hartree, kcal/mol or kJ/mol.")] = "eV",
    geometry: Annotated[ModelGeometry, typer.Option(help="Geometries it was trained on.")] = "dataset",
) -> None:
    """Read plain schnetpack models as an ensemble; files are read as data, never as code."""
    from alkit.standalone import schnetpack_io

    symbols = [symbol.strip() for symbol in elements.split(",")]
    members = schnetpack_io.import_models(
        checkpoints, out, unit=unit, level=level, energy=energy, elements=symbols, geometry=geometry
    )
    typer.echo(f"{out}: {members} member{'s' if members > 1 else ' (without a spread)'}.")
