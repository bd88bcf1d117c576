"""Pretraining in `alkit train`: molecules of the labelled file or of another, and their cheap energies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from alkit.baselines.cache import BaselineCache, beside
from alkit.baselines.computing import CallAll, read_all
from alkit.datasets import read_smiles
from alkit.errors import DataError
from alkit.models.pretraining import FEWEST, Pretraining
from alkit.molecules.molecule import Molecule, without_stereo
from alkit.storage.label_cache import default_path

if TYPE_CHECKING:
    from alkit.reporting.progress import CampaignProgress
    from alkit.standalone.labelled import Labelled
    from surrogate import Graph

_TOGETHER = 256  # molecules that are placed and read in one go


def cheap_set(
    source: Labelled,
    what: Pretraining,
    file: Path | None,
    judging: Sequence[int],
    *,
    seed: int,
    call_all: CallAll,
    progress: CampaignProgress,
) -> tuple[list[Graph], NDArray[np.float64]]:
    """Graphs of random molecules, and ``(n,)`` cheap energies in eV in the place of labels.

    Args:
        source: the labelled molecules; elements beyond theirs are left out.
        what: the cheap level, or a difference of two.
        file: SMILES file that the molecules are drawn from; None: the labelled file, whose labels are not
            read for it.
        judging: molecules of ``source`` that test, validate or calibrate: they are left out, with their
            stereoisomers.
        seed: of the draws.
        call_all: how workers are called.
        progress: shows the work.

    Raises:
        DataError: too few molecules that have the level.
    """
    held_out = {without_stereo(source.smiles[i]) for i in judging}
    given = list(dict.fromkeys(read_smiles(file))) if file else list(range(len(source.smiles)))
    order = np.random.default_rng([seed, len(given)]).permutation(len(given))
    molecules = _usable((source.molecule(given[k]) for k in order), held_out)
    graphs, readings, elements = list["Graph"](), [], set(source.elements)
    with (
        progress,
        progress.steps(f"cheap energies, {what.name}", min(what.molecules, len(given))) as advance,
        closing(BaselineCache(beside(default_path()))) as cache,
    ):
        # The next molecule takes the place of one that has no geometry or energy.
        while drawn := list(islice(molecules, min(what.molecules - len(graphs), _TOGETHER))):
            placed = dict(call_all(source.builder.placing, [one for one in drawn if isinstance(one, str)]))
            found = [placed[one] if isinstance(one, str) else one for one in drawn]
            there = [one for one in found if isinstance(one, Molecule) and _elements(one) <= elements]
            rows = zip(
                source.builder.graphs(there, call_all=call_all, cache=cache),
                read_all(what.needed, there, call_all=call_all, cache=cache),
                strict=True,
            )
            for graph, row in rows:
                if not isinstance(graph, Exception) and isinstance(row, tuple):
                    graphs.append(graph)
                    readings.append(row)
            advance(len(drawn))
    if len(graphs) < FEWEST:
        where = str(file) if file else "the labelled file, beside those that test or calibrate"
        if file and source.geometry == "dataset" and source.dataset:
            where += f" and geometries in {source.dataset.path.name}"
        raise DataError(
            f"pretraining finds {len(graphs)} molecules of {where} that have {what.name}; {FEWEST} are the "
            "least: give more, as {level: …, file: more.smi}."
        )
    return graphs, what.targets(graphs, readings)


def _usable(molecules: Iterator[str | Molecule | DataError], held_out: set[str]) -> Iterator[str | Molecule]:
    """Each molecule once, without those that are held out."""
    seen = set(held_out)
    for one in molecules:
        if isinstance(one, DataError):
            continue
        smiles = one if isinstance(one, str) else one.smiles
        if without_stereo(smiles) not in held_out and smiles not in seen:
            seen.add(smiles)
            yield one


def _elements(molecule: Molecule) -> set[str]:
    return {chemical_symbols[z] for z in molecule.numbers}
