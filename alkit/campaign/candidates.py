"""Screening: why each proposal that is not let through is rejected."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alkit.campaign.domain import Domain
from alkit.errors import DataError, LabelError, words_of
from alkit.molecules.molecule import canonical, without_stereo
from alkit.storage.ledger import Candidate, Ledger, Role
from alkit.storage.words import reason_and_rule

_WHERE_KNOWN = {"test": "in_test_set", "validation": "in_validation_set"}


@dataclass(frozen=True)
class Verdict:
    """The canonical SMILES of what was proposed, and why it is rejected; no reason means it is not."""

    smiles: str
    reason: str = ""
    detail: str = ""


def examine(
    smiles: str,
    domain: Domain,
    taken: Mapping[str, Candidate],
    seen: set[str],
    held_out: Mapping[str, Role] | None = None,
) -> Verdict:
    """Validity, domain, uniqueness and novelty of one proposal.

    Args:
        smiles: as proposed.
        domain: the elements and sizes that the campaign is about.
        taken: molecules that the campaign has labelled, or failed to.
        seen: canonical SMILES of this round's earlier proposals.
        held_out: as ``held_out_graphs`` has it.

    Returns:
        A verdict with one of the reasons ``invalid_smiles``, ``unsupported`` (charge, fragments, radicals,
        isotopes), those of `Domain.outside`, ``repeated``, ``in_test_set``, ``in_validation_set``,
        ``already_labelled``, ``failed_before``, or none.

    Raises:
        ConfigError: the user's own predicate fails.
    """
    from rdkit import Chem, rdBase

    try:
        key = canonical(smiles)
    except DataError as error:
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(smiles)
        # RDKit takes what follows a blank for a name, and no text at all for a molecule without atoms.
        parses = molecule is not None and molecule.GetNumAtoms() > 0 and len(smiles.split()) == 1
        return Verdict(smiles, "unsupported" if parses else "invalid_smiles", str(error))
    if outside := domain.outside(key):
        return Verdict(key, *outside)
    if key in seen:
        return Verdict(key, "repeated")
    if key in taken:
        known = taken[key]
        if known.status == "failed":
            return Verdict(key, "failed_before", known.reason)
        return Verdict(key, _WHERE_KNOWN.get(known.role, "already_labelled"))
    if held_out and (role := held_out.get(without_stereo(key))):
        return Verdict(key, _WHERE_KNOWN[role], "as a stereoisomer")
    return Verdict(key)


def held_out_graphs(candidates: Iterable[Candidate]) -> dict[str, Role]:
    """Stereo-free SMILES of test and validation molecules: their stereoisomers are held out with them.

    Enantiomers have one energy, and 2D mode cannot tell any stereoisomers apart.
    """
    return {without_stereo(c.smiles): c.role for c in candidates if c.role in _WHERE_KNOWN}


def settled(ledger: Ledger) -> set[str]:
    """Molecules that need not be proposed again: labelled, failed, or rejected for what they are."""
    rejected = {c.smiles for c in ledger.candidates(status=("rejected",)) if c.reason != "repeated"}
    return set(ledger.known()) | rejected


def reject(
    ledger: Ledger, candidates: Iterable[Candidate], failed: Mapping[str, LabelError | DataError]
) -> None:
    """Reject candidates that have no geometry, or no baseline, for the reason that is known by SMILES."""
    for candidate in candidates:
        if error := failed.get(candidate.smiles):
            reason, detail = words_of(error)
            ledger.mark(candidate.id, "rejected", reason=reason, detail=detail)


def in_domain(smiles: Iterable[str], domain: Domain) -> list[str]:
    """Canonical, unique molecules of the domain, in the order given."""
    seen: set[str] = set()
    kept = []
    for one in smiles:
        verdict = examine(one, domain, {}, seen)
        if not verdict.reason:
            seen.add(verdict.smiles)
            kept.append(verdict.smiles)
    return kept


def refusals(smiles: Iterable[str], domain: Domain) -> str:
    """Why molecules are not in the domain, with counts, the most frequent first; nothing if all are."""
    verdicts = (examine(one, domain, {}, set()) for one in smiles)
    counts = Counter(reason_and_rule(v.reason, v.detail) for v in verdicts if v.reason)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
