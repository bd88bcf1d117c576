"""``alkit …``: parses, calls, prints. What is heavy is imported inside the commands, so help is instant."""

import errno
import json
import os
import sqlite3
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from alkit import interrupts
from alkit.cli_generator import generate, generator
from alkit.cli_study import study

app = typer.Typer(
    help="Active learning that makes a molecular-energy surrogate chemically accurate from few labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
campaign = typer.Typer(help="Run and inspect active-learning campaigns.", no_args_is_help=True)
data = typer.Typer(help="Import and download data sets.", no_args_is_help=True)
app.add_typer(campaign, name="campaign")
app.add_typer(data, name="data")
app.add_typer(study, name="study")
app.add_typer(generator, name="generator")
app.command("generate")(generate)

_INTERRUPTED = 130
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_AGAIN = "mend that and give the same command again: what was done is kept."
_LONGEST = 1000  # characters of an error
Mode = Literal["2d", "3d"]
Target = Literal["u0", "energy"]
Config = Annotated[Path, typer.Argument(help="Campaign file (YAML).")]
Folder = Annotated[Path, typer.Argument(help="Campaign folder, such as runs/quickstart.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key, such as stop.rounds=2.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Output file; standard output by default.")]
Seed = Annotated[int, typer.Option(min=0, help="Of every random draw.")]
Workers = Annotated[int, typer.Option(min=1, help="Labels computed at once.")]


@campaign.command("run")
def campaign_run(config: Config, set_: Overrides = None) -> None:
    """Run a campaign; the same command goes on with one that was interrupted."""
    from alkit.campaign.campaign import Campaign
    from alkit.reporting import campaign_report

    out, progress = _console()
    started = Campaign(_loaded(config, set_), progress=progress)
    if not started.folder.exists():
        started.check()  # so that a campaign that cannot begin leaves no folder
    result = started.run()
    ending = "was finished already" if result.already_finished else "finished"
    out.print(campaign_report.table(result.metrics, f"{result.folder.name} {ending}: {result.stopped_by}"))
    if result.metrics:
        out.print(campaign_report.verdict(result.metrics))
    out.print(f"Report: {_shown(result.folder / 'report.html')}", soft_wrap=True)


@campaign.command("status")
def campaign_status(folder: Folder) -> None:
    """Show how far a campaign is and what became of its candidates."""
    from alkit.reporting import campaign_report

    out, _ = _console()
    config, ledger = _opened(folder)
    out.print(campaign_report.status(ledger, config), soft_wrap=True)
    if metrics := ledger.metrics():
        out.print(campaign_report.table(metrics, "Rounds so far"))
    out.print(campaign_report.fates_table(ledger))


@campaign.command("ledger")
def campaign_ledger(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Candidates as .csv or .parquet; labels as .db or .extxyz."),
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only these, such as failed.")] = None,
    last: Annotated[int, typer.Option(min=1, help="Show so many.")] = 20,
) -> None:
    """Show or export what happened to every candidate and every label."""
    from alkit.reporting import campaign_report
    from alkit.storage import ledger_export

    console, _ = _console()
    config, ledger = _opened(folder)
    if out is not None:
        count = ledger_export.export(ledger, out, name=config.name)
        what = "candidates" if out.suffix.lower() in ledger_export.TABLES else "labels"
        console.print(f"{_shown(out.resolve())}: {count} {what}.", soft_wrap=True)
        return
    console.print(campaign_report.fates_table(ledger))
    console.print(campaign_report.histories_table(ledger_export.rows(ledger, status=status), last))


@campaign.command("report")
def campaign_report(folder: Folder) -> None:
    """Write the campaign's report.html anew."""
    from alkit.reporting import campaign_report

    config, ledger = _opened(folder)
    typer.echo(_shown(campaign_report.write(ledger, config, folder)))


@campaign.command("validate")
def campaign_validate(config: Config, set_: Overrides = None) -> None:
    """Check a campaign file and everything it names, without running it."""
    from alkit.campaign.campaign import Campaign

    Campaign(_loaded(config, set_)).check()
    typer.echo(f"{config} is a valid campaign.")


@campaign.command("template")
def campaign_template(
    proposer: Annotated[
        Literal["generator", "pool", "evolution", "custom"], typer.Option(help="Kind of proposer.")
    ] = "generator",
) -> None:
    """Print a campaign file with every key, its default and what it means."""
    from alkit.config.template import template

    typer.echo(template(proposer), nl=False)


@campaign.command("schema")
def campaign_schema() -> None:
    """Print the JSON Schema of campaign files, for editors."""
    from alkit.config.schema import CampaignConfig

    typer.echo(json.dumps(CampaignConfig.model_json_schema(), indent=2))


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="ASE database, or CSV with smiles and the target in eV.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")],
    target: Annotated[str, typer.Option(help="Property of the database, or column of the CSV.")] = "u0",
    mode: Annotated[Mode, typer.Option(help="2d needs SMILES alone.")] = "3d",
    geometry: Annotated[
        Literal["dataset", "mmff", "etkdg", "xtb"] | None,
        typer.Option(help="Source of 3D geometries; the database's own, or mmff for a table."),
    ] = None,
    learning: Annotated[
        Literal["direct", "delta"], typer.Option(help="delta: the label less GFN2-xTB at the geometry.")
    ] = "direct",
    xtb_inputs: Annotated[
        bool, typer.Option("--xtb-inputs", help="3d: GFN2-xTB charges and bond orders as inputs.")
    ] = False,
    chemistry: Annotated[
        bool, typer.Option("--chemistry", help="2d: what the SMILES says of atoms and bonds as inputs.")
    ] = False,
    layout: Annotated[
        Literal["topological", "depiction"], typer.Option(help="Distances of 2d mode.")
    ] = "topological",
    representation: Annotated[Literal["schnet", "painn"], typer.Option(help="painn in 3d only.")] = "schnet",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use this many molecules, drawn at random.")
    ] = None,
    members: Annotated[int, typer.Option(min=2, help="SchNets in the ensemble.")] = 3,
    features: Annotated[int, typer.Option(min=1, help="Width of the atom features.")] = 128,
    gaussians: Annotated[int, typer.Option(min=1, help="Radial basis functions.")] = 40,
    epochs: Annotated[int, typer.Option(min=1, help="At most.")] = 200,
    batch_size: Annotated[int, typer.Option(min=1, help="Molecules in a training step.")] = 32,
    lr: Annotated[float, typer.Option(help="First learning rate.")] = 1e-3,
    ema: Annotated[float, typer.Option(help="Decay of averaged weights; 0: off.")] = 0.0,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto: a GPU if any.")] = "auto",
    seed: Seed = 0,
) -> None:
    """Train a SchNet ensemble on labels you have; a random tenth validates, another tests."""
    from alkit.reporting import campaign_report
    from alkit.standalone import training

    console, progress = _console()
    metrics = training.train_model(
        data,
        out,
        target=target,
        geometry=geometry,
        learning=learning,
        limit=limit,
        members=members,
        model={
            "mode": mode,
            "representation": representation,
            "layout": layout,
            "inputs": ("chemistry",) * chemistry + ("xtb",) * xtb_inputs,
            "features": features,
            "gaussians": gaussians,
        },
        training={"epochs": epochs, "batch_size": batch_size, "lr": lr, "ema": ema, "device": device},
        seed=seed,
        progress=progress,
    )
    console.print(campaign_report.table([metrics], f"{out}: {metrics['test_size']} test molecules"))
    console.print(campaign_report.verdict([metrics]))


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Model folder of `alkit train`, or a campaign folder.")],
    molecules: Annotated[
        Path,
        typer.Argument(help="SMILES file or CSV; .xyz, .extxyz or .db for a model of dataset geometries."),
    ],
    out: Out = None,
) -> None:
    """Predict energies with their uncertainty, as CSV in eV."""
    from alkit.standalone import prediction

    done, failed, energies = prediction.predict_file(model, molecules, out, _console()[1])
    typer.echo(
        f"{done} predicted ({energies}), {failed} without a prediction (see the column reason).", err=True
    )


