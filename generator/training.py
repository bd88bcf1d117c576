"""GraphGAN: training, sampling and saving.

Training has three parts. The first raises the likelihood of the training molecules, each written in a new
random order every time. This takes a generator to the distribution of the training set, and no molecule is
forgotten (mode collapse). The second, where it is asked for, learns from draws that are new and of the same
make-up (`generator.novelty`). The third plays against a critic (WGAN-GP,
https://doi.org/10.48550/arXiv.1704.00028). Drawn tokens have no gradient, so the critic's opinion is a reward
(REINFORCE, as in SeqGAN, https://doi.org/10.48550/arXiv.1609.05473). Other rewards are for what steering
asks, and for staying near the start (Kullback-Leibler divergence,
https://doi.org/10.48550/arXiv.1611.02796). The later parts start from the first each time, so that they
cannot drift away over the rounds of a campaign (docs/decisions/016).
"""

from __future__ import annotations

import copy
import io
import math
import os
import pickle
import secrets
import time
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from generator.adversarial import Game, pick, take_step
from generator.errors import GeneratorError
from generator.graphs import GraphSet, largest_valences, read_training_set
from generator.language import Language
from generator.networks import GraphCritic, TokenGenerator, reset_parameters
from generator.novelty import NoveltyUpdate, weighted_draws, written_likelihood
from generator.rings import ring_patterns
from generator.sampling import draw_mixed, stream
from generator.settings import GeneratorSettings
from generator.steering import Steering, check_values

_FORMAT = 2
_AVERAGING = 0.995
_CHECK_EVERY = 50
_BLOWN_UP = 1e6


@dataclass(frozen=True)
class TrainingHistory:
    """A record of one call of `fit`.

    Attributes:
        steps: updates kept in this call, of all parts.
        total_steps: updates over the model's life.
        seconds: wall time.
        likelihood: nats per molecule (negative), one value a likelihood update.
        critic: estimated Wasserstein distance, one value an adversarial update.
        known: share of draws that are training molecules, likewise.
        strange: share of draws with a ring pattern that no training molecule has, likewise.
        steering: rank correlation of the reward head with values it was not trained on; NaN without steering.
        steered: whether that was better than chance, so that draws were steered.
        warning: why training stopped early, or None.
    """

    steps: int
    total_steps: int
    seconds: float
    likelihood: tuple[float, ...] = field(repr=False)
    critic: tuple[float, ...] = field(repr=False)
    known: tuple[float, ...] = field(repr=False)
    strange: tuple[float, ...] = field(repr=False)
    steering: float = math.nan
    steered: bool = False
    warning: str | None = None


