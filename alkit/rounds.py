"""The stages of a round, each a function of the state.

A stage reads what earlier ones left in the ledger and the round's folder, and leaves its own there. It may be
killed and run again: what it draws comes from a seed of its round and purpose, and the ledger keeps either
all of its rows or, for labels, every one that arrived.
"""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alkit import candidates, pools, pretraining, proposers
from alkit.acquisition.base import select
from alkit.errors import CampaignError, ConfigError, LabelError
from alkit.files import replace_file
from alkit.labelling import label_batch
from alkit.models import metrics as evaluation
from alkit.models.graphs import baseline_energies, model_settings, training_settings
from alkit.models.store import Provenance
from alkit.molecules.molecule import without_stereo
from alkit.proposers import gan
from alkit.proposers.learning import recorded, save_values
from alkit.state import RoundState
from alkit.storage.ledger import Role, Status

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
                if graphs.setdefault(without_stereo(seeds[index]), role) == role and _admit(
                    state, seeds[index], role
                ):
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
    """Mean, uncertainty and embedding of every screened candidate, and the embeddings of what is labelled;
    with their cheap energies, where the acquisition function needs them."""
    from surrogate import Ensemble

    ensemble = Ensemble.load(state.path("model", round_=state.round - 1))
    cheap = pools.cheap_energies(state) if pools.needs_cheap(state) else None
    screened = state.ledger.candidates(round_=state.round, status=("screened",))
    if not screened:  # none of them has a cheap energy: the campaign ends here
        return
    known = [candidate for candidate, _ in pools.counted_labels(state)]
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
    if cheap is not None:
        for key, molecules in (("cheap", screened), ("labelled_cheap", known)):
            arrays[key] = np.array([cheap.get(c.smiles, np.nan) for c in molecules], dtype=np.float64)
    pools.save_predictions(state, arrays)


def acquire(state: RoundState) -> None:
    """Let the acquisition function choose the batch."""
    arrays = pools.read_predictions(state)
    if pools.needs_cheap(state) and "cheap" not in arrays:  # it asks since it was mended
        predict(state)
        arrays = pools.read_predictions(state)
    screened, pool = pools.pool(state, arrays)
    name, scores = state.config.acquisition.name, list[Any]()
    acquisition = recorded(state.acquisition, scores)
    context = pools.context(state, arrays)
    chosen = set(select(acquisition, name, pool, context, state.config.batch_size))
    save_values(state, pool, scores)
    for index, candidate in enumerate(screened):
        state.ledger.mark(candidate.id, "acquired" if index in chosen else "not_acquired")


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
    labelled, test = pools.counted_labels(state), state.ledger.labelled("test")
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
