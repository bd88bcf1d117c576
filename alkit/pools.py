"""What an acquisition function is given: a round's pool and context, made from the campaign's state."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Pool, RoundContext, needs, on_soap
from alkit.engines.base import DEADLINE
from alkit.errors import CampaignError, ConfigError, LabelError
from alkit.molecules import soap
from alkit.simulators.references import ATOM_ENERGIES
from alkit.simulators.single_point import METHOD
from alkit.storage.ledger import Candidate
from alkit.units import CHEMICAL_ACCURACY

if TYPE_CHECKING:
    from ase import Atoms

    from alkit.state import RoundState

_FILE = "predictions.npz"
_COMMIT_EVERY = 50
_FEWEST_TIMED = 10


def check(state: RoundState) -> None:
    """Whether the campaign can give its acquisition function all that it needs.

    Raises:
        ConfigError: it cannot.
    """
    asked, name = needs(state.acquisition), state.config.acquisition.name
    members = state.config.surrogate.members
    if "members" in asked and members < 2:
        raise ConfigError(
            f"acquisition {name} needs an ensemble, but surrogate.members is {members}; set 2 or more."
        )
    if "cheap" in asked:
        _check_cheap(state, name)


def _check_cheap(state: RoundState, name: str) -> None:
    from ase.data import atomic_numbers

    unknown = [s for s in state.config.domain.elements if atomic_numbers[s] not in ATOM_ENERGIES[METHOD]]
    if unknown:
        raise ConfigError(
            f"acquisition {name} needs {METHOD} energies, and alkit has none of the element {unknown[0]}; "
            "take it out of domain.elements, or choose another acquisition."
        )
    if find_spec("xtb") is None:
        raise ConfigError(
            f"acquisition {name} needs {METHOD} energies, and the package xtb is not installed."
        )


def needs_cheap(state: RoundState) -> bool:
    return "cheap" in needs(state.acquisition)


def needs_soap(state: RoundState) -> bool:
    return on_soap(state.acquisition, state.config.acquisition.features)


def counted_labels(state: RoundState) -> list[tuple[Candidate, float]]:
    """Training and validation labels up to this round: the labels that the campaign counts."""
    return [
        row
        for role in ("training", "validation")
        for row in state.ledger.labelled(role, up_to_round=state.round)
    ]


def cheap_energies(state: RoundState) -> dict[str, float]:
    """GFN2-xTB atomization energies in eV of this round's candidates and of what is labelled, by SMILES.

    A candidate that has none is rejected with the reason; a labelled molecule that has none is left out.
    """
    screened = state.ledger.candidates(round_=state.round, status=("screened",))
    molecules, found = [*screened, *(c for c, _ in counted_labels(state))], dict[str, float]()
    with state.progress.steps(f"{METHOD} of candidates", len(molecules)) as advance:
        for k, candidate in enumerate(molecules, start=1):
            try:
                found[candidate.smiles] = state.single_point(candidate.smiles).energy
            except LabelError as error:
                if candidate.status == "screened":
                    state.ledger.mark(candidate.id, "rejected", reason=error.reason, detail=error.detail)
            if k % _COMMIT_EVERY == 0:
                state.ledger.commit()  # a large pool takes minutes, and a kill shall lose seconds
            advance(1)
    return found


def features(state: RoundState, molecules: Sequence[Candidate]) -> NDArray[np.float32]:
    """``(n, d)`` SOAP features, the same in every round; a campaign that goes on computes them anew."""
    kept = state.described
    if kept.soap is None:
        kept.soap = _soap(state)
    new = [c.smiles for c in molecules if c.smiles not in kept.rows]
    with state.progress.steps("features", len(new)) as advance:
        found = kept.soap.features([_atoms(state, smiles) for smiles in new], advance)
    kept.rows.update(zip(new, found, strict=True))
    return np.array([kept.rows[c.smiles] for c in molecules])


def _soap(state: RoundState) -> soap.Soap:
    """Of the start and the first round's candidates: what they are does not change any more."""
    from ase.data import atomic_numbers

    start = [c for role in ("training", "validation") for c, _ in state.ledger.labelled(role, up_to_round=0)]
    first = [c for c in state.ledger.candidates(round_=1) if c.status not in ("proposed", "rejected")]
    return soap.Soap.fit(
        [_atoms(state, c.smiles) for c in (*start, *first)],
        np.random.default_rng(state.config.seed),
        elements=[atomic_numbers[symbol] for symbol in state.config.domain.elements],
    )