@app.command()
def label(
    molecules: Annotated[Path, typer.Argument(help="SMILES file, one a line, or CSV with a smiles column.")],
    target: Annotated[Target, typer.Option(help="u0: with zero-point energy; energy: electronic.")] = "u0",
    method: Annotated[
        Literal["GFN2-xTB", "GFN1-xTB", "GFN-FF"], typer.Option(help="Of xtb and tblite.")
    ] = "GFN2-xTB",
    simulator: Annotated[str, typer.Option(help="xtb, tblite, ase, or './file.py:ClassName'.")] = "xtb",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of it, such as solvent=water."),
    ] = None,
    workers: Workers = 2,
    timeout: Annotated[float, typer.Option(help="Seconds a label may take.")] = 120.0,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """Label molecules with xtb or another simulator: relaxed atomization energies, as CSV in eV."""
    from alkit.config.loading import override_key
    from alkit.simulators.base import SIMULATORS, SimulatorSpec
    from alkit.standalone import labelling

    settings: dict[str, Any] = {"target": target} if simulator in SIMULATORS else {}
    if simulator in ("xtb", "tblite"):
        settings["method"] = method
    for one in set_ or []:
        override_key(settings, one)
    spec = SimulatorSpec(simulator, settings)
    done, failed = labelling.label_file(
        molecules, out, simulator=spec, workers=workers, timeout=timeout, seed=seed, progress=_console()[1]
    )
    typer.echo(f"{done} labelled, {failed} failed (see the column reason).", err=True)


