"""alkit.campaign.starting: a start that is chosen, and not drawn."""

import contextlib

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial.distance import cdist

from alkit.campaign.campaign import Campaign, open_campaign
from alkit.models.geometries import make_geometry
from alkit.molecules.soap import Soap


def _nearest(smiles: list[str]) -> np.ndarray:
    """Distance of each molecule to the nearest other one, on SOAP features of them all."""
    placed = [make_geometry(one, geometry="mmff") for one in smiles]
    atoms = [Atoms(one.numbers, one.positions) for one in placed]
    features = Soap.fit(atoms, np.random.default_rng(0)).features(atoms, lambda done: None)
    distances = cdist(features, features)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


@pytest.mark.campaign
def test_a_start_by_kmeans_is_spread_wider_than_a_random_one(tiny, tmp_path) -> None:
    starts = {}
    for choice in ("random", "kmeans++"):
        tiny |= {"folder": str(tmp_path / choice), "name": choice.replace("+", "p"), "stop": {"rounds": 1}}
        tiny["start"] = {"training": 14, "validation": 5, "test": 6, "choice": choice}
        Campaign(tiny).run()
        with contextlib.closing(open_campaign(tmp_path / choice)[1]) as ledger:
            starts[choice] = [c.smiles for c, _ in ledger.labelled("training", up_to_round=0)]
            tests = [c.smiles for c, _ in ledger.labelled("test")]
        assert len(starts[choice]) == len(set(starts[choice])) == 14
        assert not set(tests) & set(starts[choice])
    assert _nearest(starts["kmeans++"]).mean() > _nearest(starts["random"]).mean()
