"""alkit.studies.geometry.noise_floor: what stereoisomers that share a SMILES differ by."""

import pytest

from alkit.studies.geometry.noise_floor import noise_floor, stereoisomers


@pytest.mark.parametrize(
    ("smiles", "count"),
    [
        ("CCO", 1),
        ("CC=CC", 2),  # E and Z
        ("C[C@H](O)F", 1),  # two mirror images, one energy
        ("CC(F)C(C)F", 2),  # meso and one pair of mirror images
        ("C/C=C/C(F)Cl", 2),
        ("CC1CC1C", 2),
    ],
)
def test_distinct_stereoisomers(smiles: str, count: int) -> None:
    found = stereoisomers(smiles)
    assert len(found) == count
    assert len(set(found)) == count


def test_a_molecule_with_one_isomer_has_no_noise() -> None:
    found = noise_floor(["CCO", "C#N"], conformers=2)
    assert (found.mae, found.molecules, found.ambiguous, found.failed) == (0.0, 2, 0, 0)


def test_cis_and_trans_differ_by_chemistry() -> None:
    answer: list[int] = []
    found = noise_floor(["CC=CC"], conformers=2, on_molecule=answer.append)
    # cis-2-butene lies about 1 kcal/mol above trans; half of that is each one's distance from the median.
    assert 0.25 * 0.0434 < found.mae < 1.5 * 0.0434
    assert (found.ambiguous, answer) == (1, [1])
    assert "1 of them with several stereoisomers" in str(found)
