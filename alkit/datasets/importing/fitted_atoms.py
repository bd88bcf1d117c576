"""Energies of isolated atoms estimated from total energies, where nobody has computed them.

A surrogate learns the same from energies that differ by a sum over elements. So atoms that are only estimated
cost no accuracy; but energies counted from them are atomization energies in name alone, and are called so.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from alkit.molecules.energies import TOTALS, typical_atomization

_MOST = 20_000  # molecules in the fit
_RARE = 50  # molecules of each element that are in it at least
_ROUNDS = 30
_USUAL = 3.0  # deviations beyond which a molecule counts less
_FLOOR = 0.5  # eV; no molecules are that much alike


class AtomFit:
    """A sample of molecules, drawn as they pass, and the atoms that fit it.

    Args:
        electrons: whose total energies they are, see `alkit.molecules.energies.electrons_of`.
        seed: of the sample.
    """

    def __init__(self, electrons: str, seed: int = 0):
        self._start = TOTALS.get(electrons, {})
        self._rng, self._passed = np.random.default_rng(seed), 0
        self._sample: list[tuple[Counter[int], float]] = []
        self._rare: list[tuple[Counter[int], float]] = []
        self._of_element: Counter[int] = Counter()

    def add(self, numbers: NDArray[np.int64], energy: float) -> None:
        """One molecule's atomic numbers and total energy, eV."""
        atoms = Counter(numbers.tolist())
        one = (atoms, energy - typical_atomization(numbers))
        self._passed += 1
        if any(self._of_element[z] < _RARE for z in atoms):
            self._rare.append(one)
            self._of_element.update(atoms.keys())
        elif len(self._sample) < _MOST:
            self._sample.append(one)
        elif (place := int(self._rng.integers(self._passed))) < _MOST:
            self._sample[place] = one

    def atoms(self) -> dict[int, float]:
        """Energies of atoms (eV) by atomic number, by least squares in which outliers count little.

        Outliers have Huber's weights.

        Where molecules do not say what each element's share is, as those of a single composition, the rest is
        shared out evenly.
        """
        rows = self._rare + self._sample
        elements = sorted({z for atoms, _ in rows for z in atoms})
        counts = np.array([[atoms[z] for z in elements] for atoms, _ in rows], dtype=np.float64)
        start = np.array([self._start.get(z, 0.0) for z in elements])
        rest = np.array([energy for _, energy in rows]) - counts @ start
        weights = np.ones(len(rows))
        for _ in range(_ROUNDS):
            root = np.sqrt(weights)
            shift = np.linalg.lstsq(counts * root[:, None], rest * root, rcond=1e-10)[0]
            off = np.abs(rest - counts @ shift)
            usual = max(_FLOOR, _USUAL * 1.4826 * float(np.median(off)))
            weights = np.minimum(1.0, usual / np.maximum(off, 1e-12))
        return dict(zip(elements, (start + shift).tolist(), strict=True))