@app.command("export")
def export_model(
    model: Annotated[Path, typer.Argument(help="Model folder, or a campaign's.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: schnetpack's best_model.")],
    member: Annotated[int, typer.Option(min=0, help="Which of the ensemble.")] = 0,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Total energies: add those of the isolated atoms.")
    ] = False,
) -> None:
    """Write a member as a plain schnetpack model, for spkpredict, SpkCalculator and spkmd."""
    from alkit.standalone import schnetpack_io

    energies = schnetpack_io.export_model(model, out, member=member, absolute=absolute)
    typer.echo(f"{out}: {energies} and forces in eV/Å.")


@app.command("import")
def import_model(
    checkpoints: Annotated[list[Path], typer.Argument(help="schnetpack's best_model files, one a member.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")],
    level: Annotated[str, typer.Option(help="Level of theory of its energies, such as 'PBE u0'.")],
    elements: Annotated[str, typer.Option(help="It was trained on, with commas, such as H,C,N,O.")],
    energy: Annotated[
        Literal["atomization", "total"], typer.Option(help="Less the isolated atoms', or not.")
    ],
    unit: Annotated[str, typer.Option(help="Of its energies: eV, Hartree, kcal/mol or kJ/mol.")] = "eV",
    geometry: Annotated[
        Literal["dataset", "mmff", "etkdg", "xtb"], typer.Option(help="Geometries it was trained on.")
    ] = "dataset",
) -> None:
    """Read plain schnetpack models as an ensemble; files are read as data, never as code."""
    from alkit.standalone import schnetpack_io

    symbols = [symbol.strip() for symbol in elements.split(",")]
    members = schnetpack_io.import_models(
        checkpoints, out, unit=unit, level=level, energy=energy, elements=symbols, geometry=geometry
    )
    typer.echo(f"{out}: {members} member{'s' if members > 1 else ' (without a spread)'}.")


@data.command("import")
def data_import(
    name: Annotated[Literal["qm9"], typer.Argument(help="Which data set.")],
    source: Annotated[Path, typer.Option("--from", help="Its published file or folder.")],
    database: Annotated[Path, typer.Option("--to", help="ASE database to write.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many molecules.")] = None,
    uncharacterized: Annotated[
        Path | None, typer.Option(help="QM9's list of molecules that failed its consistency check.")
    ] = None,
) -> None:
    """Import QM9 (tar.bz2, .xyz, qm9.db, CSV or .npz) into an ASE database."""
    from alkit.datasets import import_qm9
    from alkit.files import made

    _, progress = _console()
    with made(database.parent), progress, progress.counter("importing") as count:
        campaign_report = import_qm9(
            source, database, limit=limit, uncharacterized=uncharacterized, on_progress=count
        )
    typer.echo(f"{database}: {campaign_report}")


