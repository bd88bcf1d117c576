"""surrogate.settings: values that cannot be are refused, with the name of the setting."""

import dataclasses
import json

import pytest

from surrogate import ModelSettings, SurrogateError, TrainingSettings

REPRESENTATIONS = "representation is 'gnn'; it is 'schnet', 'painn', 'kernel', 'committee' or 'auto'."
INPUTS = (
    "inputs is 'dft'; it is 'chemistry', 'xtb', 'gfn1', 'gfn2', 'aimnet2-b973c', 'aimnet2-wb97m', "
    "'aimnet2-b973c-learned' or 'aimnet2-wb97m-learned'."
)


@pytest.mark.parametrize("settings", [ModelSettings(), TrainingSettings()])
def test_defaults_survive_json(settings) -> None:
    assert type(settings)(**json.loads(json.dumps(settings.as_dict()))) == settings


def test_settings_are_read_only_and_compare() -> None:
    assert ModelSettings(elements=["H", "C"]).elements == ("H", "C")  # as JSON gives them back
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelSettings().features = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mode": "4d"}, "mode is '4d'; it is '2d' or '3d'."),
        ({"features": 0}, "features is 0; it must be above 0."),
        ({"interactions": -1}, "interactions is -1; it must be above 0."),
        ({"gaussians": 0}, "gaussians is 0; it must be above 0."),
        ({"cutoff": -5.0}, "cutoff is -5.0; it must be above 0."),
        ({"cutoff": float("nan")}, "cutoff is nan; it must be above 0."),
        (
            {"representation": "gnn"},
            REPRESENTATIONS,
        ),
        ({"layout": "round"}, "layout is 'round'; it is 'topological' or 'depiction'."),
        (
            {"inputs": ["dft"]},
            INPUTS,
        ),
        (
            {"mode": "2d", "representation": "painn"},
            "representation is 'painn', which sees directions; 2d mode has none: use schnet.",
        ),
        ({"mode": "2d", "inputs": ["xtb"]}, "xtb inputs and a baseline belong to a geometry; use mode 3d."),
        ({"mode": "2d", "baseline": "x"}, "xtb inputs and a baseline belong to a geometry; use mode 3d."),
        (
            {"inputs": ["chemistry"]},
            "chemistry inputs come from the SMILES; use mode 2d, or inputs xtb in 3d.",
        ),
    ],
)
def test_model_settings_that_cannot_be(given: dict, sentence: str) -> None:
    with pytest.raises(SurrogateError) as caught:
        ModelSettings(**given)
    assert str(caught.value) == sentence
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0; it must be above 0."),
        ({"batch_size": 0}, "batch_size is 0; it must be above 0."),
        ({"lr": -1e-3}, "lr is -0.001; it must be above 0."),
        ({"lr": float("nan")}, "lr is nan; it must be above 0."),
        ({"stop_patience": 0}, "stop_patience is 0; it must be above 0."),
        ({"gradient_clip": 0.0}, "gradient_clip is 0.0; it must be above 0."),
        ({"plateau_factor": 1.0}, "plateau_factor is 1.0; it must lie between 0 and 1."),
        ({"plateau_factor": 0}, "plateau_factor is 0; it must lie between 0 and 1."),
        ({"ema": 1.0}, "ema is 1.0; it is a decay from 0 (off) to below 1, such as 0.995."),
        ({"depth_decay": 0.0}, "depth_decay is 0.0; it must be above 0 and at most 1 (off)."),
        ({"references": "dft"}, "references is 'dft'; it is 'elements', 'mean' or 'none'."),
        ({"precision": "16"}, "precision is '16'; it is '32', '64' or 'bf16'."),
        ({"freeze": "all"}, "freeze is 'all'; it is 'none', 'embedding' or 'representation'."),
        ({"device": "gpu"}, "device is 'gpu'; it is 'auto', 'cpu', 'cuda', 'cuda:1' and so on, or 'mps'."),
    ],
)
def test_training_settings_that_cannot_be(given: dict, sentence: str) -> None:
    with pytest.raises(SurrogateError) as caught:
        TrainingSettings(**given)
    assert str(caught.value) == sentence


def test_settings_that_would_fail_later_are_refused_now() -> None:
    with pytest.raises(SurrogateError, match="gaussians is 1; a radial basis has 2 at least"):
        ModelSettings(gaussians=1)
    with pytest.raises(SurrogateError, match="ema averages weights in 32 bits"):
        TrainingSettings(ema=0.9, precision="64")
