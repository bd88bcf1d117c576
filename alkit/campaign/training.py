"""The train stage: the surrogate learns from all labels, the generator from all molecules."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.campaign import pretraining, target_set
from alkit.campaign.build_proposers import FEWEST_MOLECULES, GENERATOR_FILE, generator_settings
from alkit.campaign.proposing import acquired_molecules, learned_molecules, values
from alkit.campaign.round_state import RoundState
from alkit.engines.training import InTurn, training_processes
from alkit.files import replace_file
from alkit.models.graphs import training_settings, unseen_elements
from alkit.models.store import Provenance
from alkit.models.tiers import tier_of_config
from alkit.molecules.molecule import without_stereo
from alkit.storage.ledger import Candidate

if TYPE_CHECKING:
    from generator import GeneratorSettings
    from generator.training import TrainingHistory

_WORTH_A_PROCESS = 100  # updates of the generator: seconds, as a process takes to load torch


def train(state: RoundState) -> None:
    """The surrogate learns from all labels so far, and the generator from all molecules so far, at once."""
    with train_generator(state):
        if not (state.path("model") / "ensemble.json").exists():  # written last: the ensemble is complete
            _train_surrogate(state)


def _train_surrogate(state: RoundState) -> None:
    from surrogate import fit_surrogate, load_surrogate

    surrogate, builder = state.config.surrogate, state.molecules.builder
    training, validation = (
        state.ledger.labelled(role, up_to_round=state.round) for role in ("training", "validation")
    )
    start = None
    if surrogate.warm_start and state.round > 0:
        start = load_surrogate(state.path("model", round_=state.round - 1))
    elif surrogate.pretraining is not None:
        start = pretraining.pretrained(state, surrogate.pretraining)
    learned = _learnable(state, training)
    with state.progress.epochs(
        surrogate.members * surrogate.epochs, unit=state.ledger.quantity.unit
    ) as on_epoch:
        ensemble = fit_surrogate(
            builder.settings,
            training_settings(state.config),
            training=learned,
            validation=_learnable(state, validation) if validation else None,
            members=surrogate.members,
            seed=state.seed("train"),
            left_out=None if validation else folds(state, training),
            drawn=None if validation else drawn_at_random(training),
            warm_start=start,
            on_epoch=on_epoch,
            processes=training_processes(),
        )
    replace_file(state.path("training.csv"), lambda path: _write_histories(path, ensemble))
    counted = len(training) + len(validation)
    level, quantity = str(state.ledger.level), state.ledger.quantity
    provenance = Provenance(
        builder.geometry,
        builder.seed,
        builder.conformers,
        level,
        counted,
        baselines=builder.baselines,
        unseen=unseen_elements(builder.settings.elements, learned[0]),
        tier=tier_of_config(state.config),
        energy="atomization" if quantity.energy else "scalar",
        target=quantity.name,
        unit=quantity.unit,
    )
    if provenance.warning:
        state.progress.say(provenance.warning, warning=True)
    provenance.save(state.path("model"))
    ensemble.save(state.path("model"))


_Rows = list[tuple[Candidate, float]]


def _learnable(state: RoundState, rows: _Rows) -> tuple[list[Any], NDArray[np.float64]]:
    return state.molecules.graphs(c.smiles for c, _ in rows), np.array([value for _, value in rows])


def folds(state: RoundState, training: _Rows) -> NDArray[np.bool_]:
    """Which members each training molecule is left out of, in a campaign without a validation set."""
    from surrogate.fitting import folds_for

    return folds_for(
        state.molecules.builder.settings,
        [without_stereo(c.smiles) for c, _ in training],
        state.config.surrogate.members,
    )


def drawn_at_random(training: _Rows) -> NDArray[np.bool_]:
    """Which training molecules nobody chose: those of the start."""
    return np.array([candidate.round == 0 for candidate, _ in training])


def _write_histories(path: Path, ensemble) -> None:
    with path.open("w", newline="") as file:
        names = sorted({name for history in ensemble.histories for row in history.epochs for name in row})
        rows = csv.DictWriter(file, ["member", "epoch", *names])
        rows.writeheader()
        for member, history in enumerate(ensemble.histories):
            for epoch, row in enumerate(history.epochs):
                rows.writerow({"member": member, "epoch": epoch, **row})


def _learning_weights(state: RoundState, smiles: list[str], replay: float) -> list[float]:
    """How often the generator learns from each molecule.

    Acquired molecules count more. Where the target set is known as a distribution, all together have that
    distribution.
    """
    acquired, marginals = set(acquired_molecules(state)), target_set.distribution(state)
    shares = marginals.weights(smiles) * len(smiles) if marginals else np.ones(len(smiles))
    repeats = np.array([replay if one in acquired else 1.0 for one in smiles])
    return [float(weight) for weight in shares * repeats]


@dataclass(frozen=True)
class _GeneratorTraining:
    """A round's training of the generator, as another process can do it."""

    start: GeneratorSettings | Path  # or the file of the round before
    initial_seed: int
    smiles: list[str]
    steps: int
    novelty_steps: int
    adversarial_steps: int
    seed: int
    weights: list[float]
    values: dict[str, float] | None
    steering: float
    out: Path

    @property
    def updates(self) -> int:
        return self.steps + self.novelty_steps + self.adversarial_steps

    def run(self, on_update: Callable[[], None]) -> TrainingHistory:
        from generator import GraphGAN
        from surrogate.parallel import one_thread

        with one_thread():
            if isinstance(self.start, Path):
                gan = GraphGAN.load(self.start)
            else:
                gan = GraphGAN(self.start, seed=self.initial_seed)
            history = gan.fit(
                self.smiles,
                steps=self.steps,
                novelty_steps=self.novelty_steps,
                adversarial_steps=self.adversarial_steps,
                seed=self.seed,
                weights=self.weights,
                values=self.values,
                steering=self.steering,
                on_progress=lambda done, total: on_update(),
            )
        replace_file(self.out, partial(gan.save))
        return history


