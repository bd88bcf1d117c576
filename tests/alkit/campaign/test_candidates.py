"""alkit.campaign.candidates: every reason for which a proposal is rejected, and pools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.campaign.candidates import Verdict, examine, held_out_graphs, in_domain
from alkit.campaign.domain import Domain
from alkit.config.domain import DomainConfig
from alkit.molecules.molecule import canonical
from alkit.proposers.base import ProposalContext
from alkit.proposers.pool import PoolProposer
from alkit.storage.ledger import Candidate

SMALL = Domain(DomainConfig(elements=["H", "C", "N", "O"], max_heavy_atoms=4))
TAKEN = {
    canonical(smiles): Candidate(k, 0, canonical(smiles), status, reason, role)
    for k, (smiles, status, reason, role) in enumerate(
        [
            ("CO", "labelled", "", "training"),
            ("CN", "labelled", "", "validation"),
            ("O", "labelled", "", "test"),
            ("C=O", "failed", "scf_not_converged", "training"),
            ("C#N", "acquired", "", "training"),
            ("N", "failed", "timeout", "test"),
        ]
    )
}
SMILES = ["CCO", "CC", "C", "CC=O", "NCC", "C1CC1", "OCO", "C#C"]


def verdict(smiles: str, domain: Domain = SMALL) -> Verdict:
    return examine(smiles, domain, TAKEN, {"CC"})


@pytest.mark.parametrize(
    ("smiles", "reason", "detail"),
    [
        ("", "invalid_smiles", "empty"),
        (" ", "invalid_smiles", "empty"),
        ("C1CC", "invalid_smiles", "not a SMILES"),
        ("C(C)(C)(C)(C)C", "invalid_smiles", "not a SMILES"),
        ("CC methyl", "invalid_smiles", "blank"),
        ("[NH4+]", "unsupported", "net charge"),
        ("C.O", "unsupported", "several fragments"),
        ("[CH3]", "unsupported", "unpaired electrons"),
        ("[13CH4]", "unsupported", "isotope"),
        ("*C", "unsupported", "wildcard"),
        ("CF", "foreign_element", "F"),
        ("FCCl", "foreign_element", "Cl, F"),
        ("CCCCC", "too_large", "5 heavy atoms"),
        ("CC", "repeated", ""),
        ("C-C", "repeated", ""),
        ("O", "in_test_set", ""),
        ("NC", "in_validation_set", ""),
        ("OC", "already_labelled", ""),
        ("N#C", "already_labelled", ""),
        ("O=C", "failed_before", "scf_not_converged"),
        ("N", "failed_before", "timeout"),
        ("CCO", "", ""),
    ],
)
def test_every_reason(smiles: str, reason: str, detail: str) -> None:
    found = verdict(smiles)
    assert found.reason == reason
    assert detail in found.detail
    if reason not in ("invalid_smiles", "unsupported"):
        assert found.smiles == canonical(smiles)
    else:
        assert found.smiles == smiles  # as it was proposed: there is no canonical form


def test_hydrogen_is_an_element_of_the_domain_too() -> None:
    bare = Domain(DomainConfig(elements=["C", "O", "N"]))
    assert verdict("CCO", bare).reason == "foreign_element"
    assert verdict("CCO", bare).detail == "H"
    assert verdict("O=C=O", bare).reason == ""


def test_the_largest_molecule_allowed_is_allowed() -> None:
    assert verdict("CCCC").reason == ""
    assert verdict("CCCCC", Domain(DomainConfig(elements=["H", "C"], max_heavy_atoms=5))).reason == ""


def test_looking_changes_nothing() -> None:
    seen: set[str] = set()
    taken = dict(TAKEN)
    assert examine("CCC", SMALL, taken, seen) == examine("CCC", SMALL, taken, seen) == Verdict("CCC")
    assert seen == set()
    assert taken == TAKEN


@given(st.lists(st.sampled_from([*SMILES, "OCC", "C(C)O", "CF", "CCCCCC", "C1CC", "", "[CH3]"])))
@settings(max_examples=60, deadline=None)
def test_in_domain_is_canonical_unique_and_in_order(smiles: list[str]) -> None:
    kept = in_domain(smiles, SMALL)
    assert len(set(kept)) == len(kept)
    assert all(canonical(one) == one for one in kept)
    fine = [canonical(one) for one in smiles if one not in ("CF", "CCCCCC", "C1CC", "", "[CH3]")]
    assert kept == list(dict.fromkeys(fine))
    assert in_domain(kept, SMALL) == kept


@given(st.sets(st.sampled_from(SMILES)), st.integers(0, 12), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_pool_proposes_what_was_not_taken(taken: set[str], n: int, seed: int) -> None:
    proposer = PoolProposer(tuple(SMILES), frozenset(taken))

    def proposed() -> list[str]:
        return list(proposer.propose(n, ProposalContext(1, np.random.default_rng(seed))))

    found = proposed()
    assert len(found) == len(set(found)) == min(n, len(SMILES) - len(taken))
    assert not set(found) & taken
    assert found == sorted(found, key=SMILES.index)
    assert proposed() == found


def test_a_random_subset_is_random_and_reaches_every_molecule() -> None:
    proposer = PoolProposer(tuple(SMILES), frozenset())
    draws = [
        tuple(proposer.propose(2, ProposalContext(1, np.random.default_rng(seed)))) for seed in range(60)
    ]
    assert {one for draw in draws for one in draw} == set(SMILES)
    assert len(set(draws)) > 10


def test_a_stereoisomer_of_a_test_molecule_is_held_out_with_it() -> None:
    """Enantiomers have one energy: knowing the one is knowing the other."""
    test = Candidate(1, 0, "C[C@H](O)F", "labelled", "", "test")
    held_out = held_out_graphs([test, Candidate(2, 0, "C[C@H](N)F", "labelled", "", "training")])
    for mirror in ("C[C@@H](O)F", "CC(O)F"):
        verdict = examine(mirror, Domain(DomainConfig()), {}, set(), held_out)
        assert verdict.reason == "in_test_set"
    assert not examine("C[C@@H](N)F", Domain(DomainConfig()), {}, set(), held_out).reason
