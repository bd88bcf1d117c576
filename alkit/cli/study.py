"""``alkit study …``: side-by-side studies with statistics."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

study = typer.Typer(help="Side-by-side studies with learning curves and statistics.", no_args_is_help=True)


@study.command("2d-vs-3d")
def two_against_three(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Database of `alkit data import`, with geometries.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the study; the same command goes on.")],
    arms: Annotated[
        str, typer.Option(help="Arms; the others are compared with the first: 3d, 3d-mmff, 2d-…")
    ] = "3d,2d-topological,2d-depiction",
    sizes: Annotated[str, typer.Option(help="Labels, validation included.")] = "100,200,500,1000,2000,4000",
    seeds: Annotated[int, typer.Option(help="Training sets.")] = 3,
    test: Annotated[int, typer.Option(help="Test molecules.")] = 2000,
    members: Annotated[int, typer.Option(help="Networks of a fit.")] = 2,
    features: Annotated[int, typer.Option(min=1, help="Width of the atom features.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs, at most.")] = 120,
    noise_floor: Annotated[
        int, typer.Option(min=0, help="Molecules whose stereoisomers show the floor of 2D; 0: none.")
    ] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random draw.")] = 0,
    original: Annotated[
        bool, typer.Option("--original", help="The original study's setting, to explain its figures.")
    ] = False,
) -> None:
    """Is SchNet better on geometries or on SMILES alone? Learning curves, intervals and a verdict."""
    from alkit.cli.console import open_console, shown
    from alkit.datasets import Dataset
    from alkit.simulators.bindings import require_binding
    from alkit.studies.geometry import report as study_report
    from alkit.studies.geometry import settings as study_settings
    from alkit.studies.geometry.running import run_study

    console, progress = open_console()
    if noise_floor:
        require_binding("--noise-floor")  # refused now, not after the fits
    if original:
        _check_fixed(context)
        Dataset.open(data).atomization()  # its second half needs them; refused now
        settings = replace(study_settings.original(str(data)), seed=seed, test=test)
    else:
        settings = study_settings.StudySettings(
            data=str(data),
            arms=_names(arms),
            sizes=tuple(_number(size) for size in _names(sizes)),
            seeds=seeds,
            test=test,
            members=members,
            seed=seed,
        )
        settings.model["features"], settings.training["epochs"] = features, epochs
    results = run_study(settings, out, progress)
    explanation = []
    if original:
        with_references = run_study(study_settings.referenced(settings), out / "with_references", progress)
        explanation = study_report.explanation(results, with_references)
    floor = _floor(results, noise_floor, progress) if noise_floor else None
    console.print(study_report.arms_table(results))
    floors = [f"Noise floor of SMILES without stereo marks: {floor}."] if floor else []
    for sentence in (*study_report.study_verdict(results), *floors, *explanation):
        console.print(sentence)
    page = study_report.write_report(results, out, floor=floor, explanation=explanation)
    console.print(f"Report: {shown(page)}", soft_wrap=True)


@study.command("acquisition")
def acquisition_functions(
    data: Annotated[Path, typer.Argument(help="Database of `alkit data import`, with geometries.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the study; the same command goes on.")],
    function: Annotated[
        list[str],
        typer.Option(
            "--function",
            "-f",
            help="To compare with random: lcmd, ./mine.py:score, '{name: lcmd, features: soap}', "
            "'{name: random, start: kmeans++}'; repeat.",
        ),
    ],
    scenario: Annotated[
        str, typer.Option(help="uniform, last-tested, small-first or without-group.")
    ] = "uniform",
    surrogate: Annotated[str, typer.Option(help="gp (quick), kernel or schnet.")] = "gp",
    baseline: Annotated[
        list[str] | None,
        typer.Option("--baseline", help="kernel, schnet: learn on top of gfn1, gfn2, aimnet2 …; repeat."),
    ] = None,
    baseline_inputs: Annotated[
        bool, typer.Option("--baseline-inputs", help="What the baselines say of atoms as inputs.")
    ] = False,
    start: Annotated[int, typer.Option(help="Labels at the start.")] = 100,
    batch: Annotated[int, typer.Option(help="Labels a round.")] = 100,
    labels: Annotated[int, typer.Option(help="Labels in all.")] = 1500,
    pool: Annotated[int, typer.Option(help="Molecules to choose from.")] = 9000,
    test: Annotated[int, typer.Option(help="Test molecules.")] = 2000,
    seeds: Annotated[int, typer.Option(help="Draws of test, pool and start.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first draw.")] = 1,
    small: Annotated[int, typer.Option(help="Most heavy atoms of a start molecule of small-first.")] = 7,
    group: Annotated[str, typer.Option(help="SMARTS of what the start of without-group lacks.")] = "C#N",
    members: Annotated[int, typer.Option(help="Networks of schnet.")] = 2,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of schnet, at most.")] = 120,
    target_mae: Annotated[
        float | None, typer.Option(help="eV: say with how many labels each has this MAE.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that compute baselines.")] = 2,
) -> None:
    """How many labels does an acquisition function save? Against random, from the same starts."""
    from alkit.cli.baseline import baselines_of
    from alkit.cli.console import open_console, shown
    from alkit.studies.acquisition import report
    from alkit.studies.acquisition.comparing import study_verdict
    from alkit.studies.acquisition.running import run_study
    from alkit.studies.acquisition.settings import Function, Settings

    console, progress = open_console()
    settings = Settings(
        data=str(data),
        functions=tuple(Function.parse(one) for one in function),
        scenario=scenario,
        surrogate=surrogate,
        start=start,
        batch=batch,
        labels=labels,
        pool=pool,
        test=test,
        seeds=seeds,
        seed=seed,
        small=small,
        group=group,
        members=members,
        baseline=tuple(baselines_of(baseline or [])),
        baseline_inputs=baseline_inputs,
        target_mae=target_mae,
        workers=workers,
    )
    settings.training["epochs"] = epochs
    results = run_study(settings, out, progress)
    console.print(report.savings_table(results))
    for sentence in study_verdict(results):
        console.print(sentence)
    console.print(f"Report: {shown(report.write_report(results, out))}", soft_wrap=True)


@study.command("campaign")
def campaigns(
    campaign: Annotated[Path, typer.Argument(help="Campaign file (YAML).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the study; the same command goes on.")],
    vary: Annotated[
        list[str],
        typer.Option("--vary", help="Values to compare: acquisition=bias,random. Again: every combination."),
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of all campaigns.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Campaigns of each kind.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first campaign.")] = 1,
    reference: Annotated[
        str | None, typer.Option(help="What the others are compared with; random selection by default.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Campaigns at once; the cores by default.")] = None,
) -> None:
    """Whole campaigns side by side, from the same starts: labels saved, with intervals."""
    import os

    from alkit.cli.console import open_console, shown
    from alkit.studies.campaigns import report
    from alkit.studies.campaigns.running import run_study
    from alkit.studies.campaigns.settings import Settings, arms, default_reference

    console, progress = open_console()
    found = arms(vary)
    settings = Settings(
        campaign, found, reference or default_reference(found), tuple(set_ or ()), seeds, seed
    )
    results = run_study(settings, out, progress, jobs=jobs or os.cpu_count() or 1)
    console.print(report.arms_table(results))
    for sentence in report.verdict(results):
        console.print(sentence)
    console.print(f"Report: {shown(report.write_report(results, out))}", soft_wrap=True)


def _check_fixed(context: typer.Context) -> None:
    """`--original` has settings of its own; one that is given and has no effect would mislead."""
    from alkit.errors import ConfigError

    fixed = ("arms", "sizes", "seeds", "members", "features", "epochs")
    overridden = [name for name in fixed if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if overridden:
        raise ConfigError(f"--original has its own {overridden[0]}; leave out --{overridden[0]}.")


def _floor(results: Any, n: int, progress: Any) -> Any:
    import numpy as np

    from alkit.studies.geometry.noise_floor import noise_floor

    chosen = np.random.default_rng(results.settings.seed).permutation(len(results.smiles))[:n]
    with progress, progress.steps("stereoisomers", len(chosen)) as advance:
        return noise_floor(
            [results.smiles[i] for i in chosen], seed=results.settings.seed, on_molecule=advance
        )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _number(text: str) -> int:
    from alkit.errors import ConfigError

    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"--sizes names {text!r}; whole numbers with commas are expected.") from None