@contextmanager
def train_generator(state: RoundState) -> Iterator[None]:
    """Train the generator of this round beside the block of a `with`, where there are cores for both.

    It learns from the seeds at first, then from acquired molecules too. It is steered by what the round's
    candidates were worth to the acquisition function.
    """
    if state.config.generator is None:
        yield
        return
    training, scored = _generator_training(state)
    processes = training_processes() if training.updates >= _WORTH_A_PROCESS else InTurn()
    with state.progress.steps("training the generator", training.updates) as advance:
        job: Any = processes.submit(_GeneratorTraining.run, training, on_progress=partial(advance, 1))
        try:
            yield
        except BaseException:
            job.cancel()
            raise
        history = processes.results([job])[0]
    if history.warning:
        state.progress.say(f"generator: {history.warning}", warning=True)
    elif training.values:
        steered = "steered" if history.steered else "not steered"
        state.progress.say(
            f"generator: {steered}, its reward head orders candidates it has not seen with a rank "
            f"correlation of {history.steering:.2f}"
        )
    elif scored:
        state.progress.say(f"generator: not steered, {scored} candidates are too few or worth the same")


def _generator_training(state: RoundState) -> tuple[_GeneratorTraining, int]:
    """Collect what the generator learns in this round; count the candidates with a worth to steer by."""
    from generator.graphs import learnable
    from generator.settings import NOVELTY_STEPS

    section, domain = state.config.generator, generator_settings(state.config)
    assert section is not None
    smiles = learnable(learned_molecules(state), domain)
    scores = values(state, state.round) if section.steering else {}
    worth = {one: scores[one] for one in learnable(scores, domain)}
    enough = len({without_stereo(one) for one in worth}) >= FEWEST_MOLECULES and len(set(worth.values())) > 1
    training = _GeneratorTraining(
        start=state.path(GENERATOR_FILE, round_=state.round - 1) if state.round else domain,
        initial_seed=state.seed("generator"),
        smiles=smiles,
        steps=section.steps_per_round if state.round else section.steps,
        novelty_steps=NOVELTY_STEPS if section.novelty else 0,
        adversarial_steps=section.adversarial_steps,
        seed=state.seed("generator training"),
        weights=_learning_weights(state, smiles, section.replay),
        values=worth if enough else None,
        steering=section.steering if enough else 0.0,
        out=state.path(GENERATOR_FILE),
    )
    return training, len(worth) if scores else 0
