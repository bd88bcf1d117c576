"""The predict and acquire stages: the pool and context of a round, and the batch chosen from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Pool, RoundContext, needs, on_soap, select
from alkit.baselines.base import create_baseline
from alkit.campaign import target_set
from alkit.campaign.acquired import LEVEL
from alkit.campaign.candidates import reject
from alkit.campaign.predictions import read_predictions, save_predictions
from alkit.campaign.proposing import recorded, save_values
from alkit.config.proposer import PoolConfig
from alkit.engines.base import DEADLINE
from alkit.engines.calling import in_order
from alkit.errors import CampaignError, ConfigError, words_of
from alkit.models import prediction
from alkit.models.graphs import GFN2
from alkit.models.metrics import finite_quantile
from alkit.molecules.free_atoms import ATOM_ENERGIES
from alkit.molecules.molecule import atom_count
from alkit.properties import is_energy
from alkit.storage.ledger import Candidate
from alkit.storage.round_files import PREDICTIONS_FILE
from alkit.storage.words import SCREENED
from alkit.units import CHEMICAL_ACCURACY
from surrogate.low_rank import Covariance

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState
    from alkit.reporting.progress import Advance
    from surrogate import Prediction
    from surrogate.fitting import Surrogate


_METHOD = "GFN2-xTB"
_FEWEST_TIMED = 10
_SHARE_OF_SPREAD = 0.1
_TOGETHER = 4096  # molecules whose graphs are made at a time
_GB_OF_TORCH, _SECONDS_OF_A_PART = 2.0, 60.0  # what a worker that predicts needs, amply


@dataclass(frozen=True, eq=False)
class Question:
    """The inputs of a round's acquisition function.

    Attributes:
        screened: the candidates that passed screening.
        offered: ``(n,)``, which of them may be acquired.
        pool: these.
        context: what the campaign knows.
    """

    screened: list[Candidate]
    offered: NDArray[np.int64]
    pool: Pool
    context: RoundContext


def check_acquisition(state: RoundState) -> None:
    """Whether the campaign can give its acquisition function all that it needs.

    Raises:
        ConfigError: it cannot.
    """
    asked, name = needs(state.acquisition), state.config.acquisition.name
    members = state.config.surrogate.members * state.config.surrogate.heads
    if "members" in asked and members < 2:
        raise ConfigError(
            f"acquisition {name} needs an ensemble, but surrogate.members is {members}; set 2 or more."
        )
    if "covariance" in asked and state.config.surrogate.representation not in ("kernel", "committee"):
        raise ConfigError(
            f"acquisition {name} needs the covariance of a kernel, and surrogate.representation is "
            f"{state.config.surrogate.representation}; give kernel or committee."
        )
    if "xtb_energy" in asked:
        _check_xtb(state, name)


def _check_xtb(state: RoundState, name: str) -> None:
    from ase.data import atomic_numbers

    if not is_energy(state.config.target):
        raise ConfigError(
            f"acquisition {name} knows errors by {_METHOD} energies, and target: {state.config.target} is no "
            "energy; choose another, such as lcmd, std or log_ei."
        )

    unknown = [s for s in state.config.domain.elements if atomic_numbers[s] not in ATOM_ENERGIES[_METHOD]]
    if unknown:
        raise ConfigError(
            f"acquisition {name} needs {_METHOD} energies, and alkit has none of the element {unknown[0]}; "
            "take it out of domain.elements, or choose another acquisition."
        )
    create_baseline(GFN2)  # refuses what is not installed


def needs_xtb_energy(state: RoundState) -> bool:
    """Whether the acquisition function uses GFN2-xTB energies of candidates."""
    return "xtb_energy" in needs(state.acquisition)


def needs_covariance(state: RoundState) -> bool:
    """Whether the acquisition function uses the covariance of a kernel."""
    return "covariance" in needs(state.acquisition)


def needs_soap(state: RoundState) -> bool:
    """Whether embeddings are SOAP features: the function or the campaign file says so."""
    return on_soap(state.acquisition, state.config.acquisition.features)


def needs_geometry(state: RoundState) -> bool:
    """Whether candidates need a geometry before they are chosen.

    Networks on SMILES alone do not: only what is chosen is placed then, to be labelled.
    """
    return _sees_geometry(state) or needs_soap(state) or needs_xtb_energy(state)


def _sees_geometry(state: RoundState) -> bool:
    """Whether the surrogate, or the campaign's data set, asks for it, whatever function chooses."""
    builder = state.molecules.builder
    return builder.settings.mode == "3d" or bool(builder.needed) or builder.geometry == "dataset"


def counted_labels(state: RoundState, up_to_round: int | None = None) -> list[tuple[Candidate, float]]:
    """Training and validation labels up to this round, or another: the labels that the campaign counts."""
    last = state.round if up_to_round is None else up_to_round
    return [
        row for role in ("training", "validation") for row in state.ledger.labelled(role, up_to_round=last)
    ]