class GraphGAN:
    """A generator of small neutral molecules, learned from SMILES.

    Args:
        settings: elements, sizes and rates.
        seed: of the initial weights.
    """

    def __init__(self, settings: GeneratorSettings, *, seed: int) -> None:
        self.settings = settings
        self.total_steps = 0
        self.steered = False  # whether the last `fit` steered
        self.known: frozenset[str] = frozenset()
        self.familiar: frozenset[str] = frozenset()
        self._language = Language(settings.max_atoms, (0,) * len(settings.elements))
        random = _generator(seed)
        self._likely = TokenGenerator(self._language, settings.hidden)
        self._critic = GraphCritic(settings)
        for module in (self._likely, self._critic):
            reset_parameters(module, random)
        self._average = copy.deepcopy(self._likely).requires_grad_(False)
        self._generator = copy.deepcopy(self._likely)
        self._likely_optimizer = torch.optim.Adam(self._likely.parameters(), lr=settings.learning_rate)
        self._critic_optimizer = torch.optim.Adam(
            self._critic.parameters(), lr=settings.learning_rate / 2, betas=(0.0, 0.9)
        )

    def fit(
        self,
        smiles: Sequence[str],
        *,
        steps: int,
        novelty_steps: int = 0,
        adversarial_steps: int = 200,
        seed: int,
        weights: Sequence[float] | None = None,
        values: Mapping[str, float] | None = None,
        steering: float = 0.0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> TrainingHistory:
        """Continue training from the present weights; `smiles` replaces the training set of earlier calls.

        Args:
            smiles: neutral, connected molecules in the alphabet and size of the settings; 20 or more.
            steps: likelihood updates, at least 1.
            novelty_steps: updates for novelty after them, 0 or more; see `generator.novelty`.
            adversarial_steps: updates against the critic after those, 0 or more.
            seed: of every draw in this call.
            weights: relative sampling weight of each molecule, 0 or more; equal where absent.
            values: worth by SMILES, such as scores of the acquisition function; any unit. No effect if the
                reward head orders unseen values no better than chance.
            steering: pull of draws to high values: 0 none, 1 as strong as to what the critic takes for real;
                needs `values` of at least 20 molecules.
            on_progress: called with (updates done, updates in all) after each update.

        Raises:
            GeneratorError: bad arguments or molecules, before any weight has changed.
        """
        counts = {"steps": steps, "novelty_steps": novelty_steps, "adversarial_steps": adversarial_steps}
        for name, count in counts.items():
            least = int(name == "steps")
            if isinstance(count, bool) or not isinstance(count, int) or count < least:
                raise GeneratorError(f"{name} is {count!r}; give a whole number of at least {least}.")
        worth = check_values(values, steering, self.settings)
        random = _generator(seed)
        graphs = read_training_set(smiles, self.settings, weights)
        start, first = time.perf_counter(), self.total_steps
        self._learn_chemistry(graphs)
        counter = _Counter(sum(counts.values()), on_progress)
        likelihood, warning = self._run(
            "likelihood", steps, counter, lambda: self._raise_likelihood(graphs, random), self._likely
        )
        self._generator.load_state_dict(self._average.state_dict())
        if warning is None and novelty_steps:
            warning = self._learn_novelty(graphs, novelty_steps, counter, random)
        played: list[tuple[float, float, float]] = []
        correlation, self.steered = math.nan, False
        if warning is None and adversarial_steps:
            head = Steering.fit(worth, self.settings, steering, random) if worth else None
            correlation = math.nan if head is None else head.rank_correlation
            self.steered = head is not None and head.convincing  # one that has learned nothing leads nowhere
            game = self._game(graphs, head if self.steered else None, random)
            played, warning = self._run("adversarial", adversarial_steps, counter, game.play, self._generator)
        return TrainingHistory(
            self.total_steps - first,
            self.total_steps,
            time.perf_counter() - start,
            tuple(likelihood),
            *_columns(played),
            correlation,
            self.steered,
            warning,
        )

    def _game(self, graphs: GraphSet, head: Steering | None, random: torch.Generator) -> Game:
        return Game(
            self.settings,
            self._language,
            self._generator,
            copy.deepcopy(self._generator).requires_grad_(False),
            self._critic,
            self._critic_optimizer,
            graphs,
            self.known,
            self.familiar,
            head,
            random,
        )

    def _learn_novelty(
        self, graphs: GraphSet, steps: int, counter: _Counter, random: torch.Generator
    ) -> str | None:
        """Learn from weighted draws of the likelihood part, as that part does from the training set."""
        draws = weighted_draws(
            self._average, self._language, self.settings, graphs, self.known, self.familiar, random
        )
        if draws is None:
            return None
        update = NoveltyUpdate(
            self._generator, self._language, draws, 2 * self.settings.batch_size, steps, random
        )
        return self._run("novelty", steps, counter, update, self._generator)[1]

    def _learn_chemistry(self, graphs: GraphSet) -> None:
        """Add a training set's valences, molecules and ring patterns to those of earlier sets."""
        seen = largest_valences(graphs, self.settings.elements)
        valences = tuple(map(max, self._language.valences, seen))
        self._language = Language(self.settings.max_atoms, valences)
        self.known |= frozenset(graphs.smiles)
        self.familiar |= frozenset().union(*(ring_patterns(molecule) for molecule in graphs.molecules))

    def _run(
        self, name: str, steps: int, counter: _Counter, update: Callable[[], Any], learning: nn.Module
    ) -> tuple[list[Any], str | None]:
        """Make so many updates; one that diverges ends them, at the last sound weights."""
        results: list[Any] = []
        good, kept = self._weights(), 0
        for done in range(1, steps + 1):
            results.append(update())
            self.total_steps += 1
            check = done % _CHECK_EVERY == 0 or done == steps
            if _diverged(results[-1]) or (check and not _is_finite(learning, self._critic)):
                self._restore(good)
                return results[:kept], (
                    f"Training diverged at {name} update {done} of {steps}; the weights of update {kept} "
                    "were kept. Lower learning_rate or adversarial_rate."
                )
            if check:
                good, kept = self._weights(), done
            counter.advance()
        return results, None

    def _raise_likelihood(self, graphs: GraphSet, random: torch.Generator) -> float:
        rows = pick(graphs.weights, self.settings.batch_size, random)
        nodes, bonds = graphs.nodes[rows], graphs.bonds[rows]
        loss = -written_likelihood(self._likely, self._language, nodes, bonds, random).mean()
        take_step(loss, self._likely, self._likely_optimizer)
        with torch.no_grad():
            for slow, fast in zip(self._average.parameters(), self._likely.parameters(), strict=True):
                slow.lerp_(fast, max(1.0 - _AVERAGING, 1.0 / (self.total_steps + 1)))
        return float(loss.detach())

    def sample(
        self, n: int, *, seed: int, unique: bool = False, novel_against: Collection[str] = ()
    ) -> list[str]:
        """`n` canonical SMILES of valid, neutral, connected molecules; see `stream`."""
        return list(self.stream(n, seed=seed, unique=unique, novel_against=novel_against))

    def stream(
        self, n: int, *, seed: int, unique: bool = False, novel_against: Collection[str] = ()
    ) -> Iterator[str]:
        """Draw canonical SMILES one by one; the same for the same seed.

        Args:
            n: how many; fewer come where 50 draws for each do not give so many that are unique and novel.
            seed: of the draws.
            unique: no molecule twice.
            novel_against: canonical SMILES without stereo that are left out; `known` has all training
                molecules.

        Raises:
            GeneratorError: `n` is not a whole number of at least 1, or the model has not been trained.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise GeneratorError(f"n is {n!r}; give a whole number of at least 1.")
        if not self.known:
            raise GeneratorError("The generator has not been trained; call fit first.")
        random = _generator(seed)

        def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
            networks = self._generator, self._average
            share = 0.0 if self.steered else self.settings.likely_share
            return draw_mixed(networks, share, self._language, count, random)

        return stream(draw, self.settings.elements, self.familiar, n, unique=unique, known=novel_against)

    def save(self, path: Path) -> None:
        """Write all that training needs to go on as if it had not stopped; replaces `path` in one move."""
        target = Path(path)
        state = {
            "format": _FORMAT,
            "settings": asdict(self.settings),
            "valences": list(self._language.valences),
            "known": sorted(self.known),
            "familiar": sorted(self.familiar),
            "steered": self.steered,
            **self._weights(),
        }
        scratch = target.with_name(f".{target.stem}.part.{secrets.token_hex(8)}{target.suffix}")
        try:
            content = io.BytesIO()  # torch's own error of a full disk is no OSError
            torch.save(state, content)
            with scratch.open("xb") as file:  # new: a link there would be refused
                file.write(content.getbuffer())
            os.replace(scratch, target)
        finally:
            scratch.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> GraphGAN:
        """Read a file of `save`; no code in it is run.

        Raises:
            GeneratorError: there is no such file, or it is not a generator of this format.
        """
        if not Path(path).is_file():
            raise GeneratorError(f"There is no generator file {path}; give a file written by GraphGAN.save.")
        try:
            with zipfile.ZipFile(path) as archive:  # torch does not look at its check sums
                if damaged := archive.testzip():
                    raise ValueError(f"the check sum of {damaged} is wrong")
            with warnings.catch_warnings(action="ignore"):  # what torch says of a damaged file
                state = torch.load(path, weights_only=True, map_location="cpu")
            if not isinstance(state, dict):
                raise TypeError("a dictionary is expected")
            if state["format"] != _FORMAT:
                raise GeneratorError(
                    f"{path} has format {state['format']}, this version reads {_FORMAT}; train it again."
                )
            model = cls(GeneratorSettings(**state["settings"]), seed=0)
            model.known, model.familiar = _texts(state["known"]), _texts(state["familiar"])
            valences = tuple(state["valences"])
            if len(valences) != len(model.settings.elements) or not all(type(v) is int for v in valences):
                raise TypeError("valences are a whole number for each element")
            model._language = Language(model.settings.max_atoms, valences)
            model.steered = bool(state.get("steered", False))  # earlier files do not say
            model._restore(state)
        except GeneratorError:
            raise
        except (
            *(pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, IndexError),
            *(ValueError, AttributeError, OSError, zipfile.BadZipFile),
        ) as error:
            raise GeneratorError(
                f"{path} is not a generator file or is damaged; give a file written by GraphGAN.save."
            ) from error
        return model

    def _stateful(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "likely": self._likely,
            "average": self._average,
            "generator": self._generator,
            "critic": self._critic,
            "likely_optimizer": self._likely_optimizer,
            "critic_optimizer": self._critic_optimizer,
        }

    def _weights(self) -> dict[str, Any]:
        state = {name: copy.deepcopy(part.state_dict()) for name, part in self._stateful().items()}
        return {"total_steps": self.total_steps, **state}

    def _restore(self, state: dict[str, Any]) -> None:
        self.total_steps = state["total_steps"]
        for name, part in self._stateful().items():
            part.load_state_dict(copy.deepcopy(state[name]))


def _texts(stored: Any) -> frozenset[str]:
    """Check that this is a list of texts: a text alone would be taken for its letters.

    Raises:
        TypeError: it is something else.
    """
    if not (isinstance(stored, list) and all(isinstance(one, str) for one in stored)):
        raise TypeError("a list of texts is expected")
    return frozenset(stored)


class _Counter:
    def __init__(self, total: int, tell: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._tell = 0, total, tell

    def advance(self) -> None:
        self._done += 1
        if self._tell is not None:
            self._tell(self._done, self._total)


def _generator(seed: int) -> torch.Generator:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise GeneratorError(f"seed is {seed!r}; give a whole number from 0 to 2^63 - 1.")
    return torch.Generator().manual_seed(seed)


def _columns(
    played: list[tuple[float, float, float]],
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    return tuple(row[0] for row in played), tuple(row[1] for row in played), tuple(row[2] for row in played)


def _diverged(result: float | tuple[float, ...]) -> bool:
    numbers = result if isinstance(result, tuple) else (result,)
    return any(not math.isfinite(number) or abs(number) > _BLOWN_UP for number in numbers)


def _is_finite(*modules: nn.Module) -> bool:
    return all(bool(torch.isfinite(p).all()) for module in modules for p in module.parameters())
