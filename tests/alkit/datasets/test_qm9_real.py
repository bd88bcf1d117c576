"""alkit.datasets.qm9 on real molecules, where they are at hand."""

from pathlib import Path

import numpy as np
import pytest
from ase.db import connect
from ase.units import Hartree

from alkit.datasets import Dataset, import_qm9

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_qm9 = pytest.mark.skipif(
    not SHARED.is_dir(), reason="QM9 development data (../shared/data) is not there"
)

# Geometries from ASE; U0 as published for QM9's first molecules; the other properties are made up.


@needs_qm9
def test_real_qm9(tmp_path):
    report = import_qm9(SHARED / "qm9_12k.npz", tmp_path / "qm9.db", limit=1000)
    assert report.written == 1000
    assert report.uncharacterized is not None
    data = Dataset.open(tmp_path / "qm9.db")
    energies = data.atomization("u0")
    assert (energies > -114).all()
    assert (energies < -23).all()
    assert energies.mean() == pytest.approx(-76.4, abs=1.5)
    with np.load(SHARED / "qm9_12k.npz") as archive:
        assert data.target("u0") == pytest.approx(archive["u0"][:1000] * Hartree, rel=1e-12)
        assert data.positions(0) == pytest.approx(archive["R"][: len(data.numbers(0))], abs=1e-12)


@needs_qm9
def test_real_geometries_give_back_their_molecules(tmp_path):
    """schnetpack's database has no SMILES: those perceived from geometries must be the published ones."""
    from rdkit import Chem

    import_qm9(SHARED / "qm9_12k.npz", tmp_path / "qm9.db", limit=300)
    data = Dataset.open(tmp_path / "qm9.db")
    source = tmp_path / "schnetpack.db"
    with connect(tmp_path / "qm9.db") as own, connect(source) as other:
        metadata = own.metadata
        del metadata["alkit"]
        other.metadata = metadata
        for row in own.select():
            other.write(row.toatoms(), data=row.data)
    report = import_qm9(source, tmp_path / "again.db")
    assert report.written >= 297
    again = Dataset.open(tmp_path / "again.db")
    flat = {Chem.MolToSmiles(Chem.RemoveHs(_without_stereo(smiles))) for smiles in again.smiles}
    assert len(flat & set(data.smiles)) >= 295


def _without_stereo(smiles):
    from rdkit import Chem

    molecule_ = Chem.MolFromSmiles(smiles)
    Chem.RemoveStereochemistry(molecule_)
    return molecule_
