"""`alkit campaign …`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from alkit.cli.console import open_console, shown
from alkit.config.words import Energy, ProposerKind

campaign = typer.Typer(help="Run and inspect active-learning campaigns.", no_args_is_help=True)
ConfigFile = Annotated[Path, typer.Argument(help="Campaign file (YAML).")]
Folder = Annotated[Path, typer.Argument(help="Campaign folder, such as runs/quickstart.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key, such as stop.rounds=2.")
]


@campaign.command("run")
def campaign_run(
    config: ConfigFile,
    set_: Overrides = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only how it ends.")] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Events as JSON lines on standard output; nothing else.")
    ] = False,
    log: Annotated[Path | None, typer.Option("--log-file", help="Append timed lines to this file.")] = None,
) -> None:
    """Run a campaign, or continue one that was interrupted.

    One that has ended continues with other stop rules.
    """
    from alkit.campaign.campaign import Campaign
    from alkit.reporting.logs import log_file

    out, progress = open_console(quiet=quiet, json=json_)
    with log_file(log):
        started = Campaign(read_config(config, set_), progress=progress)
        if not started.folder.exists():
            started.check()  # so that a campaign that cannot begin leaves no folder
        _print_result(out, started.config, started.run())


def _print_result(out: Any, config: Any, result: Any) -> None:
    """How a run of a campaign ended."""
    from alkit.reporting import terminal_tables, verdicts
    from alkit.reporting.terminal import learning_curve

    if result.waiting:
        out.print(_what_to_do(result.folder, result.waiting), soft_wrap=True)
        return
    ending = "was finished already" if result.already_finished else "finished"
    title, quantity = f"{result.folder.name} {ending}: {result.stopped_by}", result.quantity
    out.print(terminal_tables.rounds_table(result.metrics, title, quantity))
    if result.metrics:
        on = verdicts.tier_of_campaign(config)
        out.print(learning_curve(result.metrics, quantity))
        out.print(verdicts.campaign_verdict(result.metrics, on, quantity))
        _print_more(out, config, result.metrics, result.folder, quantity)
    if result.already_finished:
        out.print("To go on with it, change its stop rules, such as with --set stop.rounds=N.")
    out.print(f"Report: {shown(result.folder / 'report.html')}", soft_wrap=True)
    _print_mlflow(out, open_folder(result.folder)[1])


@campaign.command("status")
def campaign_status(folder: Folder) -> None:
    """Show how far a campaign is and what became of its candidates."""
    from alkit.campaign.asking import labels_to_come
    from alkit.reporting import terminal_tables
    from alkit.simulators.manual import MANUAL

    out, _ = open_console()
    config, ledger = open_folder(folder)
    waiting = labels_to_come(folder) if config.simulator.kind == MANUAL else 0
    out.print(terminal_tables.status(ledger, config), soft_wrap=True)
    if waiting:
        out.print(_what_to_do(folder, waiting), soft_wrap=True)
    if metrics := ledger.metrics():
        quantity = ledger.quantity
        out.print(terminal_tables.rounds_table(metrics, "Rounds so far", quantity))
        _print_more(out, config, metrics, folder, quantity)
    out.print(terminal_tables.fates_table(ledger))
    _print_mlflow(out, ledger)


@campaign.command("ledger")
def campaign_ledger(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Candidates as .csv or .parquet; labels as .db or .extxyz."),
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only these, such as failed.")] = None,
    last: Annotated[int, typer.Option(min=1, help="Show this many rows.")] = 20,
) -> None:
    """Show or export what happened to every candidate and every label."""
    from alkit.reporting import terminal_tables
    from alkit.storage import ledger_export

    console, _ = open_console()
    config, ledger = open_folder(folder)
    if out is not None:
        count = ledger_export.export(ledger, out, name=config.name)
        what = "candidates" if out.suffix.lower() in ledger_export.TABLES else "labels"
        console.print(f"{shown(out.resolve())}: {count} {what}.", soft_wrap=True)
        return
    console.print(terminal_tables.fates_table(ledger))
    console.print(terminal_tables.histories_table(ledger_export.rows(ledger, status=status), last))


@campaign.command("ask")
def campaign_ask(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A table (.csv), SMILES (.smi), or geometries (.xyz, .sdf)."),
    ] = None,
) -> None:
    """Write the molecules that a campaign with `simulator: manual` waits for."""
    from alkit.campaign import asking
    from alkit.reporting import under_way

    batch = asking.ask(folder)
    if out is None:
        console, _ = open_console()
        console.print(
            under_way.asked_table(batch.column, [one._asdict() for one in batch.wanted], batch.quantity.unit)
        )
        return
    asking.write_batch(batch, out)
    typer.echo(
        f"{shown(out.resolve())}: {len(batch.wanted)} molecules; labels go into the column {batch.column}."
    )


@campaign.command("tell")
def campaign_tell(
    folder: Folder,
    labels: Annotated[Path, typer.Argument(help="Labels: .csv, .tsv, .sdf, .xyz or .extxyz.")],
    column: Annotated[str | None, typer.Option(help="Column or property that holds the labels.")] = None,
    level: Annotated[str | None, typer.Option(help="Level of theory; it must be the campaign's.")] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of the labels, where not the campaign's.")] = None,
    kind: Annotated[Energy | None, typer.Option(help="atomization or total energies.")] = None,
    references: Annotated[
        str | None,
        typer.Option(help="Energies of isolated atoms, for total ones: JSON, or a table's name."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Correct labels of the open round.")] = False,
    rest_failed: Annotated[
        bool, typer.Option("--rest-failed", help="Count molecules that then have no label as failed.")
    ] = False,
) -> None:
    """Take labels that were computed elsewhere; each row is kept, or refused with the reason."""
    from alkit.campaign.label_files import read_label_rows
    from alkit.campaign.telling import tell

    answer = tell(
        folder,
        read_label_rows(labels),
        what=str(labels),
        column=column,
        level=level,
        unit=unit,
        kind=kind,
        references=references,
        replace=replace,
        rest_failed=rest_failed,
    )
    for where, why in answer.refused:
        typer.echo(f"refused: {where}: {why}.", err=True)
    if answer.hint:
        typer.echo(answer.hint.strip(), err=True)
    typer.echo(str(answer))
    if not answer.to_come:
        typer.echo("`alkit campaign run` goes on.")


@campaign.command("fork")
def campaign_fork(
    folder: Folder,
    new: Annotated[Path, typer.Argument(help="Folder of the new campaign.")],
    round_: Annotated[
        int | None, typer.Option("--round", min=0, help="Round to begin from; the last one by default.")
    ] = None,
) -> None:
    """Start another campaign from a round of one that exists: its labels, models and settings up to there."""
    from alkit.campaign.forking import fork

    started = fork(folder, new, round_)
    typer.echo(
        f"{shown(new)} begins after round {started} of {shown(folder)}; "
        f"`alkit campaign run {shown(new / 'campaign.yaml')}` goes on with it."
    )


@campaign.command("report")
def campaign_report(folder: Folder) -> None:
    """Write the campaign's report.html again."""
    from alkit.reporting import campaign_report

    config, ledger = open_folder(folder)
    typer.echo(shown(campaign_report.write_report(ledger, config, folder)))


