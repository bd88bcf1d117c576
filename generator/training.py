"""GraphGAN: training, sampling and saving.

One update is a reconstruction step of the generator (evidence lower bound, weight `_KL_WEIGHT` on the
divergence) and, after the warm-up, critic updates (WGAN-GP) and the generator's adversarial gradient through
its decoded graphs (straight-through Gumbel-softmax, arXiv:1611.01144). The critic judges what the decoder
emits, so the generator is not rewarded for probabilities that the decoder would overrule. Molecules are
drawn from the exponential moving average of the generator's weights (arXiv:1806.04498).
"""

from __future__ import annotations

import copy
import math
import os
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import GeneratorError
from generator.graphs import (
    GeneratorSettings,
    GraphSet,
    largest_valences,
    motifs,
    outline,
    outline_shares,
    read_training_set,
    size_shares,
    to_molecule,
)
from generator.networks import (
    GraphCritic,
    GraphEncoder,
    GraphGenerator,
    TrainingData,
    gradient_penalty,
    gumbel_noise,
    relaxed_graphs,
    reset_parameters,
    to_training_data,
)
from generator.sampling import decode, draw, keep_chances

_FORMAT = 1
# Measured on 2,000 QM9 molecules, 10 s on one core: share of draws with known motifs 0.37
# at 1, 0.42 at 0.3, 0.37 at 0.1.
_KL_WEIGHT = 0.3
# With both weights below, 3,200 updates on 1,000 then 2,000 molecules stay at 99 % unique draws. A penalty
# of 1 lets the critic learn faster at first, but its slope then runs away: 56 % unique after 3,600 updates.
_ADVERSARIAL_WEIGHT = 3.0
_PENALTY_WEIGHT = 10.0
# On a part of every second batch, with its weight doubled: the penalty is the dearest part of an update.
_PENALTY_EVERY = 2
_PENALTY_SAMPLES = 16
_AVERAGING = 0.995
_CHECK_EVERY = 50
_CALIBRATION_DRAWS = 2000
_BLOWN_UP = 1e6


@dataclass(frozen=True)
class TrainingHistory:
    """What one call of `fit` did.

    `steps` updates kept in this call and `total_steps` over the model's life; `seconds` of wall time; per
    update `reconstruction` (nats per molecule, encoder's noise) and `critic` (estimated Wasserstein
    distance, NaN during the warm-up); `warning` says why training stopped early, or is None.
    """

    steps: int
    total_steps: int
    seconds: float
    reconstruction: tuple[float, ...] = field(repr=False)
    critic: tuple[float, ...] = field(repr=False)
    warning: str | None = None


