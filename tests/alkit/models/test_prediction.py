import numpy as np
import pytest

from alkit.errors import CampaignError, DataError
from alkit.models.prediction import predict_smiles, predict_structures
from alkit.models.store import Provenance, load_model
from alkit.molecules.conformers import embed
from surrogate import Ensemble, ModelSettings, TrainingSettings, graph_2d, graph_3d

SMILES = ["C", "CC", "CCO", "CCN", "C=O", "CC=O", "CO", "C1CC1", "CCC", "C#N", "C=C", "OCCO"]


def _ensemble(mode: str) -> Ensemble:
    placed = [embed(one) for one in SMILES]
    if mode == "2d":
        graphs = [graph_2d(one, cutoff=5.0) for one in SMILES]
    else:
        graphs = [graph_3d(m.numbers, m.positions, cutoff=5.0) for m in placed]
    energies = np.array([-4.0 * len(m.numbers) for m in placed])
    return Ensemble.fit(
        ModelSettings(mode=mode, features=8, interactions=1, elements=("H", "C", "N", "O")),
        TrainingSettings(epochs=2, batch_size=4, device="cpu"),
        training=(graphs[:8], energies[:8]),
        validation=(graphs[8:], energies[8:]),
        members=2,
        seed=0,
    )


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_saved_and_loaded_it_predicts_the_same(tmp_path, mode):
    ensemble, provenance = _ensemble(mode), Provenance("mmff", 0, 3, "GFN2-xTB energy [eV]", 12)
    ensemble.save(tmp_path)
    provenance.save(tmp_path)
    loaded, answer = load_model(tmp_path)
    assert answer == provenance
    before = list(predict_smiles(ensemble, provenance, SMILES))
    assert list(predict_smiles(loaded, answer, SMILES)) == before


def test_one_bad_molecule_costs_one_row_with_its_reason():
    rows = list(
        predict_smiles(_ensemble("3d"), Provenance("mmff", 0, 3, "x", 12), ["CCO", "CS", "C[N", "OCC"])
    )
    assert [bool(row.reason) for row in rows] == [False, True, True, False]
    assert rows[0].mean == pytest.approx(rows[3].mean, abs=1e-5)  # the same molecule, written otherwise


def test_data_set_geometries_cannot_be_had_from_smiles():
    with pytest.raises(DataError, match="dataset geometries"):
        list(predict_smiles(_ensemble("3d"), Provenance("dataset", 0, 3, "x", 12), ["CCO"]))


def test_a_model_without_its_geometry_source_is_refused(tmp_path):
    _ensemble("2d").save(tmp_path)
    with pytest.raises(CampaignError, match=r"model\.json"):
        load_model(tmp_path)


def test_structures_are_predicted_where_they_are():
    ensemble, provenance = _ensemble("3d"), Provenance("dataset", 0, 3, "x", 12)
    molecules = [embed(one) for one in (*SMILES, "CS")]
    rows = list(predict_structures(ensemble, provenance, molecules))
    graphs = [graph_3d(m.numbers, m.positions, cutoff=5.0) for m in molecules[:-1]]
    np.testing.assert_allclose([row.mean for row in rows[:-1]], ensemble.predict(graphs).mean)
    assert rows[-1].mean is None
    assert "16" in rows[-1].reason


@pytest.mark.parametrize(("mode", "geometry", "seen"), [("3d", "mmff", "mmff"), ("2d", "dataset", "SMILES")])
def test_structures_are_refused_by_a_model_of_other_geometries(mode, geometry, seen):
    with pytest.raises(DataError, match=f"trained on {seen}"):
        list(predict_structures(_ensemble(mode), Provenance(geometry, 0, 3, "x", 12), [embed("CCO")]))


def test_an_interval_that_cannot_be_given_is_none():
    """With fewer than nine validation molecules there is none of 90 %."""
    (row,) = predict_smiles(_ensemble("2d"), Provenance("mmff", 0, 3, "x", 12), ["CCO"])
    assert row.mean is not None
    assert row.std is not None
    assert (row.low, row.high) == (None, None)