@data.command("fetch")
def data_fetch(
    name: Annotated[Literal["qm9"], typer.Argument(help="Which data set.")],
    folder: Annotated[Path, typer.Option("--to", help="Folder for the published files.")] = Path("data"),
    url: Annotated[str | None, typer.Option(help="Take the molecules from this mirror.")] = None,
    md5: Annotated[str | None, typer.Option(help="Its checksum; the published one by default.")] = None,
) -> None:
    """Download QM9's published files, resuming what was cut off and checking their checksums."""
    from alkit.datasets import QM9_SOURCES, fetch

    _, progress = _console()
    folder.mkdir(parents=True, exist_ok=True)
    for key, source in QM9_SOURCES.items():
        if url is not None and key != "molecules":
            continue
        destination = folder / source.filename
        with progress, progress.counter(source.filename) as count:
            found = fetch(url or source.url, destination, md5=md5 or source.md5, on_progress=count)
        typer.echo(f"{found.path}: {found.size} bytes, md5 {found.md5}.")


def _loaded(path: Path, overrides: list[str] | None) -> Any:
    """A campaign file; what PyYAML lets through as another error than its own is named as well."""
    from alkit.config.loading import load_config
    from alkit.errors import AlkitError, ConfigError

    try:
        return load_config(path, overrides or [])
    except AlkitError:
        raise
    except (ValueError, RecursionError) as error:  # a 13th month, 5,000 digits, 1,000 brackets
        raise ConfigError(f"{path} holds a value that cannot be read ({error}); correct it.") from None


def _opened(folder: Path) -> Any:
    """The config and the ledger of a campaign's folder."""
    from alkit.campaign.campaign import open_campaign
    from alkit.errors import CampaignError

    try:
        return open_campaign(folder)
    except RecursionError:
        raise CampaignError(
            f"The ledger of {folder} holds a damaged config: nested beyond reading."
        ) from None


def _console() -> tuple[Any, Any]:
    """A console for results, and progress on standard error, so that output can be piped."""
    from rich.console import Console

    from alkit.reporting.progress import CampaignProgress

    # Tables keep their columns in a file or a pipe, where rich would assume 80.
    wide = None if sys.stdout.isatty() else 140
    # No markup: names, paths and reasons are shown as they are, brackets and all.
    errors = Console(stderr=True, highlight=False, markup=False)
    return Console(width=wide, highlight=False, markup=False), CampaignProgress(errors)


def _shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _sentence(error: Exception) -> str | None:
    """What to tell the user, if it is for the user to mend."""
    if hasattr(error, "exit_code"):
        return str(error)
    if isinstance(error, OSError) and error.errno in _STORAGE:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{os.strerror(error.errno).lower()}; {_AGAIN}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}."
    if isinstance(error, sqlite3.Error):
        return f"A database could not be read or written: {error}; {_AGAIN}"
    return None


def main(arguments: list[str] | None = None) -> None:
    """Errors that the user can mend: one sentence, exit code 2, no traceback."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        with interrupts.listening():
            app(args=arguments)
    except SystemExit as ending:
        if ending.code == _INTERRUPTED:  # Typer has turned a KeyboardInterrupt into this
            typer.echo("\nInterrupted; what was done is kept.", err=True)
        raise
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        typer.echo(f"alkit: {_one_line(sentence)}", err=True)
        sys.exit(2)


def _one_line(text: str) -> str:
    """A sentence that quotes a file may hold anything: breaks, a terminal's commands, a million letters."""
    line = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in " ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST * 3 // 4]} … {line[-_LONGEST // 4 :]}"


if __name__ == "__main__":
    main()
