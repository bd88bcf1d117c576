"""The stages of a round, each a function of the state.

A stage reads what earlier ones left in the ledger and the round's folder, and leaves its own there. It may be
killed and run again: what it draws comes from a seed of its round and purpose, and the ledger keeps either
all of its rows or, for labels, every one that arrived.
"""

import csv
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alkit import candidates, evaluation, pretraining, proposers
from alkit.acquisition.base import Pool, RoundContext, select
from alkit.errors import CampaignError, ConfigError, LabelError
from alkit.inputs import baseline_energies, model_settings, training_settings
from alkit.labelling import label_batch
from alkit.ledger import Candidate, Role, Status
from alkit.models import Provenance
from alkit.molecules import flat
from alkit.proposers import gan
from alkit.proposers.learning import recorded, save_values
from alkit.state import RoundState, replace_file

Stage = Callable[[RoundState], None]


def start(state: RoundState) -> None:
    """Draw the test, validation and first training molecules at random, and label them."""
    if not state.ledger.candidates(round_=0):
        _draw_start(state)
        state.ledger.commit()
    label_batch(state, state.ledger.candidates(round_=0, status=("acquired",)))
    for role in ("test", "validation", "training"):
        if len(state.ledger.labelled(role)) < 2:
            raise CampaignError(
                f"{_failures(state)}; fewer than 2 {role} molecules have a label, so nothing can start."
            )


def _draw_start(state: RoundState) -> None:
    sizes: dict[Role, int] = {
        "test": state.config.start.test,
        "validation": state.config.start.validation,
        "training": state.config.start.training,
    }
    seeds, graphs = state.seed_molecules, dict[str, Role]()
    order = iter(state.rng("start").permutation(len(seeds)))
    with state.progress.steps("drawing start molecules", sum(sizes.values())) as advance:
        for role, size in sizes.items():
            found = 0
            while found < size:
                index = next(order, None)
                if index is None:
                    raise ConfigError(
                        f"start asks for {sum(sizes.values())} molecules, and the seeds hold {len(seeds)} in "
                        "the domain, not all usable; lower start.training, .validation or .test."
                    )
                # Stereoisomers share a set: what is tested must not be known from its mirror image.
                if graphs.setdefault(flat(seeds[index]), role) == role and _admit(state, seeds[index], role):
                    found += 1
                    advance(1)


def _admit(state: RoundState, smiles: str, role: Role) -> bool:
    """Take a molecule into the start sets, if it has a geometry."""
    state.ledger.add_candidates(0, [smiles], status="acquired", role=role)
    try:
        state.place(smiles)
    except LabelError as error:
        last = state.ledger.candidates(round_=0)[-1]
        state.ledger.mark(last.id, "rejected", reason=error.reason, detail=error.detail)
        return False
    return True


def propose(state: RoundState) -> None:
    """Ask the proposer for candidates."""
    section = state.config.proposer
    found = proposers.proposals(proposers.build(state), section.kind, section.count, proposers.context(state))
    state.ledger.add_candidates(state.round, found)


def screen(state: RoundState) -> None:
    """Drop what is invalid, repeated, known, outside the domain or without a geometry, with the reason."""
    taken, seen = state.ledger.known(), set[str]()
    held_out = candidates.held_out_graphs(taken.values())
    proposed = state.ledger.candidates(round_=state.round, status=("proposed",))
    with state.progress.steps("screening", len(proposed)) as advance:
        for candidate in proposed:
            verdict = candidates.examine(candidate.smiles, state.config.domain, taken, seen, held_out)
            reason, detail = verdict.reason, verdict.detail
            if not reason:
                seen.add(verdict.smiles)
                try:
                    state.place(verdict.smiles)
                except LabelError as error:
                    reason, detail = error.reason, error.detail
            status: Status = "rejected" if reason else "screened"
            state.ledger.mark(candidate.id, status, reason=reason, detail=detail, smiles=verdict.smiles)
            advance(1)


