"""Proposing by mutation and crossover of known molecules, written as SELFIES.

Every sequence of SELFIES tokens is a molecule, so changing, adding, dropping and splicing tokens at random
gives molecules (STONED: https://doi.org/10.1039/D1SC00231G; SELFIES:
https://doi.org/10.1088/2632-2153/aba947).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alkit.errors import ProposalError
from alkit.molecules.molecule import without_stereo
from alkit.proposers.base import ProposalContext

_TRIES_PER_MOLECULE = 20
_MOST_MUTATIONS = 2


@dataclass(frozen=True)
class EvolutionProposer:
    """Children of labelled molecules.

    Args:
        crossover: share of the children that have two parents; the others are mutants of one.
        elitism: share of the parents that are drawn from the better half of the last round's candidates, by
            their worth to the acquisition function.
    """

    crossover: float = 0.3
    elitism: float = 0.5

    def propose(self, n: int, context: ProposalContext) -> Iterator[str]:
        """Make children of labelled molecules and good candidates.

        Yields:
            SMILES of children.

        Raises:
            ProposalError: there are fewer than two molecules to start from.
        """
        rng = context.rng
        parents = _tokens(sorted(context.labels) or list(context.molecules))
        ranked = sorted(context.values, key=lambda smiles: -context.values[smiles])
        elite = _tokens(ranked[: (len(ranked) + 1) // 2]) or parents
        if len(parents) < 2:
            raise ProposalError("Evolution needs two labelled molecules at least to start from.")
        alphabet = sorted({token for tokens in parents + elite for token in tokens})
        seen = {without_stereo(one) for one in (*context.labels, *context.values, *context.molecules)}

        def parent() -> list[str]:
            pool = elite if rng.random() < self.elitism else parents
            return pool[rng.integers(len(pool))]

        proposed = 0
        for _ in range(_TRIES_PER_MOLECULE * n):
            if proposed == n:
                return
            child = parent()
            if rng.random() < self.crossover:
                child = _spliced(child, parent(), rng)
            else:
                for _ in range(rng.integers(1, _MOST_MUTATIONS + 1)):
                    child = _mutated(child, alphabet, rng)
            smiles = _smiles(child)
            if smiles and smiles not in seen:
                seen.add(smiles)
                proposed += 1
                yield smiles


def _tokens(smiles: list[str]) -> list[list[str]]:
    """SELFIES tokens; without the molecules that SELFIES cannot write."""
    import selfies

    encoded = []
    for one in smiles:
        try:
            encoded.append(list(selfies.split_selfies(selfies.encoder(without_stereo(one)))))
        except selfies.EncoderError:
            continue
    return encoded


def _smiles(tokens: list[str]) -> str:
    """Canonical SMILES of a neutral molecule, or none."""
    import selfies
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(selfies.decoder("".join(tokens)))
    if molecule is None or molecule.GetNumAtoms() == 0:
        return ""
    if any(atom.GetFormalCharge() or atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()):
        return ""
    return str(Chem.MolToSmiles(molecule, isomericSmiles=False))


def _mutated(tokens: list[str], alphabet: list[str], rng: np.random.Generator) -> list[str]:
    """One token replaced, added or dropped."""
    place, token = int(rng.integers(len(tokens))), alphabet[rng.integers(len(alphabet))]
    kind = rng.integers(3) if len(tokens) > 1 else rng.integers(2)
    middle = ([token], [token, tokens[place]], [])[kind]
    return tokens[:place] + middle + tokens[place + 1 :]


def _spliced(first: list[str], second: list[str], rng: np.random.Generator) -> list[str]:
    """The beginning of one and the end of the other."""
    return first[: rng.integers(1, len(first) + 1)] + second[rng.integers(len(second)) :]
