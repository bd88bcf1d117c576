"""From logits to molecules: a decoder that cannot break a valence, and the chemistry that was seen in
training.

B molecules, N nodes, E elements, P = N (N - 1) / 2 node pairs in the order of `numpy.triu_indices(N, 1)`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from rdkit import Chem

from generator.errors import GeneratorError
from generator.graphs import motifs, to_molecule

_LARGEST_BATCH = 1024
_LARGEST_RATIO = 2.0


def draw(
    n: int,
    propose: Callable[[int], tuple[np.ndarray, np.ndarray]],
    elements: Sequence[str],
    known: Collection[str],
    keep: Callable[[Chem.Mol], bool],
) -> list[str]:
    """Canonical SMILES of `n` proposals that `keep` lets pass and in which every motif
    (`generator.graphs.motifs`) is a known one.

    Why a filter: bonds are drawn independently of each other given the noise, so a ring may close that no
    training molecule has (allenes in small rings, fused three-membered rings). Nothing about chemistry is
    written down here: what is known is what the training set contained. Of QM9 molecules that were held out,
    97 % pass after 2,000 training molecules and 77 % after 300.

    `propose(k)` returns k decoded graphs. After 20 n + 1,000 proposals the gap is filled with the proposals
    that have the fewest unknown motifs, with a RuntimeWarning: a sign of a generator that was hardly trained.
    """
    allowed = frozenset(known)
    accepted: list[str] = []
    spare: list[tuple[int, int, str]] = []
    tried, budget = 0, 20 * n + 1000
    while len(accepted) < n and tried < budget:
        rate = (len(accepted) + 1) / (tried + 2)
        count = int(np.clip(1.1 * (n - len(accepted)) / rate, 16, _LARGEST_BATCH))
        for nodes, bonds in zip(*propose(count), strict=True):
            tried += 1
            molecule = to_molecule(nodes, bonds, elements)
            # RDKit rewrites some hypervalent patterns (C=P=O) into ions
            if any(atom.GetFormalCharge() or atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()):
                continue
            unknown = len(motifs(molecule) - allowed)
            if unknown or not keep(molecule):
                spare.append((unknown, tried, Chem.MolToSmiles(molecule)))
            else:
                accepted.append(Chem.MolToSmiles(molecule))
    if len(accepted) < n:
        accepted += _fill(n, len(accepted), tried, spare)
    return accepted[:n]


def keep_chances(target: Mapping[str, float], drawn: Sequence[str]) -> dict[str, float]:
    """Chance to keep a draw by its outline (`generator.graphs.outline`), so that the kept ones match
    `target`.

    The filter on motifs passes simple molecules more often than intricate ones; this gives the training
    set's shares back, as discriminator rejection sampling does (arXiv:1810.06758) with the ratio of two
    histograms for a discriminator. Ratios are smoothed by one count and end at `_LARGEST_RATIO`: rare
    outlines cannot throttle sampling. `target` are shares that sum to 1, `drawn` the outlines of accepted
    draws. Outlines not listed have the chance "".
    """
    found = Counter(drawn)
    kinds = target.keys() | found.keys()
    total = len(drawn)
    ratios = {
        kind: min(_LARGEST_RATIO, (target.get(kind, 0.0) * total + 1.0) / (found[kind] + 1.0))
        for kind in kinds
    }
    ratios[""] = 1.0
    return {kind: ratio / _LARGEST_RATIO for kind, ratio in ratios.items()}


def _fill(n: int, found: int, tried: int, spare: list[tuple[int, int, str]]) -> list[str]:
    missing = n - found
    if len(spare) < missing:
        raise GeneratorError(
            f"Only {found + len(spare)} of {n} molecules could be drawn in {tried} attempts; "
            "train for more steps."
        )
    chosen = sorted(spare)[:missing]
    strange = sum(unknown > 0 for unknown, _, _ in chosen)
    if not strange:
        return [smiles for _, _, smiles in chosen]
    warnings.warn(
        f"Only {n - strange} of {n} molecules have the local chemistry of the training set "
        f"(after {tried} attempts); the others are the nearest that were drawn. Train for more steps.",
        RuntimeWarning,
        stacklevel=4,
    )
    return [smiles for _, _, smiles in chosen]


def decode(
    atom_scores: np.ndarray, bond_scores: np.ndarray, sizes: np.ndarray, valences: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Connected graphs within the valences, from scores (logits plus Gumbel noise).

    First a spanning tree grows along the best-scoring pairs whose atoms have a valence left; then the
    remaining wishes (the best class of each pair) are granted from the strongest to the weakest while
    valences last.

    Parameters
    ----------
    atom_scores
        `(B, N, E)`.
    bond_scores
        `(B, P, 4)` for no, single, double and triple bond.
    sizes
        `(B,)` heavy atoms, 1 to N.
    valences
        `(E,)` largest valence of each element; 0 keeps the element out.

    Returns
    -------
    nodes `(B, N)` and bonds `(B, N, N)` as in `generator.graphs`.
    """
    limits = np.asarray(valences)
    kinds = _choose_atoms(atom_scores, sizes, limits)
    present = np.arange(kinds.shape[1]) < sizes[:, None]
    free = np.where(present, limits[kinds], 0)
    wish = bond_scores.argmax(axis=2)
    strength = bond_scores[:, :, 1:].max(axis=2) - bond_scores[:, :, 0]
    bonds = np.zeros((len(kinds), kinds.shape[1], kinds.shape[1]), dtype=np.int8)
    _grow_tree(bonds, free, strength, present)
    _grant_wishes(bonds, free, wish, strength)
    return np.where(present, kinds + 1, 0).astype(np.int8), bonds


