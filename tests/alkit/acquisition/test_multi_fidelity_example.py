"""examples/multi_fidelity.py runs as a user's file does, and does what it says."""

from pathlib import Path

import numpy as np
import torch
from botorch.acquisition.cost_aware import InverseCostWeightedUtility
from botorch.models.deterministic import GenericDeterministicModel

from alkit.acquisition import Pool, RoundContext, resolve, select
from alkit.acquisition.base import needs
from alkit.plugins import load_code

NAME = f"{Path(__file__).parents[3] / 'examples' / 'multi_fidelity.py'}:MultiFidelity"


def choose(cost: np.ndarray) -> list[int]:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(60, 3)).astype(np.float32)
    dft = -70 + 3 * embeddings[:, 0].astype(np.float64)
    xtb_energy = dft + np.sin(embeddings[:, 1])
    samples = np.tile(dft[20:], (2, 1))
    pool = Pool(("C",) * 40, samples, np.ones(40), embeddings[20:], cost, xtb_energy=xtb_energy[20:])
    context = RoundContext(
        1, ("C",) * 20, dft[:20], embeddings[:20], np.random.default_rng(0), xtb_energy=xtb_energy[:20]
    )
    return select(resolve(NAME, {"candidates": 30, "labelled": 15}), NAME, pool, context, 5)


def test_it_is_chosen_by_its_path_and_repeatable() -> None:
    assert needs(resolve(NAME)) == {"xtb_energy"}
    before = torch.get_rng_state()
    first = choose(np.ones(40))
    assert choose(np.ones(40)) == first
    assert torch.equal(torch.get_rng_state(), before)


def test_costly_molecules_are_left_for_later() -> None:
    cost = np.where(np.arange(40) % 2 == 0, 1000.0, 1.0)
    assert all(i % 2 == 1 for i in choose(cost))


def test_each_pick_takes_the_most_variance_that_matrices_can_tell() -> None:
    greedy = load_code(NAME.replace(":MultiFidelity", ":greedy"))
    root = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 8)))
    covariance, noise = root @ root.T, 0.1
    utility = InverseCostWeightedUtility(
        GenericDeterministicModel(lambda X: torch.ones(8, 1, 1, dtype=torch.float64))
    )

    def left(rows: list[int]) -> float:
        inner = covariance[rows][:, rows] + noise * torch.eye(len(rows), dtype=torch.float64)
        return float((covariance - covariance[:, rows] @ torch.linalg.solve(inner, covariance[rows])).trace())

    expected: list[int] = []
    for _ in range(3):
        expected.append(min(set(range(8)) - set(expected), key=lambda i: left([*expected, i])))
    assert greedy(covariance, noise, utility, torch.zeros(8, 1, dtype=torch.float64), 3) == expected
