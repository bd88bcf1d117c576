"""What networks learn first: a level, or a difference, in the place of labels."""

from dataclasses import replace

import numpy as np
import pytest

from alkit.baselines.base import level_of, specs_of
from alkit.baselines.computing import read_all
from alkit.config.baseline import PretrainingConfig
from alkit.errors import ConfigError, DataError
from alkit.models.graphs import GraphBuilder
from alkit.models.pretraining import Pretraining, pretrain
from alkit.models.store import Provenance
from alkit.models.tiers import tier, tier_of_model
from surrogate import ModelSettings, SurrogateError, TrainingSettings, fit_surrogate
from surrogate.fitting import folds_for

SMILES = ["C", "CC", "CCC", "CCO", "CO", "CN", "CCN", "C=C", "C#C", "C=O", "CC=O", "OCC=O"]
GFN1, GFN2 = (specs_of([{"kind": kind}]) for kind in ("gfn1", "gfn2"))
SETTINGS = ModelSettings(features=8, interactions=1, gaussians=8, elements=("H", "C", "N", "O"))


def of(**section) -> Pretraining:
    return Pretraining.of(PretrainingConfig.model_validate(section))


@pytest.fixture(scope="module")
def molecules():
    builder = GraphBuilder(SETTINGS, "etkdg", conformers=1)
    return [builder.placing(smiles) for smiles in SMILES]


@pytest.fixture(scope="module")
def energies(molecules) -> dict[str, np.ndarray]:
    rows = read_all(GFN1 + GFN2, molecules)
    return {kind: np.array([row[k].energy for row in rows]) for k, kind in enumerate(("gfn1", "gfn2"))}


def learned(molecules, what: Pretraining, baselines=()) -> np.ndarray:
    """What is left to the network: the targets less what it learns on top of."""
    settings = replace(SETTINGS, baseline=level_of(baselines))
    graphs = GraphBuilder(settings, "etkdg", baselines=baselines).graphs(molecules)
    return what.targets(graphs, read_all(what.needed, molecules)) - [graph.baseline for graph in graphs]


def test_a_level_or_a_difference_is_left_to_the_network(molecules, energies) -> None:
    one, two = energies["gfn1"], energies["gfn2"]
    np.testing.assert_allclose(learned(molecules, of(level="gfn2")), two)
    np.testing.assert_allclose(learned(molecules, of(level=["gfn1", "gfn2"])), (one + two) / 2)
    np.testing.assert_allclose(learned(molecules, of(level="gfn2", minus="gfn1")), two - one)
    # On top of a baseline: less that, unless another is named.
    np.testing.assert_allclose(learned(molecules, of(level="gfn2"), GFN1), two - one)
    np.testing.assert_allclose(learned(molecules, of(level="gfn2"), GFN1 + GFN2), (two - one) / 2)
    np.testing.assert_allclose(learned(molecules, of(level="gfn2", minus="gfn1"), GFN2), two - one)


def test_a_level_less_itself_is_refused() -> None:
    of(level="gfn2").check()
    of(level="gfn2").check(GFN1 + GFN2)
    of(level="gfn2", minus="gfn1").check(GFN2)
    with pytest.raises(ConfigError, match=r"learns gfn2 less itself, which is 0; give another level"):
        of(level="gfn2").check(GFN2)


def test_members_go_on_from_one_network_or_from_their_own(molecules, energies) -> None:
    graphs = GraphBuilder(SETTINGS, "etkdg").graphs(molecules)
    how = TrainingSettings(epochs=3, device="cpu")
    given = {"graphs": graphs, "targets": energies["gfn2"], "epochs": 2, "seed": 1}
    with pytest.raises(DataError, match="pretraining finds 9 molecules; 10 are the least"):
        pretrain(SETTINGS, how, **given | {"graphs": graphs[:9], "targets": energies["gfn2"][:9]}, members=1)
    first = pretrain(SETTINGS, how, **given, members=1)
    assert [len(history.epochs) for history in first.histories] == [2]
    assert first.gp is None
    again = pretrain(SETTINGS, how, **given, members=1)
    parts = zip(*(one.members[0].parameters() for one in (first, again)), strict=True)
    assert all((a == b).all() for a, b in parts)

    still = TrainingSettings(epochs=1, lr=1e-9, device="cpu")
    folds = folds_for(SETTINGS, SMILES, 3)
    labels = energies["gfn1"]
    tuned = fit_surrogate(
        SETTINGS, still, training=(graphs, labels), members=3, seed=0, left_out=folds, warm_start=first
    )
    for member in tuned.members:
        for a, b in zip(member.parameters(), first.members[0].parameters(), strict=True):
            np.testing.assert_allclose(a.detach(), b.detach(), atol=1e-6)
    sets = {"training": (graphs[2:], labels[2:]), "validation": (graphs[:2], labels[:2])}
    with pytest.raises(SurrogateError, match="members is 2, but the ensemble to start from has 1"):
        fit_surrogate(SETTINGS, still, **sets, members=2, seed=0, warm_start=first)


def test_a_model_keeps_its_tier(tmp_path) -> None:
    said = tier(SETTINGS, GFN2, of(level="gfn2", minus="gfn1"))
    assert said == "semi-empirical: learned GFN2-xTB less GFN1-xTB first"
    new, old = (Provenance("mmff", 0, 10, "level", 3, tier=one) for one in (said, ""))
    assert tier_of_model(SETTINGS, new) == said
    assert tier_of_model(SETTINGS, old) == "no baseline"
