"""The generator without a campaign: train it, judge it, draw from it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from alkit import datasets
from alkit.datasets.tables import USUAL, Columns
from alkit.errors import CampaignError, DataError, LabelError
from alkit.files import made, output, refuse_existing
from alkit.models.store import newest
from alkit.molecules.conformers import embed
from alkit.molecules.molecule import with_hydrogens, without_stereo
from alkit.reporting.progress import CampaignProgress

if TYPE_CHECKING:
    from generator import GraphGAN, TrainingHistory

FORMATS = (".smi", ".sdf", ".xyz")
_FIGURES = (".png", ".pdf", ".svg")
_FILE = "generator.pt"


def train_generator(
    molecules: Path,
    out: Path,
    *,
    settings: dict[str, Any],
    steps: int,
    novelty_steps: int,
    adversarial_steps: int,
    seed: int,
    go_on: bool,
    progress: CampaignProgress,
    columns: Columns = USUAL,
    strict: bool = False,
) -> TrainingHistory:
    """Train a generator on a SMILES file and save it; with ``go_on``, from the one that ``out`` holds.

    Raises:
        DataError: ``out`` is there already, and was not to be continued.
        GeneratorError: molecules that cannot be learned.
    """
    from generator import GeneratorSettings, GraphGAN
    from generator.graphs import learnable

    if out.exists() and not go_on:
        raise DataError(f"{out} exists already; add --go-on to train it further, or give another --out.")
    smiles, problems = datasets.readable_smiles(molecules, columns, strict=strict)
    wanted = GeneratorSettings(**settings)
    gan = GraphGAN.load(out) if go_on else GraphGAN(wanted, seed=seed)
    if (gan.settings.max_atoms, gan.settings.elements) != (wanted.max_atoms, wanted.elements):
        raise DataError(
            f"{out} draws up to {gan.settings.max_atoms} atoms of {','.join(gan.settings.elements)}; go on "
            "with the same --max-atoms and --elements."
        )
    # What none of them can be learned from, and the first that cannot where all must, is fit()'s to say.
    learned = smiles if strict else learnable(smiles, gan.settings) or smiles
    if problems or len(learned) < len(smiles):
        progress.say(
            f"left out: {len(problems)} lines that are no SMILES, {len(smiles) - len(learned)} molecules "
            "that the generator cannot write (charges, other elements, too many atoms)",
            warning=True,
        )
    with made(out.parent):
        history = _fit(gan, learned, (steps, novelty_steps, adversarial_steps), seed, progress)
        gan.save(out)
    return history


def generate_molecules(
    source: Path,
    n: int,
    out: Path | None,
    *,
    kind: str,
    unique: bool,
    novel_against: Path | None,
    settings: dict[str, Any],
    steps: int,
    novelty_steps: int,
    adversarial_steps: int,
    seed: int,
    progress: CampaignProgress,
) -> tuple[int, int]:
    """Write ``n`` molecules as they are drawn, from a generator or one trained here on a SMILES file.

    Args:
        source: a campaign's folder, ``generator.pt``, or a SMILES file.
        n: molecules to draw.
        out: the file to write; standard output by default.
        kind: ``.smi``, or ``.sdf`` and ``.xyz``: with a geometry (`alkit.molecules.conformers.embed`), Å.
        unique: no molecule twice.
        novel_against: SMILES file of molecules to leave out, besides the training set.
        settings: fields of ``GeneratorSettings``, for training.
        steps: likelihood updates of the training.
        novelty_steps: updates for novelty after those of likelihood.
        adversarial_steps: updates against the critic.
        seed: of training and draws.
        progress: shows both.

    Returns:
        How many were written, and how many had no geometry.

    Raises:
        DataError: a kind that is none, or a source that holds no generator.
    """
    if kind not in FORMATS:
        raise DataError(f"{out or kind}: molecules are written as {', '.join(FORMATS)}; choose one of these.")
    from generator import GeneratorSettings, GraphGAN

    stored = newest(source, _FILE) if source.is_dir() else source
    if stored is None:
        raise CampaignError(f"{source} is not the folder of a campaign that has trained a generator.")
    known = {without_stereo(one) for one in datasets.read_smiles(novel_against)} if novel_against else set()
    smiles = [] if stored.suffix == ".pt" else datasets.read_smiles(stored)
    refuse_existing(out)
    # A file that cannot be written is reported before the training, not after it.
    with made(out.parent) if out is not None else nullcontext():
        if smiles:
            gan = GraphGAN(GeneratorSettings(**settings), seed=seed)
            _fit(gan, smiles, (steps, novelty_steps, adversarial_steps), seed, progress)
        else:
            gan = GraphGAN.load(stored)
        if novel_against:
            known |= gan.known
        drawn = gan.stream(n, seed=seed, unique=unique, novel_against=known)
        with _whole(out) as file, progress, progress.steps("drawing", n) as advance:
            return _write(drawn, file, kind, seed, advance)


@contextmanager
def _whole(out: Path | None) -> Iterator[IO[str]]:
    """A file that is there when it is complete, or standard output as it comes."""
    if out is None:
        with output(None) as file:
            yield file
        return
    partial = out.with_name(f"{out.name}.part")
    partial.unlink(missing_ok=True)
    with output(partial) as file:
        yield file
    os.replace(partial, out)


def _fit(
    gan: GraphGAN, smiles: list[str], updates: tuple[int, int, int], seed: int, progress: CampaignProgress
) -> TrainingHistory:
    steps, novelty_steps, adversarial_steps = updates
    with progress, progress.steps("training the generator", sum(updates)) as advance:
        history = gan.fit(
            smiles,
            steps=steps,
            novelty_steps=novelty_steps,
            adversarial_steps=adversarial_steps,
            seed=seed,
            on_progress=lambda done, total: advance(1),
        )
    if history.warning:
        progress.say(f"generator: {history.warning}", warning=True)
    return history


def _write(
    drawn: Iterable[str], file: IO[str], kind: str, seed: int, advance: Callable[[int], None]
) -> tuple[int, int]:
    written = failed = 0
    for smiles in drawn:
        try:
            file.write(_text(smiles, kind, seed))
            written += 1
        except LabelError:
            failed += 1
        advance(1)
    return written, failed


def _text(smiles: str, kind: str, seed: int) -> str:
    """A molecule in the file's format; raises LabelError where it has no geometry."""
    if kind == ".smi":
        return f"{smiles}\n"
    molecule = embed(smiles, seed=seed)
    if kind == ".xyz":
        from ase import Atoms
        from ase.io import write

        text = io.StringIO()
        write(text, Atoms(molecule.numbers, molecule.positions), format="xyz", comment=smiles)
        return text.getvalue()
    from rdkit import Chem

    block, conformer, text = (
        with_hydrogens(molecule.smiles),
        Chem.Conformer(len(molecule.numbers)),
        io.StringIO(),
    )
    conformer.SetPositions(molecule.positions)
    block.AddConformer(conformer)
    block.SetProp("_Name", smiles)
    with Chem.SDWriter(text) as writer:
        writer.write(block)
    return text.getvalue()


