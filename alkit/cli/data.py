"""`alkit data …`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alkit.cli.console import open_console

data = typer.Typer(help="Import and download data sets.", no_args_is_help=True)


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

    _, progress = open_console()
    with made(database.parent), progress, progress.counter("importing") as count:
        report = import_qm9(source, database, limit=limit, uncharacterized=uncharacterized, on_progress=count)
    typer.echo(f"{database}: {report}")


@data.command("fetch")
def data_fetch(
    name: Annotated[Literal["qm9"], typer.Argument(help="Which data set.")],
    folder: Annotated[Path, typer.Option("--to", help="Folder for the published files.")] = Path("data"),
    url: Annotated[str | None, typer.Option(help="Take the molecules from this mirror.")] = None,
    md5: Annotated[str | None, typer.Option(help="Its checksum; the published one by default.")] = None,
) -> None:
    """Download QM9's published files, resuming what was cut off and checking their checksums."""
    from alkit.datasets import QM9_SOURCES, fetch

    _, progress = open_console()
    folder.mkdir(parents=True, exist_ok=True)
    for key, source in QM9_SOURCES.items():
        if url is not None and key != "molecules":
            continue
        destination = folder / source.filename
        with progress, progress.counter(source.filename) as count:
            download = fetch(url or source.url, destination, md5=md5 or source.md5, on_progress=count)
        typer.echo(f"{download.path}: {download.size} bytes, md5 {download.md5}.")