def _choose_atoms(scores: np.ndarray, sizes: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Best element per node `(B, N)`, changed where too many monovalent atoms would rule out a tree."""
    allowed = np.where(limits > 0, scores, -np.inf)
    kinds = allowed.argmax(axis=2)
    present = np.arange(kinds.shape[1]) < sizes[:, None]
    joining = np.where(limits > 1, allowed, -np.inf)
    better = joining.argmax(axis=2)
    while True:
        # a tree of n atoms has n - 1 bonds, each using one valence at both ends
        short = (limits[kinds] * present).sum(axis=1) < 2 * (sizes - 1)
        if not short.any() or not (limits > 1).any():
            return kinds
        loss = np.where(present & (limits[kinds] < 2), allowed.max(axis=2) - joining.max(axis=2), np.inf)
        rows = np.flatnonzero(short)
        worst = loss[rows].argmin(axis=1)
        kinds[rows, worst] = better[rows, worst]


def _grow_tree(bonds: np.ndarray, free: np.ndarray, strength: np.ndarray, present: np.ndarray) -> None:
    """Prim's algorithm under valences; changes `bonds` and `free` in place."""
    batch, n = free.shape
    rows, columns = np.triu_indices(n, 1)
    score = np.full((batch, n, n), -np.inf)
    score[:, rows, columns] = strength
    score[:, columns, rows] = strength
    every = np.arange(batch)
    root = free.argmax(axis=1)  # a root with one valence could be closed off at once
    inside = np.zeros_like(present)
    inside[every, root] = True
    waiting = present & ~inside
    for _ in range(n - 1):
        active = waiting.any(axis=1)
        if not active.any():
            return
        open_ends = (free * inside).sum(axis=1)
        # the last open end must not go to a monovalent atom while others wait behind it
        bridging = (waiting & (free > 1)).any(axis=1) & (open_ends < 2)
        target = waiting & ~(bridging[:, None] & (free < 2))
        usable = (inside & (free > 0))[:, :, None] & target[:, None, :]
        best = np.where(usable, score, -np.inf).reshape(batch, -1).argmax(axis=1)
        picked, i, j = every[active], best[active] // n, best[active] % n
        bonds[picked, i, j] = bonds[picked, j, i] = 1
        free[picked, i] -= 1
        free[picked, j] -= 1
        inside[picked, j] = True
        waiting[picked, j] = False


def _grant_wishes(bonds: np.ndarray, free: np.ndarray, wish: np.ndarray, strength: np.ndarray) -> None:
    """Add bonds and raise orders as far as the valences allow; changes `bonds` and `free` in place."""
    batch, n = free.shape
    rows, columns = np.triu_indices(n, 1)
    every = np.arange(batch)
    ranked = np.where(wish > 0, strength, -np.inf)
    order = np.argsort(-ranked, axis=1, kind="stable")
    for rank in range(int((wish > 0).sum(axis=1).max(initial=0))):
        pair = order[:, rank]
        i, j = rows[pair], columns[pair]
        lacking = np.maximum(wish[every, pair] - bonds[every, i, j], 0)
        added = np.minimum(lacking, np.minimum(free[every, i], free[every, j])).astype(np.int8)
        bonds[every, i, j] += added
        bonds[every, j, i] = bonds[every, i, j]
        free[every, i] -= added
        free[every, j] -= added