class GraphGAN:
    """A generator of small neutral molecules, learned from SMILES.

    Parameters
    ----------
    settings
        See `GeneratorSettings`.
    seed
        Seed of the initial weights.
    """

    def __init__(self, settings: GeneratorSettings, *, seed: int) -> None:
        self.settings = settings
        self.total_steps = 0
        self._sizes: tuple[float, ...] = ()
        self._valences: tuple[int, ...] = (0,) * len(settings.elements)
        self._motifs: set[str] = set()
        self._chances: dict[str, float] = {}
        random = _generator(seed)
        self._generator = GraphGenerator(settings)
        self._encoder = GraphEncoder(settings)
        self._critic = GraphCritic(settings)
        for module in (self._generator, self._encoder, self._critic):
            reset_parameters(module, random)
        self._average = copy.deepcopy(self._generator).requires_grad_(False)
        rate = settings.learning_rate
        drawing = [*self._generator.parameters(), *self._encoder.parameters()]
        self._drawing_optimizer = torch.optim.Adam(drawing, lr=rate, betas=(0.5, 0.99))
        self._critic_optimizer = torch.optim.Adam(self._critic.parameters(), lr=rate, betas=(0.0, 0.9))

    def fit(
        self,
        smiles: Sequence[str],
        *,
        steps: int,
        seed: int,
        weights: Sequence[float] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> TrainingHistory:
        """Go on training from the present weights; `smiles` replaces the training set of earlier calls.

        What the earlier sets showed to be possible (motifs, valences) stays possible; sizes are the present
        set's.

        Parameters
        ----------
        smiles
            Neutral, connected molecules within the settings' alphabet and size; at least 20 different ones.
        steps
            Updates, at least 1.
        seed
            Seed of every draw in this call.
        weights
            Relative sampling weight of each molecule, 0 or more; equal where absent.
        on_progress
            Called with (updates done, `steps`) after each update.

        Raises
        ------
        GeneratorError
            Bad arguments or molecules, before any weight has changed.
        """
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise GeneratorError(f"steps is {steps!r}; give a whole number of at least 1.")
        random = _generator(seed)
        graphs = read_training_set(smiles, self.settings, weights)
        self._learn_chemistry(graphs)
        history = self._train(to_training_data(graphs), steps, random, on_progress)
        self._calibrate(outline_shares(graphs), random)
        return history

    def _learn_chemistry(self, graphs: GraphSet) -> None:
        self._sizes = size_shares(graphs, self.settings.max_atoms)
        seen = largest_valences(graphs, self.settings.elements)
        self._valences = tuple(map(max, self._valences, seen))
        self._motifs.update(*(motifs(molecule) for molecule in graphs.molecules))

    def _calibrate(self, target: dict[str, float], random: torch.Generator) -> None:
        """Learn how sampling must thin out the draws to have the training set's make-up."""
        self._chances = {}
        drawn: list[str] = []
        for nodes, bonds in zip(*self._propose(_CALIBRATION_DRAWS, random), strict=True):
            molecule = to_molecule(nodes, bonds, self.settings.elements)
            if motifs(molecule) <= self._motifs:
                drawn.append(outline(molecule))
        # a histogram of fewer draws says nothing, and a generator so little trained has no draws to spare
        if len(drawn) >= _CALIBRATION_DRAWS // 10:
            self._chances = keep_chances(target, drawn)

    def _train(
        self,
        data: TrainingData,
        steps: int,
        random: torch.Generator,
        on_progress: Callable[[int, int], None] | None,
    ) -> TrainingHistory:
        start, first = time.perf_counter(), self.total_steps
        reconstruction: list[float] = []
        critic: list[float] = []
        good, warning = self._weights(), None
        for done in range(1, steps + 1):
            lost, distance = self._update(data, random)
            reconstruction.append(lost)
            critic.append(distance)
            check = done % _CHECK_EVERY == 0 or done == steps
            if _diverged(lost, distance) or (check and not self._is_finite()):
                self._restore(good)
                kept = self.total_steps - first
                warning = (
                    f"Training diverged at update {done} of {steps}; the weights of update {kept} were kept. "
                    "Lower learning_rate."
                )
                del reconstruction[kept:], critic[kept:]
                break
            if check:
                good = self._weights()
            if on_progress is not None:
                on_progress(done, steps)
        seconds = time.perf_counter() - start
        kept = self.total_steps - first
        return TrainingHistory(kept, self.total_steps, seconds, tuple(reconstruction), tuple(critic), warning)

    def _update(self, data: TrainingData, random: torch.Generator) -> tuple[float, float]:
        """One update of all networks; returns the reconstruction loss and the critic's distance."""
        distance = math.nan
        adversarial = self.total_steps >= self.settings.warm_up
        if adversarial:
            for repeat in range(self.settings.critic_steps):
                number = self.total_steps * self.settings.critic_steps + repeat
                distance = self._update_critic(data, random, number % _PENALTY_EVERY == 0)
        reconstruction, divergence = self._reconstruct(data, random)
        loss = reconstruction + _KL_WEIGHT * divergence
        if adversarial:
            sizes = data.sizes[self._pick(data, random)]
            self._critic.requires_grad_(False)
            loss = loss - _ADVERSARIAL_WEIGHT * self._critic(*self._imagine(sizes, random)).mean()
            self._critic.requires_grad_(True)
        self._drawing_optimizer.zero_grad()
        loss.backward()
        self._drawing_optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self._average.parameters(), self._generator.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - _AVERAGING)
        self.total_steps += 1
        # a loss that blew up by its other terms must not hide behind a fine reconstruction
        total = float(loss.detach())
        return total if _diverged(total, distance) else float(reconstruction.detach()), distance

    def _update_critic(self, data: TrainingData, random: torch.Generator, penalise: bool) -> float:
        rows = self._pick(data, random)
        real = self._one_hot(data.nodes[rows], data.bonds[rows])
        with torch.no_grad():
            fake = self._imagine(data.sizes[rows], random)
        distance = self._critic(*real).mean() - self._critic(*fake).mean()
        loss = -distance
        if penalise:
            some = slice(min(_PENALTY_SAMPLES, len(rows)))
            penalty = gradient_penalty(
                self._critic, (real[0][some], real[1][some]), (fake[0][some], fake[1][some]), random
            )
            loss = loss + _PENALTY_EVERY * _PENALTY_WEIGHT * penalty
        self._critic_optimizer.zero_grad()
        loss.backward()
        self._critic_optimizer.step()
        return float(distance.detach())

    def _reconstruct(self, data: TrainingData, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Negative log likelihood of a batch under its own noise, and the divergence, in nats."""
        rows = self._pick(data, random)
        nodes, bonds, sizes = data.nodes[rows], data.bonds[rows], data.sizes[rows]
        mean, log_variance = self._encoder(*self._one_hot(nodes, bonds))
        noise = mean + torch.randn(mean.shape, generator=random) * torch.exp(0.5 * log_variance)
        atom_logits, bond_logits = self._generator(noise, sizes)
        first, second = torch.triu_indices(nodes.shape[1], nodes.shape[1], offset=1)
        # -100 is cross_entropy's "ignore": empty nodes and the pairs that touch them
        atom_target = torch.where(nodes > 0, nodes - 1, -100)
        pair_target = torch.where(second < sizes[:, None], bonds[:, first, second], -100)
        lost = functional.cross_entropy(atom_logits.flatten(0, 1), atom_target.flatten(), reduction="sum")
        lost = lost + functional.cross_entropy(
            bond_logits.flatten(0, 1), pair_target.flatten(), reduction="sum"
        )
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(dim=1).mean()
        return lost / len(rows), divergence

    def _imagine(self, sizes: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Decoded graphs as one-hot tensors whose gradient is that of the relaxed ones (straight-through)."""
        atom_scores, bond_scores = self._scores(self._generator, sizes, random)
        nodes, bonds = self._decode(atom_scores, bond_scores, sizes)
        hard_nodes, hard_bonds = self._one_hot(torch.from_numpy(nodes).long(), torch.from_numpy(bonds).long())
        if not atom_scores.requires_grad:
            return hard_nodes, hard_bonds
        soft_nodes, soft_bonds = relaxed_graphs(atom_scores, bond_scores, sizes)
        return hard_nodes + soft_nodes - soft_nodes.detach(), hard_bonds + soft_bonds - soft_bonds.detach()

    def _scores(
        self, network: GraphGenerator, sizes: Tensor, random: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        noise = torch.randn(len(sizes), self.settings.latent, generator=random)
        atom_logits, bond_logits = network(noise, sizes)
        return atom_logits + gumbel_noise(atom_logits, random), bond_logits + gumbel_noise(
            bond_logits, random
        )

    def _decode(self, atoms: Tensor, bonds: Tensor, sizes: Tensor) -> tuple[np.ndarray, np.ndarray]:
        return decode(atoms.detach().numpy(), bonds.detach().numpy(), sizes.numpy(), self._valences)

    def _one_hot(self, nodes: Tensor, bonds: Tensor) -> tuple[Tensor, Tensor]:
        classes = len(self.settings.elements) + 1
        return functional.one_hot(nodes, classes).float(), functional.one_hot(bonds, 4)[..., 1:].float()

    def _pick(self, data: TrainingData, random: torch.Generator) -> Tensor:
        return torch.multinomial(data.weights, self.settings.batch_size, replacement=True, generator=random)

    def sample(self, n: int, *, seed: int) -> list[str]:
        """`n` canonical SMILES of valid, neutral, connected molecules; they may repeat. The same for the
        same seed.

        Raises
        ------
        GeneratorError
            `n` is not a whole number of at least 1, or the model has not been trained.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise GeneratorError(f"n is {n!r}; give a whole number of at least 1.")
        if not self._sizes:
            raise GeneratorError("The generator has not been trained; call fit first.")
        random = _generator(seed)

        def keep(molecule: Chem.Mol) -> bool:
            if not self._chances:
                return True
            chance = self._chances.get(outline(molecule), self._chances[""])
            return float(torch.rand((), generator=random)) < chance

        return draw(n, lambda count: self._propose(count, random), self.settings.elements, self._motifs, keep)

    def _propose(self, count: int, random: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        shares = torch.tensor(self._sizes, dtype=torch.float64)
        sizes = 1 + torch.multinomial(shares, count, replacement=True, generator=random)
        with torch.no_grad():
            return self._decode(*self._scores(self._average, sizes, random), sizes)

    def save(self, path: Path) -> None:
        """Write all that training needs to go on as if it had not stopped; replaces `path` in one move."""
        target = Path(path)
        state = {
            "format": _FORMAT,
            "settings": asdict(self.settings),
            "sizes": list(self._sizes),
            "valences": list(self._valences),
            "motifs": sorted(self._motifs),
            "chances": dict(self._chances),
            **self._weights(),
        }
        scratch = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            torch.save(state, scratch)
            os.replace(scratch, target)
        finally:
            scratch.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> GraphGAN:
        """Read what `save` wrote; no code in the file is run.

        Raises
        ------
        GeneratorError
            There is no such file, or it is not a generator of this format.
        """
        if not Path(path).is_file():
            raise GeneratorError(f"There is no generator file {path}; give a file written by GraphGAN.save.")
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            if state["format"] != _FORMAT:
                raise GeneratorError(
                    f"{path} has format {state['format']}, this version reads {_FORMAT}; train anew."
                )
            model = cls(GeneratorSettings(**state["settings"]), seed=0)
            model._sizes = tuple(state["sizes"])
            model._valences = tuple(state["valences"])
            model._motifs = set(state["motifs"])
            model._chances = dict(state["chances"])
            model._restore(state)
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, IndexError) as error:
            raise GeneratorError(
                f"{path} is not a generator file or is damaged; give a file written by GraphGAN.save."
            ) from error
        return model

    def _stateful(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "generator": self._generator,
            "average": self._average,
            "encoder": self._encoder,
            "critic": self._critic,
            "drawing_optimizer": self._drawing_optimizer,
            "critic_optimizer": self._critic_optimizer,
        }

    def _weights(self) -> dict[str, Any]:
        state = {name: copy.deepcopy(part.state_dict()) for name, part in self._stateful().items()}
        return {"total_steps": self.total_steps, **state}

    def _restore(self, state: dict[str, Any]) -> None:
        self.total_steps = state["total_steps"]
        for name, part in self._stateful().items():
            part.load_state_dict(copy.deepcopy(state[name]))

    def _is_finite(self) -> bool:
        modules = (self._generator, self._encoder, self._critic)
        return all(bool(torch.isfinite(p).all()) for module in modules for p in module.parameters())


def _generator(seed: int) -> torch.Generator:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise GeneratorError(f"seed is {seed!r}; give a whole number from 0 to 2^63 - 1.")
    return torch.Generator().manual_seed(seed)


def _diverged(loss: float, distance: float) -> bool:
    """Not finite or absurdly large; a NaN distance alone is the warm-up's."""
    return not math.isfinite(loss) or abs(loss) > _BLOWN_UP or abs(distance) > _BLOWN_UP