def xtb_energies(state: RoundState) -> dict[str, float]:
    """GFN2-xTB atomization energies in eV of this round's candidates and of what is labelled, by SMILES.

    A candidate that has none is rejected with the reason; a labelled molecule that has none is left out.
    """
    screened = state.ledger.candidates(round_=state.round, status=("screened",))
    smiles = [c.smiles for c in (*screened, *(c for c, _ in counted_labels(state)))]
    with state.progress.steps(f"{_METHOD} of candidates", len(smiles)) as advance:
        failed = state.molecules.place(smiles, advance, also=(GFN2,))
    reject(state.ledger, screened, failed)
    return {one: state.molecules.gfn2_energy(one) for one in smiles if one not in failed}


def candidate_pool(state: RoundState, arrays: dict[str, NDArray]) -> tuple[list[Candidate], Pool]:
    """The screened candidates, and what the acquisition function sees of them.

    Raises:
        CampaignError: the predictions are those of other candidates.
    """
    screened = state.ledger.candidates(round_=state.round, status=SCREENED)
    if arrays["ids"].tolist() != [c.id for c in screened]:
        raise CampaignError(f"{state.path(PREDICTIONS_FILE)} belongs to other candidates than the ledger's.")
    smiles = tuple(c.smiles for c in screened)
    return screened, Pool(
        smiles=smiles,
        samples=arrays["samples"],
        std=arrays["std"],
        embeddings=state.molecules.features(screened) if needs_soap(state) else arrays["embeddings"],
        cost=_expected_seconds(state, smiles),
        xtb_energy=arrays["xtb_energy"] if needs_xtb_energy(state) else None,
        covariance=_covariance(arrays) if needs_covariance(state) else None,
    )


def _covariance(arrays: dict[str, NDArray]) -> Covariance:
    return Covariance(
        arrays["covariance_factors"].astype(np.float64),
        arrays["covariance_own"],
        float(arrays["covariance_noise"]),
    )


def round_context(state: RoundState, arrays: dict[str, NDArray], target: Pool | None = None) -> RoundContext:
    """The campaign's knowledge in this round, with the part of the pool that is the target set.

    Nothing of the test set is in it.
    """
    known, embeddings = counted_labels(state, state.round - 1), arrays["labelled_embeddings"]
    xtb_energy = None
    if needs_soap(state):
        embeddings = state.molecules.features([candidate for candidate, _ in known])
    if needs_xtb_energy(state):
        has = np.isfinite(arrays["labelled_xtb_energy"])
        known, embeddings = [known[i] for i in np.flatnonzero(has)], embeddings[has]
        xtb_energy = arrays["labelled_xtb_energy"][has]
    aim = state.config.stop.target_mae
    return RoundContext(
        round=state.round,
        smiles=tuple(candidate.smiles for candidate, _ in known),
        targets=np.array([value for _, value in known]),
        embeddings=embeddings,
        rng=state.rng("acquire"),
        xtb_energy=xtb_energy,
        pending=_pending(state),
        accuracy=_accuracy(state, known) if aim is None else aim,
        target=target,
    )


def _accuracy(state: RoundState, known: list[tuple[Candidate, float]]) -> float:
    """The accuracy that a campaign aims at where its file does not say it.

    Chemical accuracy of energies; a tenth of the labels' standard deviation of another property.
    """
    if is_energy(state.config.target):
        return CHEMICAL_ACCURACY
    return max(_SHARE_OF_SPREAD * float(np.std([value for _, value in known])), 1e-9)


def _pending(state: RoundState) -> tuple[str, ...]:
    """Molecules that earlier rounds acquired and did not wait for."""
    settled = state.ledger.known()  # a late molecule may have been acquired again since, and labelled
    failed = state.ledger.candidates(status=("failed",), role="training")
    late = [c.smiles for c in failed if c.reason == DEADLINE and c.round < state.round]
    return tuple(dict.fromkeys(smiles for smiles in late if smiles not in settled))


def _expected_seconds(state: RoundState, smiles: tuple[str, ...]) -> NDArray[np.float64]:
    """``(n,)`` seconds a label should take: a power law in the number of atoms, fitted to labels so far."""
    timed = [(atoms, seconds) for atoms, seconds in state.ledger.label_seconds() if seconds > 0]
    sizes = np.array([atom_count(one) for one in smiles], dtype=np.float64)
    atoms, seconds = np.array(timed, dtype=np.float64).reshape(-1, 2).T
    if len(timed) < _FEWEST_TIMED or np.ptp(atoms) == 0:
        return np.full(len(smiles), seconds.mean() if len(timed) else 1.0)
    exponent, offset = np.polyfit(np.log(atoms), np.log(seconds), 1)
    return np.exp(offset) * sizes**exponent


