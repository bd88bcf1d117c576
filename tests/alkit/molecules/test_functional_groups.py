"""Functional groups by the one table of SMARTS, on molecules whose groups are known."""

import pytest

from alkit.molecules.functional_groups import NONE, groups_of


@pytest.mark.parametrize(
    ("smiles", "groups"),
    [
        ("CO", {"alcohol"}), ("COC", {"ether"}), ("C=O", {"aldehyde"}), ("CC=O", {"aldehyde"}),
        ("CC(C)=O", {"ketone"}), ("OC=O", {"carboxylic acid"}), ("COC=O", {"ester"}), ("NC=O", {"amide"}),
        ("CN", {"amine"}), ("N", {"amine"}), ("C=N", {"imine"}), ("CC=NO", {"oxime"}), ("NC=N", {"amidine"}),
        ("CC#N", {"nitrile"}), ("C[N+](=O)[O-]", {"nitro"}), ("C=C", {"alkene"}), ("C#C", {"alkyne"}),
        ("CF", {"halide"}), ("C1CO1", {"ether", "ring of 3"}), ("C1CCC1", {"ring of 4"}),
        ("c1ccccc1", {"aromatic", "larger ring"}),
        ("Oc1ccccc1", {"enol or phenol", "aromatic", "larger ring"}),
        ("OCC=O", {"alcohol", "aldehyde"}), ("C", {NONE}), ("O=C=O", {NONE}),
    ],
)  # fmt: skip
def test_groups(smiles: str, groups: set[str]) -> None:
    assert set(groups_of(smiles)) == groups
