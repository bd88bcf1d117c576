"""alkit.simulators.start_geometries: other geometries of the same atoms and the same stereoisomer."""

import numpy as np
import pytest

from alkit.errors import LabelError
from alkit.molecules.bonds import atom_order, same_bond_graph
from alkit.molecules.conformers import embed
from alkit.molecules.identity import same_stereo, shaped
from alkit.molecules.molecule import Molecule, with_hydrogens
from alkit.simulators import start_geometries
from alkit.simulators.start_geometries import conformers, embedded, mmff_relaxed

OPEN = "CC(O)C(F)C=CC"  # two centres and a double bond, none of them stated


def shuffled(molecule: Molecule, seed: int) -> Molecule:
    mixed = np.random.default_rng(seed).permutation(len(molecule.numbers))
    return Molecule(molecule.smiles, molecule.numbers[mixed], molecule.positions[mixed], "dataset")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("random", [False, True])
def test_a_new_embedding_is_the_stereoisomer_that_was_given(seed: int, random: bool) -> None:
    given = shuffled(embed(OPEN, geometry="etkdg", seed=seed), seed)
    new = embedded(given, seed=1, random=random)
    assert np.array_equal(new.numbers, given.numbers)
    assert same_bond_graph(OPEN, new.numbers, new.positions)
    before, after = (atom_order(OPEN, one.numbers, one.positions) for one in (given, new))
    stated = shaped(with_hydrogens(OPEN), given.positions[before])
    assert same_stereo(stated, new.positions[after])
    assert np.array_equal(new.positions, embedded(given, seed=1, random=random).positions)
    assert not np.array_equal(new.positions, embedded(given, seed=2, random=random).positions)


def test_a_fused_ring_that_is_embedded_only_by_chance() -> None:
    given = embed("O=CC1CC2C3CC2C31", seed=0)
    assert same_bond_graph(
        given.smiles, *(embedded(given, seed=1).__dict__[k] for k in ("numbers", "positions"))
    )


def test_conformers_differ_and_begin_with_the_one_given() -> None:
    given = embed("OCCCCN", seed=0)
    found = conformers(given, 4)
    assert found[0] is given
    assert len(found) == 4
    distances = [np.linalg.norm(one.positions[0] - one.positions[5]) for one in found[1:]]
    assert len({round(float(d), 1) for d in distances}) > 1
    assert conformers(given, 1) == [given]
    assert len(conformers(embed("C", seed=0), 5)) == 1  # methane has one


@pytest.mark.parametrize("smiles", ["OCCO", "OCCCN", "OO"])
def test_another_conformer_is_not_the_one_given(smiles: str) -> None:
    """Hydrogens of hydroxyls count too, and whatever the order of the atoms."""
    lowest = embedded(embed(smiles, seed=0), seed=0)  # what the search finds first
    for given in (lowest, shuffled(lowest, 1)):
        for other in conformers(given, 2)[1:]:
            order, there = (atom_order(smiles, one.numbers, one.positions) for one in (given, other))
            assert order is not None
            assert there is not None
            far = [
                np.linalg.norm(x.positions[o][:, None] - x.positions[o], axis=-1)
                for x, o in ((given, order), (other, there))
            ]
            assert np.abs(far[0] - far[1]).max() > 0.3
    assert len(conformers(embed("OCCO", seed=0), 2)) == 2


def test_conformers_that_cannot_be_embedded_leave_the_one_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise LabelError("embed_failed", "no other geometry")

    monkeypatch.setattr(start_geometries, "_ranked", fails)
    given = embed("CCO", seed=0)
    assert conformers(given, 5) == [given]


def test_mmff_relaxes_from_where_it_is() -> None:
    given = shuffled(embed("CCO", geometry="etkdg", seed=0), 1)
    relaxed = mmff_relaxed(given)
    assert np.array_equal(relaxed.numbers, given.numbers)
    assert 0 < np.abs(relaxed.positions - given.positions).max() < 1
    with pytest.raises(LabelError, match="lacks the bonds"):
        mmff_relaxed(Molecule("CCO", given.numbers, given.positions * 3, "given"))
