"""alkit.models.graphs: one molecule gives one graph, whoever builds it."""

import numpy as np
import pytest
from gfn2 import LEVEL, single_point

from alkit.config.loading import check_config
from alkit.models.graphs import GFN2, GraphBuilder, model_settings, training_settings, unseen_elements
from alkit.molecules.conformers import embed
from surrogate import SurrogateError


def config(**surrogate):
    return check_config({"name": "a", "proposer": "generator", "surrogate": surrogate})


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({}, False),
        ({"learning": "delta"}, True),
        ({"xtb_inputs": True}, True),
        ({"learning": "delta", "xtb_inputs": True, "representation": "painn"}, True),
        ({"mode": "2d", "chemistry": True}, False),
        ({"mode": "2d", "layout": "depiction"}, False),
    ],
)
def test_graphs_are_what_the_settings_say(given: dict, needed: bool) -> None:
    settings = model_settings(config(**given))
    assert bool(GraphBuilder(settings, "mmff", baselines=(GFN2,)).needed) is needed
    molecule = embed("CCO")
    found = single_point(molecule.numbers, molecule.positions)
    graph = GraphBuilder(settings, "mmff", baselines=(GFN2,)).graph(molecule)
    delta = given.get("learning") == "delta"
    assert graph.baseline_level == (str(LEVEL) if delta else "") == settings.baseline
    assert graph.baseline == (found.energy if delta else 0.0)
    assert (graph.atom_inputs.shape[1] > 0) is ("xtb" in settings.inputs or "chemistry" in settings.inputs)
    assert np.isfinite(graph.vectors).all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mode": "2d", "representation": "painn"}, "2d mode has none"),
        ({"mode": "2d", "learning": "delta"}, "use mode 3d"),
        ({"mode": "2d", "xtb_inputs": True}, "use mode 3d"),
        ({"chemistry": True}, "use mode 2d"),
        ({"layout": "depiction"}, "use mode 2d"),
    ],
)
def test_settings_that_exclude_each_other(given: dict, sentence: str) -> None:
    with pytest.raises(SurrogateError, match=sentence):
        model_settings(config(**given))


def test_elements_that_no_label_has_are_found() -> None:
    builder = GraphBuilder(model_settings(config()), "mmff")
    graphs = [builder.graph(embed(smiles)) for smiles in ("CO", "CC")]
    assert unseen_elements(("H", "C", "N", "O", "F"), graphs) == ("N", "F")
    assert unseen_elements(("C",), graphs) == ()


def test_training_settings_are_the_campaigns() -> None:
    found = training_settings(config(ema=0.9, references="mean", epochs=3, precision="bf16"))
    assert (found.ema, found.references, found.epochs, found.precision) == (0.9, "mean", 3, "bf16")
