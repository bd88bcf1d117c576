"""Saved ensembles: the same when loaded, refused when damaged, read as data."""

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small_ensembles import GRAPHS, QUICK, SETTINGS, fit

from surrogate import (
    Ensemble,
    SurrogateError,
)
from surrogate.ensemble import Prediction
from surrogate.sealing import unsealed


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return fit()


@pytest.fixture
def saved(ensemble: Ensemble, tmp_path: Path) -> Path:
    ensemble.save(tmp_path / "model")
    return tmp_path / "model"


def assert_same(one: Prediction, other: Prediction) -> None:
    for field in dataclasses.fields(Prediction):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_saved_and_loaded_is_bitwise_the_same(ensemble: Ensemble, saved: Path) -> None:
    loaded = Ensemble.load(saved)
    assert_same(loaded.predict(GRAPHS), ensemble.predict(GRAPHS))
    assert loaded.settings == ensemble.settings
    assert loaded.calibration == ensemble.calibration
    assert loaded.references.energies == ensemble.references.energies
    assert sorted(path.name for path in saved.iterdir()) == [
        "ensemble.json",
        "gp.pt",
        "member_0.pt",
        "member_1.pt",
    ]
    json.loads((saved / "ensemble.json").read_text())


def test_the_description_is_written_last(ensemble: Ensemble, tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        ensemble.save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(SurrogateError, match="holds no trained model"):
        Ensemble.load(tmp_path)
    ensemble.save(tmp_path)
    assert_same(Ensemble.load(tmp_path).predict(GRAPHS), ensemble.predict(GRAPHS))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match=r"holds no trained model: there is no ensemble\.json in it"):
        Ensemble.load(tmp_path)
    with pytest.raises(SurrogateError, match="holds no trained model"):
        Ensemble.load(tmp_path / "nowhere")


@pytest.mark.parametrize("found", [None, 0, "1", 99])
def test_another_format_is_refused(saved: Path, found: object) -> None:
    description = unsealed(json.loads((saved / "ensemble.json").read_text()))
    description["format"] = found
    (saved / "ensemble.json").write_text(json.dumps(description))
    with pytest.raises(SurrogateError, match=f"has format {found}; this version reads up to format 3"):
        Ensemble.load(saved)


class Bait:
    """Unpickling it makes a folder: the mark that a file's code was run."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("dump", ["torch", "pickle"])
def test_a_planted_pickle_is_refused_and_never_runs(saved: Path, tmp_path: Path, dump: str) -> None:
    mark = tmp_path / "was run"
    if dump == "torch":
        torch.save({"weights": Bait(mark)}, saved / "member_0.pt")
    else:
        (saved / "member_0.pt").write_bytes(pickle.dumps(Bait(mark), protocol=2))
    with pytest.raises(SurrogateError, match="does not hold the weights of this model"):
        Ensemble.load(saved)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bait(mark)))  # the bait works: whoever unpickles it runs it
    assert mark.exists()


def test_weights_that_are_missing_or_of_another_model_are_said(saved: Path) -> None:
    (saved / "member_1.pt").unlink()
    with pytest.raises(SurrogateError, match=r"member_1\.pt is missing"):
        Ensemble.load(saved)
    torch.save({"a": torch.zeros(2)}, saved / "member_1.pt")
    with pytest.raises(SurrogateError, match=r"member_1\.pt does not hold the weights of this model"):
        Ensemble.load(saved)
    (saved / "member_1.pt").write_bytes((saved / "member_0.pt").read_bytes()[:500])  # a copy cut short
    with pytest.raises(SurrogateError, match=r"member_1\.pt does not hold the weights"):
        Ensemble.load(saved)
    shutil.copy(saved / "member_0.pt", saved / "member_1.pt")
    twins = Ensemble.load(saved).predict(GRAPHS)
    np.testing.assert_array_equal(twins.samples[0], twins.samples[1])


@pytest.mark.parametrize("form", [1, 2])
def test_models_of_earlier_formats_still_load(tmp_path: Path, form: int) -> None:
    settings = dataclasses.replace(SETTINGS, uncertainty=("ensemble",))
    unscaled = dataclasses.replace(QUICK, scale=False)
    ensemble, saved = fit(settings=settings, training_settings=unscaled), tmp_path / "model"
    ensemble.save(saved)
    description = unsealed(json.loads((saved / "ensemble.json").read_text()))
    if form == 1:
        del description["scale"]
        for newer in ("representation", "layout", "inputs", "baseline"):
            del description["model"][newer]
    del description["gp"], description["model"]["uncertainty"]
    description["calibration"] = {"scale": 1.5, "typical": 0.04, "weight": 2.0}
    description["format"] = form
    (saved / "ensemble.json").write_text(json.dumps(description))
    found, expected = Ensemble.load(saved).predict(GRAPHS), ensemble.predict(GRAPHS)
    np.testing.assert_array_equal(found.samples, expected.samples)
    moderated = (2.0 * 0.04 + found.samples.var(axis=0, ddof=1)) / 3.0
    assert found.std == pytest.approx(1.5 * np.sqrt(moderated))


def test_a_description_that_was_edited_is_refused(saved: Path) -> None:
    path = saved / "ensemble.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps(description | {"scale": description["scale"] * 1.1}))
    with pytest.raises(SurrogateError, match="was changed after it was written"):
        Ensemble.load(saved)
    del description["seal"]  # as earlier revisions wrote it
    path.write_text(json.dumps(description))
    Ensemble.load(saved)


def test_weights_with_a_flipped_bit_are_refused(saved: Path) -> None:
    path = saved / "member_0.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(SurrogateError, match=r"member_0\.pt does not hold the weights"):
        Ensemble.load(saved)