@campaign.command("compare")
def campaign_compare(
    folders: Annotated[list[Path], typer.Argument(help="Campaign folders; the first is the reference.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write an HTML page with curves.")] = None,
) -> None:
    """Compare campaigns that exist: errors, labels saved, and a verdict in words."""
    from alkit.files import refuse_existing
    from alkit.studies import side_by_side

    console, _ = open_console()
    refuse_existing(out, "--out")
    sides = side_by_side.read_sides(folders)
    console.print(side_by_side.comparison_table(sides))
    for sentence in side_by_side.verdict(sides):
        console.print(sentence, soft_wrap=True)
    if out is not None:
        side_by_side.write_page(sides, out)
        console.print(f"Page: {shown(out.resolve())}", soft_wrap=True)


@campaign.command("validate")
def campaign_validate(
    config: ConfigFile,
    set_: Overrides = None,
    try_: Annotated[bool, typer.Option("--try", help="Label three molecules too; nothing is kept.")] = False,
) -> None:
    """Check a campaign file and everything it names, without running it."""
    from alkit.campaign.campaign import Campaign
    from alkit.errors import LabelError

    _, progress = open_console()
    checked = Campaign(read_config(config, set_), progress=progress)
    if try_:
        for smiles, outcome in checked.try_labels():
            said = outcome if isinstance(outcome, LabelError) else _said(outcome)
            typer.echo(f"{smiles}: {said}")
    else:
        checked.check()
    typer.echo(f"{config} is a valid campaign.")