def predict(state: RoundState) -> None:
    """Mean, uncertainty and embedding of every screened candidate, and the embeddings of what is labelled."""
    from surrogate import Ensemble

    ensemble = Ensemble.load(state.path("model", round_=state.round - 1))
    screened = state.ledger.candidates(round_=state.round, status=("screened",))
    known = [candidate for candidate, _ in _counted_labels(state)]
    with state.progress.steps("predicting", len(screened) + len(known)) as advance:
        device = state.config.surrogate.device
        pool = ensemble.predict(state.graphs(c.smiles for c in screened), device=device, on_batch=advance)
        labelled = ensemble.predict(state.graphs(c.smiles for c in known), device=device, on_batch=advance)
    arrays = {
        "ids": np.array([c.id for c in screened], dtype=np.int64),
        "samples": pool.samples,
        "std": pool.std,
        "embeddings": pool.embeddings,
        "labelled_embeddings": labelled.embeddings,
    }
    replace_file(state.path("predictions.npz"), lambda path: np.savez_compressed(path, **arrays))


def acquire(state: RoundState) -> None:
    """Let the acquisition function choose the batch."""
    arrays = _read_predictions(state.path("predictions.npz"))
    screened = state.ledger.candidates(round_=state.round, status=("screened",))
    if arrays["ids"].tolist() != [c.id for c in screened]:
        raise CampaignError(f"{state.path('predictions.npz')} belongs to other candidates than the ledger's.")
    pool = Pool(
        smiles=tuple(c.smiles for c in screened),
        samples=arrays["samples"],
        std=arrays["std"],
        embeddings=arrays["embeddings"],
        cost=_expected_seconds(state, [c.smiles for c in screened]),
    )
    known = _counted_labels(state)
    context = RoundContext(
        round=state.round,
        smiles=tuple(candidate.smiles for candidate, _ in known),
        targets=np.array([value for _, value in known]),
        embeddings=arrays["labelled_embeddings"],
        rng=state.rng("acquire"),
    )
    name = state.config.acquisition.name
    scores: list[Any] = []
    acquisition = recorded(state.acquisition, scores)
    chosen = set(select(acquisition, name, pool, context, state.config.batch_size))
    save_values(state, pool, scores)
    for index, candidate in enumerate(screened):
        state.ledger.mark(candidate.id, "acquired" if index in chosen else "not_acquired")


def _read_predictions(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, zipfile.BadZipFile):
        raise CampaignError(
            f"{path} is missing or damaged; put the folder's files back, or start a new campaign."
        ) from None


def label(state: RoundState) -> None:
    """Label the batch in worker processes; every label is on disk the moment it arrives."""
    label_batch(state, state.ledger.candidates(round_=state.round, status=("acquired",)))


def train(state: RoundState) -> None:
    """The surrogate learns from all labels so far, and the generator from all molecules so far."""
    if not (state.path("model") / "ensemble.json").exists():  # written last: the ensemble is complete
        _train_surrogate(state)
    gan.train(state)


def _train_surrogate(state: RoundState) -> None:
    from surrogate import Ensemble

    settings = state.config.surrogate.model_dump()
    sets = {}
    for role in ("training", "validation"):
        rows = state.ledger.labelled(role, up_to_round=state.round)
        sets[role] = (state.graphs(c.smiles for c, _ in rows), np.array([value for _, value in rows]))
    start = None
    if settings["warm_start"] and state.round > 0:
        start = Ensemble.load(state.path("model", round_=state.round - 1))
    elif settings["learning"] == "pretrain":
        start = pretraining.pretrained(state)
    with state.progress.steps("training", settings["members"] * settings["epochs"]) as advance:
        ensemble = Ensemble.fit(
            model_settings(state.config),
            training_settings(state.config),
            training=sets["training"],
            validation=sets["validation"],
            members=settings["members"],
            seed=state.seed("train"),
            warm_start=start,
            on_epoch=lambda member, epoch, row: advance(1),
        )
    replace_file(state.path("training.csv"), lambda path: _write_histories(path, ensemble))
    counted = sum(len(labels) for _, labels in sets.values())
    geometry, conformers = settings["geometry"], settings["conformers"]
    provenance = Provenance(geometry, state.config.seed, conformers, str(state.ledger.level), counted)
    provenance.save(state.path("model"))
    ensemble.save(state.path("model"))


