"""The files of a round: what is damaged is one sentence that names the file."""

import numpy as np
import pytest

from alkit.errors import CampaignError
from alkit.storage.round_files import PREDICTIONS_FILE, read_arrays, read_table, round_file

ARRAYS = {
    "ids": np.arange(3),
    "samples": np.zeros((2, 3)),
    "std": np.ones(3),
    "half_widths": np.ones(3),
    "embeddings": np.zeros((3, 4), dtype=np.float32),
    "labelled_embeddings": np.zeros((5, 4), dtype=np.float32),
}


def test_a_file_of_a_round(tmp_path) -> None:
    assert round_file(tmp_path, 3, PREDICTIONS_FILE) == tmp_path / "rounds" / "03" / "predictions.npz"


def test_arrays_are_read_back_also_by_their_earlier_names(tmp_path) -> None:
    np.savez(tmp_path / "p.npz", **ARRAYS, cheap=np.arange(3.0), labelled_cheap=np.arange(5.0))
    found = read_arrays(tmp_path / "p.npz")
    assert found.keys() == {*ARRAYS, "xtb_energy", "labelled_xtb_energy"}
    np.testing.assert_array_equal(found["xtb_energy"], [0, 1, 2])


@pytest.mark.parametrize(
    "changed",
    [
        {"std": np.ones(2)},
        {"samples": np.zeros((2, 4))},
        {"samples": np.full((2, 3), np.nan)},
        {"std": np.array([1.0, 1.0, -1.0])},
        {"embeddings": np.zeros((3, 6), dtype=np.float32)},
        {"ids": np.array(["a", "b", "c"])},
        {"covariance_own": np.ones(3)},
        {"covariance_own": -np.ones(3)},
        {"std": None},
        {"std": np.array([{}] * 3, dtype=object)},
    ],
)
def test_damaged_arrays_are_refused(tmp_path, changed) -> None:
    kept = {name: array for name, array in (ARRAYS | changed).items() if array is not None}
    np.savez(tmp_path / "p.npz", **kept)
    with pytest.raises(CampaignError, match=r"p\.npz is missing or damaged"):
        read_arrays(tmp_path / "p.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more"])
def test_no_archive_is_refused(tmp_path, content: bytes) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(CampaignError, match=r"p\.npz is missing or damaged"):
        read_arrays(tmp_path / "p.npz")


@pytest.mark.parametrize("text", ["", "smiles,label_eV\nC,heavy\n", "smiles,a,b\nC,1\n"])
def test_a_damaged_table_is_refused(tmp_path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(CampaignError, match=r"t\.csv is missing or damaged"):
        read_table(tmp_path / "t.csv")


def test_a_table_without_rows_has_columns(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("smiles,a,b\n")
    smiles, values = read_table(tmp_path / "t.csv")
    assert (smiles, values.shape) == ([], (0, 2))