def predict(state: RoundState) -> None:
    """Predict every screened candidate and keep mean, uncertainty and embedding.

    Also kept are the embeddings of labelled molecules, and xTB energies where the acquisition function needs
    them.
    """
    from surrogate import load_surrogate

    ensemble = load_surrogate(state.path("model", round_=state.round - 1))
    xtb_energy = xtb_energies(state) if needs_xtb_energy(state) else None
    screened = state.ledger.candidates(round_=state.round, status=("screened",))
    if not screened:  # none of them has an xTB energy: the campaign ends here
        return
    known = [candidate for candidate, _ in counted_labels(state)]
    with state.progress.steps("predicting", len(screened) + len(known)) as advance:
        pool, labelled = (_predicted(state, ensemble, part, advance) for part in (screened, known))
    arrays = {
        "ids": np.array([c.id for c in screened], dtype=np.int64),
        "samples": pool.samples,
        "std": pool.std,
        "half_widths": pool.std * finite_quantile(pool.calibration, LEVEL),
        "embeddings": pool.embeddings,
        "labelled_embeddings": labelled.embeddings,
    }
    if xtb_energy is not None:
        for key, molecules in (("xtb_energy", screened), ("labelled_xtb_energy", known)):
            arrays[key] = np.array([xtb_energy.get(c.smiles, np.nan) for c in molecules], dtype=np.float64)
    if needs_covariance(state):
        found = cast(Any, ensemble).covariance(state.molecules.graphs(c.smiles for c in screened))
        arrays |= {
            "covariance_factors": found.factors.astype(np.float32),
            "covariance_own": found.own,
            "covariance_noise": np.float64(found.noise),
        }
    save_predictions(state, arrays)


def _predicted(
    state: RoundState, ensemble: Surrogate, candidates: Sequence[Candidate], advance: Advance
) -> Prediction:
    """Predictions of many molecules, of whose graphs few are in memory at a time."""
    from surrogate.prediction import joined

    smiles, device = [one.smiles for one in candidates], state.config.surrogate.device
    if _by_workers(state, ensemble, len(smiles)):
        model = prediction.SavedModel.at(state.path("model", round_=state.round - 1))
        found = []
        for part in in_order(state.labels.engine, model.prediction, prediction.parts_of(smiles)):
            advance(len(part.std))
            found.append(part)
        return joined(found)
    parts = [smiles[start : start + _TOGETHER] for start in range(0, len(smiles), _TOGETHER)] or [[]]
    return joined(
        [ensemble.predict(state.molecules.graphs(p), device=device, on_batch=advance) for p in parts]
    )


def _by_workers(state: RoundState, ensemble: Surrogate, count: int) -> bool:
    """Whether the engine's workers predict so many molecules."""
    section = state.config.simulator
    roomy = section.memory_limit is None or section.memory_limit >= _GB_OF_TORCH
    able = roomy and section.timeout >= _SECONDS_OF_A_PART and section.workers > 1
    return able and count >= prediction.MANY and prediction.in_parts(ensemble, state.config.surrogate.device)


def acquire(state: RoundState) -> None:
    """Let the acquisition function choose the batch; what has no geometry fails."""
    arrays = read_predictions(state)
    # The function may ask for more since it was changed.
    if not _sees_geometry(state) and needs_geometry(state) and _reject_unplaced(state):
        predict(state)
        arrays = read_predictions(state)
    wanted = {"xtb_energy": needs_xtb_energy(state), "covariance_factors": needs_covariance(state)}
    if any(needed and name not in arrays for name, needed in wanted.items()):
        predict(state)
        arrays = read_predictions(state)
    asked = question(state, arrays)
    name, scores = state.config.acquisition.name, list[Any]()
    # Nobody asks what the molecules of a pool were worth, and a large one takes a while.
    pools = all(isinstance(section, PoolConfig) for section in state.config.proposers)
    acquisition = state.acquisition if pools else recorded(state.acquisition, scores)
    picked = select(acquisition, name, asked.pool, asked.context, state.config.batch_size)
    save_values(state, asked.pool, scores)
    chosen = {int(asked.offered[index]) for index in picked}
    failed = state.molecules.place([asked.screened[index].smiles for index in sorted(chosen)])
    for index, candidate in enumerate(asked.screened):
        if index in chosen and (error := failed.get(candidate.smiles)):
            reason, detail = words_of(error)
            state.ledger.mark(candidate.id, "failed", reason=reason, detail=detail)
        else:
            state.ledger.mark(candidate.id, "acquired" if index in chosen else "not_acquired")


def _reject_unplaced(state: RoundState) -> bool:
    """Reject screened candidates without a geometry; whether there was one."""
    screened = state.ledger.candidates(round_=state.round, status=("screened",))
    failed = state.molecules.place([candidate.smiles for candidate in screened])
    reject(state.ledger, screened, failed)
    return bool(failed)


def question(state: RoundState, arrays: dict[str, NDArray]) -> Question:
    """The inputs of the acquisition function in this round, also once it is over.

    Raises:
        CampaignError: the predictions are those of other candidates, or none may be acquired.
    """
    screened, pool = candidate_pool(state, arrays)
    rows = target_set.rows(state, screened)
    context = round_context(state, arrays, None if rows is None else pool[rows])
    offered = target_set.offered(state, len(pool), rows)
    return Question(screened, offered, pool[offered], context)