def evaluate(state: RoundState) -> None:
    """Errors on the fixed test set beside the trivial baselines; validation errors for the stop rules."""
    from surrogate import Ensemble

    ensemble = Ensemble.load(state.path("model"))
    labelled, test = _counted_labels(state), state.ledger.labelled("test")
    smiles, truth = [c.smiles for c, _ in test], np.array([value for _, value in test])
    graphs = state.graphs(smiles)
    predicted = ensemble.predict(graphs, device=state.config.surrogate.device)
    metrics = evaluation.error_metrics(truth, predicted.mean, predicted.std, predicted.calibration)
    known = [c.smiles for c, _ in labelled]
    cheap = baseline_energies(state.graphs(known)), baseline_energies(graphs)
    metrics |= evaluation.baseline_metrics(
        known,
        np.array([v for _, v in labelled]),
        smiles,
        truth,
        cheap=cheap if ensemble.settings.baseline else None,
    )
    metrics |= {
        "labels": len(labelled),
        "test_size": len(test),
        "validation_mae": _validation_mae(state, ensemble),
    }
    if state.config.surrogate.learning == "pretrain":
        metrics["cheap_labels"] = float(pretraining.cheap_labels(state))
    state.ledger.add_metrics(state.round, metrics)
    # Of the narrowest central interval that holds each label: evenly spread where intervals are honest.
    levels = predicted.calibration.probability(np.abs(predicted.mean - truth) / predicted.std)

    def write(path: Path) -> None:
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["smiles", "label_eV", "prediction_eV", "std_eV", "interval_level"])
            rows.writerows(zip(smiles, truth, predicted.mean, predicted.std, levels, strict=True))

    replace_file(state.path("test_predictions.csv"), write)


def _validation_mae(state: RoundState, ensemble) -> float:
    rows = state.ledger.labelled("validation")
    device = state.config.surrogate.device
    predicted = ensemble.predict(state.graphs(c.smiles for c, _ in rows), device=device)
    return float(np.abs(predicted.mean - [value for _, value in rows]).mean())


def _counted_labels(state: RoundState) -> list[tuple[Candidate, float]]:
    """Training and validation labels up to this round: the labels that the campaign counts."""
    return [
        row
        for role in ("training", "validation")
        for row in state.ledger.labelled(role, up_to_round=state.round)
    ]


def _expected_seconds(state: RoundState, smiles: list[str]) -> NDArray[np.float64]:
    """``(n,)`` seconds a label should take: a power law in the number of atoms, fitted to labels so far."""
    timed = [(atoms, seconds) for atoms, seconds in state.ledger.label_seconds() if seconds > 0]
    sizes = np.array([len(state.molecule(one).numbers) for one in smiles], dtype=np.float64)
    atoms, seconds = np.array(timed, dtype=np.float64).reshape(-1, 2).T
    if len(timed) < 10 or np.ptp(atoms) == 0:
        return np.full(len(smiles), seconds.mean() if len(timed) else 1.0)
    exponent, offset = np.polyfit(np.log(atoms), np.log(seconds), 1)
    return np.exp(offset) * sizes**exponent


def _failures(state: RoundState) -> str:
    failed = Counter(c.reason for c in state.ledger.candidates(round_=state.round, status=("failed",)))
    told = ", ".join(f"{count} {reason}" for reason, count in failed.most_common())
    return f"Labels failed ({told})" if told else "No label failed"


def _write_histories(path: Path, ensemble) -> None:
    with path.open("w", newline="") as file:
        names = sorted({name for history in ensemble.histories for row in history.epochs for name in row})
        rows = csv.DictWriter(file, ["member", "epoch", *names])
        rows.writeheader()
        for member, history in enumerate(ensemble.histories):
            for epoch, row in enumerate(history.epochs):
                rows.writerow({"member": member, "epoch": epoch, **row})


STAGES: dict[str, Stage] = {
    "propose": propose,
    "screen": screen,
    "predict": predict,
    "acquire": acquire,
    "label": label,
    "train": train,
    "evaluate": evaluate,
}
FIRST_STAGES: dict[str, Stage] = {"start": start, "train": train, "evaluate": evaluate}


def stages_of(round_: int) -> dict[str, Stage]:
    """Round 0 is the random start; every later round has all seven stages."""
    return STAGES if round_ else FIRST_STAGES
