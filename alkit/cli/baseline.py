"""`alkit baseline list`, `check` and `add`."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from alkit.cli.console import open_console

baseline = typer.Typer(help="Cheap energies that a surrogate learns on top of.", no_args_is_help=True)


@baseline.command("list")
def show() -> None:
    """Show the baselines that there are, their tiers, and what is missing here."""
    from alkit.baselines.table import baselines_table

    console, _ = open_console()
    console.print(baselines_table())


@baseline.command()
def check(
    names: Annotated[
        list[str],
        typer.Argument(help="Names, or {kind: ase, calculator: 'module:Class'} as in a campaign file."),
    ],
) -> None:
    """Compute a known value with each baseline, and say what came out."""
    from alkit.baselines.base import create_baseline, specs_of

    console, _ = open_console()
    for spec in specs_of(baselines_of(names)):
        console.print(f"{spec.kind}: {create_baseline(spec).check()}", soft_wrap=True)


@baseline.command()
def add(
    data: Annotated[Path, typer.Argument(help="Data set that `alkit data import` wrote.")],
    names: Annotated[list[str], typer.Argument(help="Names, or mappings, as for `check`.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes that compute at once.")] = 2,
    timeout: Annotated[float, typer.Option(help="Seconds that a molecule may take.")] = 120.0,
) -> None:
    """Compute baselines of a data set ahead; campaigns and commands find them in the cache."""
    from alkit.standalone.baselines import add_baselines

    console, progress = open_console()
    good, reasons, cache = add_baselines(
        data, baselines_of(names), progress, workers=workers, timeout=timeout
    )
    without = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    console.print(
        f"{good} molecules of {data} have {', '.join(names)} in {cache}; without: {without or 'none'}",
        soft_wrap=True,
    )


def baselines_of(names: list[str]) -> list[dict[str, Any]]:
    """Baselines as a campaign file has them.

    Raises:
        ConfigError: a text that is neither a name nor a mapping.
    """
    from alkit.errors import ConfigError

    found = []
    for name in names:
        try:
            given = yaml.safe_load(name)
        except yaml.YAMLError:
            given = None
        if isinstance(given, str):
            given = {"kind": given}
        if not isinstance(given, dict) or not isinstance(given.get("kind"), str):
            raise ConfigError(
                f"baseline {name!r:.80} is neither a name nor {{kind: ase, calculator: 'module:Class'}}."
            )
        found.append(given)
    return found
