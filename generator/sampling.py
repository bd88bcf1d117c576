"""Molecules drawn from a trained network."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
import torch
from rdkit import Chem, rdBase

from generator.graphs import to_molecule
from generator.language import NOTHING, Language, Writer
from generator.networks import TokenGenerator
from generator.rings import ring_patterns

_BATCH = 1024
# A generator asked for molecules that it has never drawn may have few left: it gives up after so many draws
# for each one asked for.
_DRAWS_PER_MOLECULE = 50


@torch.no_grad()
def draw_tokens(
    network: TokenGenerator, language: Language, count: int, random: torch.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` molecules: tokens `(B, L)`, nodes `(B, N)` and bonds `(B, N, N)`."""
    writer = Writer(language, count)
    written: list[np.ndarray] = []
    before, state = torch.full((count, 1), network.start), None
    running = np.ones(count, dtype=bool)
    while not writer.done:
        logits, state = network(
            before, torch.from_numpy(writer.allowed)[:, None], torch.from_numpy(writer.seen)[:, None], state
        )
        # The largest of p / (exponential noise) is a draw from p.
        noise = torch.empty(logits[:, 0].shape).exponential_(generator=random)
        drawn = (logits[:, 0].softmax(dim=-1) / noise).argmax(dim=-1)
        before = drawn[:, None]
        tokens = drawn.numpy().copy()
        writer.add(tokens)
        written.append(np.where(running, tokens, NOTHING))
        running &= tokens != 0
    return np.stack(written, axis=1), *writer.graphs()


def read_back(
    nodes: np.ndarray, bonds: np.ndarray, elements: Sequence[str], familiar: frozenset[str]
) -> list[tuple[str, bool]]:
    """Canonical SMILES of B graphs, and whether each is strange.

    The SMILES is "" where RDKit does not take the graph for a neutral molecule. A molecule is strange if it
    has a ring pattern that is not familiar.
    """
    readings = []
    with rdBase.BlockLogs():
        for one, its_bonds in zip(nodes, bonds, strict=True):
            try:
                molecule = to_molecule(one, its_bonds, elements)
            except Chem.MolSanitizeException:
                readings.append(("", True))
                continue
            text = Chem.MolToSmiles(molecule)
            # RDKit rewrites some hypervalent patterns (C=P=O) into ions.
            if "+" in text or "-]" in text:
                readings.append(("", True))
            else:
                readings.append((text, not ring_patterns(molecule) <= familiar))
    return readings


def draw_mixed(
    networks: tuple[TokenGenerator, TokenGenerator],
    share: float,
    language: Language,
    count: int,
    random: torch.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and bonds of `count` molecules, about `share` of them from the second network."""
    second = (torch.rand(count, generator=random) < share).numpy()
    nodes = np.zeros((count, language.max_atoms), dtype=np.int8)
    bonds = np.zeros((count, language.max_atoms, language.max_atoms), dtype=np.int8)
    for network, rows in zip(networks, (~second, second), strict=True):
        if rows.any():
            _, nodes[rows], bonds[rows] = draw_tokens(network, language, int(rows.sum()), random)
    return nodes, bonds


def stream(
    draw: Callable[[int], tuple[np.ndarray, np.ndarray]],
    elements: Sequence[str],
    familiar: frozenset[str],
    n: int,
    *,
    unique: bool = False,
    known: Collection[str] = (),
) -> Iterator[str]:
    """Up to `n` canonical SMILES of molecules that are not strange, of the k graphs that `draw(k)` gives.

    With `unique` each one comes once, and never one of the `known` ones.
    """
    seen, kept, drawn = set(known), 0, 0
    while kept < n and drawn < _DRAWS_PER_MOLECULE * n + _BATCH:
        count = min(_BATCH, max(math.ceil(1.2 * (n - kept)), 16))
        drawn += count
        nodes, bonds = draw(count)
        for text, strange in read_back(nodes, bonds, elements, familiar):
            if strange or text in seen or kept == n:
                continue
            if unique:
                seen.add(text)
            kept += 1
            yield text