def _atoms(state: RoundState, smiles: str) -> Atoms:
    from ase import Atoms

    molecule = state.molecule(smiles)
    return Atoms(molecule.numbers, molecule.positions)


def save_predictions(state: RoundState, arrays: dict[str, Any]) -> None:
    from alkit.files import replace_file

    replace_file(state.path(_FILE), lambda path: np.savez_compressed(path, **arrays))


def read_predictions(state: RoundState) -> dict[str, NDArray]:
    """What `save_predictions` has kept.

    Raises:
        CampaignError: the file is missing or damaged.
    """
    path = state.path(_FILE)
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, zipfile.BadZipFile):
        raise CampaignError(
            f"{path} is missing or damaged; put the folder's files back, or start a new campaign."
        ) from None


def pool(state: RoundState, arrays: dict[str, NDArray]) -> tuple[list[Candidate], Pool]:
    """The screened candidates, and what the acquisition function sees of them.

    Raises:
        CampaignError: the predictions are those of other candidates.
    """
    screened = state.ledger.candidates(round_=state.round, status=("screened",))
    if arrays["ids"].tolist() != [c.id for c in screened]:
        raise CampaignError(f"{state.path(_FILE)} belongs to other candidates than the ledger's.")
    smiles = tuple(c.smiles for c in screened)
    return screened, Pool(
        smiles=smiles,
        samples=arrays["samples"],
        std=arrays["std"],
        embeddings=features(state, screened) if needs_soap(state) else arrays["embeddings"],
        cost=_expected_seconds(state, smiles),
        cheap=arrays["cheap"] if needs_cheap(state) else None,
    )


def context(state: RoundState, arrays: dict[str, NDArray]) -> RoundContext:
    """What the campaign knows in this round. Nothing of the test set is in it."""
    known, embeddings, cheap = counted_labels(state), arrays["labelled_embeddings"], None
    if needs_soap(state):
        embeddings = features(state, [candidate for candidate, _ in known])
    if needs_cheap(state):
        has = np.isfinite(arrays["labelled_cheap"])
        known, embeddings = [known[i] for i in np.flatnonzero(has)], embeddings[has]
        cheap = arrays["labelled_cheap"][has]
    target = state.config.stop.target_mae
    return RoundContext(
        round=state.round,
        smiles=tuple(candidate.smiles for candidate, _ in known),
        targets=np.array([value for _, value in known]),
        embeddings=embeddings,
        rng=state.rng("acquire"),
        cheap=cheap,
        pending=_pending(state),
        accuracy=CHEMICAL_ACCURACY if target is None else target,
    )


def _pending(state: RoundState) -> tuple[str, ...]:
    """What earlier rounds acquired, and did not wait for."""
    settled = state.ledger.known()  # a late molecule may have been acquired again since, and labelled
    failed = state.ledger.candidates(status=("failed",), role="training")
    late = [c.smiles for c in failed if c.reason == DEADLINE and c.round < state.round]
    return tuple(dict.fromkeys(smiles for smiles in late if smiles not in settled))


def _expected_seconds(state: RoundState, smiles: tuple[str, ...]) -> NDArray[np.float64]:
    """``(n,)`` seconds a label should take: a power law in the number of atoms, fitted to labels so far."""
    timed = [(atoms, seconds) for atoms, seconds in state.ledger.label_seconds() if seconds > 0]
    sizes = np.array([len(state.molecule(one).numbers) for one in smiles], dtype=np.float64)
    atoms, seconds = np.array(timed, dtype=np.float64).reshape(-1, 2).T
    if len(timed) < _FEWEST_TIMED or np.ptp(atoms) == 0:
        return np.full(len(smiles), seconds.mean() if len(timed) else 1.0)
    exponent, offset = np.polyfit(np.log(atoms), np.log(seconds), 1)
    return np.exp(offset) * sizes**exponent