@campaign.command("template")
def campaign_template(
    proposer: Annotated[ProposerKind, typer.Option(help="Kind of proposer.")] = "generator",
    recipe: Annotated[
        str | None, typer.Option(help="Print a recipe that alkit ships in its place, such as quickstart.")
    ] = None,
) -> None:
    """Print a campaign file with every key, its default and what it means; or a recipe."""
    from alkit.config import template

    typer.echo(template.recipe(recipe) if recipe else template.template(proposer), nl=False)


@campaign.command("schema")
def campaign_schema() -> None:
    """Print the JSON Schema of campaign files, for editors."""
    from alkit.config.schema import CampaignConfig

    typer.echo(json.dumps(CampaignConfig.model_json_schema(), indent=2))


def _print_mlflow(out: Any, ledger: Any) -> None:
    """How a person sees the campaign in MLflow; nothing where it is not tracked."""
    from alkit.campaign.tracked_runs import campaign_shown_at

    server, run = campaign_shown_at(ledger)
    if run:
        out.print(f"MLflow: {f'`{server}`, then ' if server else ''}{run}", soft_wrap=True)


def _what_to_do(folder: Path, waiting: int) -> str:
    return (
        f"{folder.name} waits for {waiting} labels. `alkit campaign ask {shown(folder)} --out batch.csv` "
        f"writes the molecules (.smi, .xyz and .sdf too); `alkit campaign tell {shown(folder)} labels.csv` "
        "takes the labels. Then the same `alkit campaign run` continues."
    )


def _said(label: Any) -> str:
    return f"{label.value:.3f} {label.level.unit}, {label.level}"


def _print_more(out: Any, config: Any, metrics: Any, folder: Path, quantity: Any) -> None:
    """Print the rest about a campaign: its twin, how far it has to go, what goes wrong."""
    from alkit.reporting import verdicts
    from alkit.reporting.levers import missing_lever

    twin = verdicts.twin_verdict(metrics, verdicts.twin_metrics(folder), quantity.unit)
    guard = verdicts.guard_verdict(metrics)
    forecast = verdicts.forecast_of(config, metrics, quantity)
    lever = missing_lever(config, metrics)
    for said in (twin, forecast, lever, guard and f"Guard: {guard}."):
        if said:
            out.print(said)


def read_config(path: Path, overrides: list[str] | None) -> Any:
    """A campaign file; what PyYAML lets through as another error than its own is named as well."""
    from alkit.config.loading import load_config
    from alkit.errors import AlkitError, ConfigError

    try:
        return load_config(path, overrides or [])
    except AlkitError:
        raise
    except (ValueError, RecursionError) as error:  # a 13th month, 5,000 digits, 1,000 brackets
        raise ConfigError(f"{path} holds a value that cannot be read ({error}); correct it.") from None


def open_folder(folder: Path) -> Any:
    """The config and the ledger of a campaign's folder."""
    from alkit.campaign.campaign import open_campaign
    from alkit.errors import CampaignError

    try:
        return open_campaign(folder)
    except RecursionError:
        raise CampaignError(
            f"The ledger of {folder} holds a damaged config: nested beyond reading."
        ) from None