def evaluate_generator(
    source: Path,
    training: Path,
    *,
    n: int,
    novel_against: Path | None,
    figure: Path | None,
    seed: int,
    progress: CampaignProgress,
) -> dict[str, Any]:
    """`generator.metrics.summary` of ``n`` draws, or of a SMILES file's molecules, against a training file's.

    Raises:
        DataError: a file that holds no molecules.
        GeneratorError: no generator, or training molecules that cannot be read.
    """
    from generator import GraphGAN, metrics

    if figure is not None and figure.suffix not in _FIGURES:
        raise DataError(f"{figure}: figures are written as {', '.join(_FIGURES)}; choose one of these.")
    refuse_existing(figure, "--figure")
    reference = datasets.read_smiles(training)
    stored = newest(source, _FILE) if source.is_dir() else source
    if stored is None:
        raise CampaignError(f"{source} is not the folder of a campaign that has trained a generator.")
    if stored.suffix == ".pt":
        with progress, progress.steps("drawing", n) as advance:
            sampled = []
            for one in GraphGAN.load(stored).stream(n, seed=seed):
                sampled.append(one)
                advance(1)
    else:
        sampled = datasets.written_smiles(stored)  # what cannot be read counts as not valid
    known = {without_stereo(one) for one in datasets.read_smiles(novel_against)} if novel_against else None
    report = metrics.summary(sampled, reference, novel_against=known)
    if figure is not None:
        from alkit.reporting.plots import make_up

        make_up({"training set": reference, "drawn": sampled}, figure)
    return report
