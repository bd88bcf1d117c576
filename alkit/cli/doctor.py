"""`alkit doctor`."""

from typing import Annotated

import typer

from alkit.cli.console import open_console


def doctor(
    parts: Annotated[
        list[str] | None,
        typer.Argument(help="versions, devices, simulators, engines, baselines, extras, stores; or all."),
    ] = None,
    tracking: Annotated[
        str, typer.Option(help="MLflow store to look at, as tracking.uri of a campaign has it.")
    ] = "sqlite:///mlflow.db",
) -> None:
    """Look at what works here, and say how to repair what does not.

    Exit code 1 where something is broken; an optional package that is not installed is not broken.
    """
    from rich.table import Table

    from alkit.standalone.doctor import examine

    console, progress = open_console()
    found = []
    with progress, progress.counter("looking") as count:
        for finding in examine(parts or [], tracking):
            found.append(finding)
            count(len(found), None)
    table = Table(title="alkit doctor", title_justify="left")
    for heading in ("part", "name", "state", "found"):
        table.add_column(heading, overflow="fold")
    styles = {"works": "green", "not here": "dim", "broken": "bold red"}
    for one in found:
        table.add_row(one.part, one.name, one.state, one.said, style=styles[one.state])
    console.print(table)
    broken = [one for one in found if one.state == "broken"]
    for one in found:
        if one.fix and one.state != "works":
            verb = "repair" if one.state == "broken" else "add"
            console.print(f"To {verb} {one.name}: {one.fix}", soft_wrap=True)
    console.print(f"{len(broken)} broken." if broken else "Whatever is installed works.")
    if broken:
        raise typer.Exit(1)
