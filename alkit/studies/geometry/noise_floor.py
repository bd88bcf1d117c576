"""How far apart the stereoisomers of a molecule are: what SMILES without stereo marks leave open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alkit.baselines.base import create_baseline
from alkit.errors import DataError, LabelError
from alkit.models.geometries import make_geometry
from alkit.models.graphs import GFN2
from alkit.molecules.conformers import CONFORMERS
from alkit.molecules.molecule import canonical, without_stereo

_MOST_ISOMERS = 8


@dataclass(frozen=True)
class NoiseFloor:
    """The spread of energies among stereoisomers that share a SMILES.

    Attributes:
        mae: eV, mean over the molecules of the mean absolute deviation of their isomers from their median.
            This error is left even when the median is predicted.
        molecules: how many were looked at.
        ambiguous: of which have more than one isomer with a geometry.
        failed: isomers without a geometry; strained cages mostly, which do not exist.
    """

    mae: float
    molecules: int
    ambiguous: int
    failed: int

    def __bool__(self) -> bool:
        return self.molecules > 0

    def __str__(self) -> str:
        return (
            f"{self.mae:.3f} eV (GFN2-xTB, {self.molecules} molecules, {self.ambiguous} of them with several "
            "stereoisomers)"
        )


def noise_floor(
    smiles: Sequence[str],
    *,
    seed: int = 0,
    conformers: int = CONFORMERS,
    on_molecule: Callable[[int], None] | None = None,
) -> NoiseFloor:
    """Relax every stereoisomer of each molecule with GFN2-xTB and see how far their energies are apart.

    All isomers count alike, although a data set may prefer the stable ones; and each is one conformer, the
    lowest of a few, whose own noise is part of the number. Enantiomers have one energy. A molecule whose
    isomers outnumber a limit is sampled. E/Z marks are dropped as well, which 2D mode with chemistry sees.

    Args:
        smiles: molecules, with or without stereo marks; the marks are dropped.
        seed: of the conformers.
        conformers: of which the lowest by MMFF94 is relaxed.
        on_molecule: called with 1 after each molecule.
    """
    deviations, ambiguous, failed = [], 0, 0
    for one in smiles:
        energies = []
        for isomer in stereoisomers(one, seed=seed):
            try:
                energies.append(_energy(isomer, seed, conformers))
            except (LabelError, DataError):
                failed += 1
        if energies:
            deviations.append(float(np.abs(np.array(energies) - np.median(energies)).mean()))
            ambiguous += len(energies) > 1
        if on_molecule:
            on_molecule(1)
    mae = float(np.mean(deviations)) if deviations else float("nan")
    return NoiseFloor(mae, len(deviations), ambiguous, failed)


def stereoisomers(smiles: str, *, seed: int = 0) -> list[str]:
    """Canonical SMILES of the distinct stereoisomers, mirror images taken once; of more than 8 a sample."""
    from rdkit import Chem
    from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions

    options = StereoEnumerationOptions(unique=True, maxIsomers=2 * _MOST_ISOMERS, rand=seed)
    one_of_each: dict[str, str] = {}
    for isomer in EnumerateStereoisomers(Chem.MolFromSmiles(without_stereo(smiles)), options=options):
        written = Chem.MolToSmiles(isomer)
        one_of_each.setdefault(min(written, _mirror(written)), written)
    isomers = sorted(one_of_each.values())
    chosen = np.random.default_rng(seed).permutation(len(isomers))[:_MOST_ISOMERS]
    return sorted(isomers[k] for k in chosen)


def _mirror(smiles: str) -> str:
    from rdkit import Chem

    swapped = smiles.replace("@@", "\0").replace("@", "@@").replace("\0", "@")
    return Chem.MolToSmiles(Chem.MolFromSmiles(swapped))


def _energy(smiles: str, seed: int, conformers: int) -> float:
    placed = make_geometry(canonical(smiles), geometry="xtb", seed=seed, conformers=conformers)
    return create_baseline(GFN2).read(placed).energy
