"""``alkit generate`` and ``alkit generator …``."""

from pathlib import Path
from typing import Annotated

import typer

generator = typer.Typer(help="Train and judge a generator of molecules.", no_args_is_help=True)
_Steps = Annotated[int, typer.Option(min=1, help="Likelihood updates; 20,000 molecules take about 1,900.")]
_Novelty = Annotated[int, typer.Option(min=0, help="Updates for novelty after them.")]
_Adversarial = Annotated[int, typer.Option(min=0, help="Updates against the critic after those.")]
_MaxAtoms = Annotated[int, typer.Option(min=2, max=64, help="Most heavy atoms.")]
_Elements = Annotated[str, typer.Option(help="Heavy elements, with commas.")]
_Seed = Annotated[int, typer.Option(min=0, help="Seed of every random draw.")]
_Novel = Annotated[
    Path | None, typer.Option(help="SMILES file of molecules that are not novel, besides those trained on.")
]


@generator.command("train")
def train(
    molecules: Annotated[Path, typer.Argument(help="SMILES file, one a line, or CSV with a smiles column.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("generator.pt"),
    steps: _Steps = 1900,
    novelty_steps: _Novelty = 400,
    adversarial_steps: _Adversarial = 0,
    max_atoms: _MaxAtoms = 9,
    elements: _Elements = "C,N,O,F",
    go_on: Annotated[bool, typer.Option("--go-on", help="Continue from the generator in --out.")] = False,
    seed: _Seed = 0,
    smiles_column: Annotated[str | None, typer.Option(help="Column of a table; 'smiles' by default.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between the columns of a table.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a molecule that cannot be learned.")
    ] = False,
) -> None:
    """Train a generator on SMILES."""
    from alkit.cli.console import open_console
    from alkit.datasets.tables import Columns
    from alkit.standalone.generator import train_generator

    history = train_generator(
        molecules,
        out,
        settings=_settings(max_atoms, elements),
        steps=steps,
        novelty_steps=novelty_steps,
        adversarial_steps=adversarial_steps,
        seed=seed,
        go_on=go_on,
        progress=open_console()[1],
        columns=Columns(smiles_column, None, delimiter),
        strict=strict,
    )
    typer.echo(
        f"{out}: {history.steps} updates in {history.seconds:.0f} s, {history.total_steps} in all.", err=True
    )


@generator.command("evaluate")
def evaluate(
    source: Annotated[Path, typer.Argument(help="generator.pt, campaign folder, or SMILES file of draws.")],
    training: Annotated[Path, typer.Option(help="SMILES file it was trained on.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many to draw.")] = 10_000,
    novel_against: _Novel = None,
    figure: Annotated[
        Path | None, typer.Option(help="PNG of sizes, rings, elements and bonds beside the training set's.")
    ] = None,
    seed: _Seed = 0,
) -> None:
    """Valid, unique, novel, synthetic accessibility, and the make-up beside the training set's."""
    from alkit.cli.console import open_console
    from alkit.reporting import generator_table
    from alkit.standalone.generator import evaluate_generator

    console, progress = open_console()
    report = evaluate_generator(
        source, training, n=n, novel_against=novel_against, figure=figure, seed=seed, progress=progress
    )
    console.print(generator_table.evaluation_table(report))


def generate(
    source: Annotated[
        Path, typer.Argument(help="Campaign folder, generator.pt, or SMILES file to train on.")
    ],
    n: Annotated[int, typer.Option("-n", min=1, help="How many to draw.")] = 100,
    unique: Annotated[bool, typer.Option("--unique", help="No molecule twice.")] = False,
    novel_against: _Novel = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", help="smi, sdf or xyz; by default what --out's name says, or smi."),
    ] = None,
    steps: _Steps = 1000,
    novelty_steps: _Novelty = 200,
    adversarial_steps: _Adversarial = 0,
    max_atoms: _MaxAtoms = 9,
    elements: _Elements = "C,N,O,F",
    seed: _Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Output file; standard output by default.")
    ] = None,
) -> None:
    """Draw molecules that a generator writes token by token, as SMILES, SDF or XYZ."""
    from alkit.cli.console import open_console
    from alkit.standalone.generator import generate_molecules

    suffix = f".{kind}" if kind else (out.suffix if out is not None else "") or ".smi"
    written, failed = generate_molecules(
        source,
        n,
        out,
        kind=suffix,
        unique=unique,
        novel_against=novel_against,
        settings=_settings(max_atoms, elements),
        steps=steps,
        novelty_steps=novelty_steps,
        adversarial_steps=adversarial_steps,
        seed=seed,
        progress=open_console()[1],
    )
    without = f", {failed} without a geometry left out" if failed else ""
    fewer = f" (of {n} asked for: no more were found)" if written + failed < n else ""
    typer.echo(f"{written} written{without}{fewer}.", err=True)


def _settings(max_atoms: int, elements: str) -> dict[str, object]:
    symbols = tuple(symbol.strip() for symbol in elements.split(","))
    return {"max_atoms": max_atoms, "elements": symbols}
