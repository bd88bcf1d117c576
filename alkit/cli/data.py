"""`alkit data …`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from alkit.cli.console import open_console
from alkit.cli.models import Delimiter, Length, NameColumn, SmilesColumn
from alkit.datasets.tables import Columns
from alkit.errors import DataError

data = typer.Typer(help="Import data sets and files of your own; download QM9.", no_args_is_help=True)
_QM9 = "qm9"

Property = Annotated[
    list[str] | None,
    typer.Option("--property", "-p", help="COLUMN=NAME: a number of the file, and what it is: E=u0."),
]
Units = Annotated[
    list[str] | None,
    typer.Option("--unit", help="eV, hartree, kcal/mol, kJ/mol, meV …; NAME=UNIT of one property."),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind", help="total, atomization (less the atoms'), extensive or intensive; or NAME=KIND."
    ),
]
Levels = Annotated[
    list[str] | None,
    typer.Option("--level", help='Level of theory, such as "PBE0/def2-TZVP"; or NAME=LEVEL.'),
]
Atoms = Annotated[
    str | None,
    typer.Option("--references", help="Atoms of total energies: QM9, GFN2-xTB, a JSON file, or fit."),
]


@data.command("import")
def data_import(
    files: Annotated[list[str], typer.Argument(help="Your files; or qm9, with --from.", metavar="FILE…")],
    database: Annotated[Path, typer.Option("--to", help="ASE database to write.")],
    source: Annotated[Path | None, typer.Option("--from", help="qm9: its published file or folder.")] = None,
    properties: Property = None,
    units: Units = None,
    kinds: Kinds = None,
    levels: Levels = None,
    references: Atoms = None,
    forces: Annotated[
        str | None, typer.Option(help="Column or array of the forces; found by itself in ASE files.")
    ] = None,
    gradients: Annotated[
        str | None, typer.Option(help="Column or array of gradients, in place of forces.")
    ] = None,
    forces_unit: Annotated[str | None, typer.Option(help="Such as hartree/bohr.")] = None,
    length: Length = "angstrom",
    smiles: Annotated[
        str | None, typer.Option(help="SMILES of every structure; perceived by default.")
    ] = None,
    smiles_column: SmilesColumn = None,
    name_column: NameColumn = None,
    delimiter: Delimiter = None,
    numbers: Annotated[str, typer.Option(help="Array of the atomic numbers; found by its name.")] = "",
    positions: Annotated[str, typer.Option(help="Array of the positions; found by its name.")] = "",
    groups: Annotated[
        str, typer.Option(help="HDF5: only groups like this, such as 'data/*/*/reactant'.")
    ] = "",
    conformers: Annotated[
        Literal["all", "lowest"],
        typer.Option(help="Which of a molecule's geometries: all, or the lowest one."),
    ] = "all",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used, and list them.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many rows.")] = None,
    uncharacterized: Annotated[
        Path | None, typer.Option(help="qm9: the list of molecules that failed its consistency check.")
    ] = None,
) -> None:
    """Import molecules with their numbers into an ASE database.

    Reads CSV, TSV, Parquet, SDF, extended XYZ, XYZ with a CSV, ASE databases, .npz, .mat and HDF5; or QM9
    (tar.bz2, .xyz, qm9.db, CSV or .npz).
    """
    from alkit.datasets.importing.options import ImportOptions

    if source is not None or files == [_QM9]:
        given = (properties, units, kinds, levels, references, forces, gradients, smiles)
        _import_qm9(files, source, database, limit, uncharacterized, any(given))
        return
    options = ImportOptions(
        properties=tuple(properties or ()),
        units=tuple(units or ()),
        kinds=tuple(kinds or ()),
        levels=tuple(levels or ()),
        references=references,
        forces=forces,
        gradients=gradients,
        forces_unit=forces_unit,
        length=length,
        smiles=smiles,
        columns=Columns(smiles_column, name_column, delimiter),
        positions=positions,
        numbers=numbers,
        groups=groups,
        conformers=conformers,
        skip_bad=skip_bad,
        limit=limit,
    )
    _import_files([Path(file) for file in files], database, options)


def _import_qm9(
    files: list[str],
    source: Path | None,
    database: Path,
    limit: int | None,
    uncharacterized: Path | None,
    others: bool,
) -> None:
    from alkit.datasets import import_qm9
    from alkit.files import made

    if files != [_QM9] or source is None:
        raise DataError(
            "QM9 is imported by `alkit data import qm9 --from FILE --to DATABASE`, files of your own by "
            "`alkit data import FILE… --to DATABASE`."
        )
    if others:
        raise DataError("QM9 says itself what its numbers are; leave out --property and what belongs to it.")
    _, progress = open_console()
    with made(database.parent), progress, progress.counter("importing") as count:
        report = import_qm9(source, database, limit=limit, uncharacterized=uncharacterized, on_progress=count)
    typer.echo(f"{database}: {report}")


def _import_files(files: list[Path], database: Path, options: Any) -> None:
    from alkit.datasets import import_files
    from alkit.datasets.create import FITTED
    from alkit.files import made
    from alkit.reporting.dataset_tables import properties_table

    console, progress = open_console()
    with made(database.parent), progress, progress.counters() as count:
        report = import_files(files, database, options, on_progress=count)
    console.print(f"{database}: {report}.")
    for reason, times in sorted(report.bad.items(), key=lambda one: -one[1])[:5]:
        typer.echo(f"left out, {times} times: {reason}", err=True)
    console.print(properties_table(report.properties))
    if report.forces:
        console.print("Forces are kept, in eV/Å.")
    elif report.without_forces:
        console.print(
            f"Forces are not kept: {report.without_forces} of the first rows have none. --forces forces "
            "--skip-bad keeps the rows that have them."
        )
    for name, one in report.properties.items():
        if one.references == FITTED:
            console.print(
                f"{name}: the isolated atoms are fitted to the data, as nobody gave theirs; energies less "
                "these atoms are atomization energies up to a sum over elements, and known as "
                f'"{one.level} (atoms fitted)".'
            )


@data.command("info")
def data_info(
    database: Annotated[Path, typer.Argument(help="Database of `alkit data import`.")],
) -> None:
    """Say what a database holds: molecules, elements, sizes, properties, levels, ranges, repetitions."""
    from alkit.datasets import Dataset
    from alkit.reporting.dataset_tables import info_tables

    console, _ = open_console()
    for part in info_tables(Dataset.open(database)):
        console.print(part)


@data.command("fetch")
def data_fetch(
    name: Annotated[Literal["qm9"], typer.Argument(help="Which data set.")],
    folder: Annotated[Path, typer.Option("--to", help="Folder for the published files.")] = Path("data"),
    url: Annotated[str | None, typer.Option(help="Take the molecules from this mirror.")] = None,
    md5: Annotated[
        str | None, typer.Option(help="Checksum of the file; the published one by default.")
    ] = None,
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
