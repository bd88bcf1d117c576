"""The second part of training: the generator against its critic, under rewards."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.graphs import GraphSet
from generator.language import Language
from generator.networks import GraphCritic, TokenGenerator, gradient_penalty, one_hot
from generator.sampling import draw_tokens, read_back
from generator.settings import GeneratorSettings
from generator.steering import Steering

_CRITIC_STEPS, _PENALTY_WEIGHT, _PENALTY_SAMPLES = 2, 10.0, 64
_LARGEST_GRADIENT = 1.0


@dataclass
class Game:
    """A game of a generator against its critic, with what is known and familiar, and its start (`anchor`)."""

    settings: GeneratorSettings
    language: Language
    generator: TokenGenerator
    anchor: TokenGenerator
    critic: GraphCritic
    critic_optimizer: torch.optim.Optimizer
    graphs: GraphSet
    known: Collection[str]
    familiar: frozenset[str]
    head: Steering | None
    random: torch.Generator
    _before: set[str] = field(default_factory=set, init=False)  # what this game has drawn

    def __post_init__(self) -> None:
        self._count = 2 * self.settings.batch_size
        rate = self.settings.adversarial_rate
        self._optimizer = torch.optim.Adam(self.generator.parameters(), lr=rate, betas=(0.5, 0.99))

    def play(self) -> tuple[float, float, float]:
        """Update each side once.

        Returns:
            The critic's distance, the share of draws that are known, and the share that is strange.
        """
        tokens, nodes, bonds = draw_tokens(self.generator, self.language, self._count, self.random)
        fake = self._one_hot(nodes, bonds)
        distance = [self._teach_critic(fake) for _ in range(_CRITIC_STEPS)][-1]
        allowed, seen = map(torch.from_numpy, self.language.read(tokens))
        written = torch.from_numpy(tokens), allowed, seen
        likelihood = self.generator.log_likelihood(*written)
        drawn = read_back(nodes, bonds, self.settings.elements, self.familiar)
        known = torch.tensor([float(text in self.known) for text, _ in drawn])
        strange = torch.tensor([float(flag) for _, flag in drawn])
        with torch.no_grad():
            moved = likelihood - self.anchor.log_likelihood(*written)
            rewards = self.settings.critic_weight * standardized(self.critic(*fake))
            rewards -= self.settings.strangeness_weight * strange
            rewards -= self.settings.divergence_weight * moved
            if self.head is not None:
                rewards += self.head(*fake, self._repeated([text for text, _ in drawn]))
        take_step(-(standardized(rewards) * likelihood).mean(), self.generator, self._optimizer)
        return distance, float(known.mean()), float(strange.mean())

    def _repeated(self, drawn: list[str]) -> Tensor:
        """Which of the draws, `(B,)`, came before, in this batch or an earlier one."""
        repeated = []
        for text in drawn:
            repeated.append(text in self._before)
            self._before.add(text)
        return torch.tensor(repeated)

    def _teach_critic(self, fake: tuple[Tensor, Tensor]) -> float:
        rows = pick(self.graphs.weights, self._count, self.random)
        real = self._one_hot(self.graphs.nodes[rows], self.graphs.bonds[rows])
        distance = self.critic(*real).mean() - self.critic(*fake).mean()
        some = slice(_PENALTY_SAMPLES)
        penalty = gradient_penalty(
            self.critic, (real[0][some], real[1][some]), (fake[0][some], fake[1][some]), self.random
        )
        self.critic_optimizer.zero_grad()
        (_PENALTY_WEIGHT * penalty - distance).backward()
        self.critic_optimizer.step()
        return float(distance.detach())

    def _one_hot(self, nodes: Any, bonds: Any) -> tuple[Tensor, Tensor]:
        classes = len(self.settings.elements) + 1
        return one_hot(torch.from_numpy(nodes), torch.from_numpy(bonds), classes)


def pick(weights: np.ndarray, count: int, random: torch.Generator) -> Any:
    """`(count,)` rows, drawn by weight with replacement."""
    return torch.multinomial(torch.from_numpy(weights), count, replacement=True, generator=random).numpy()


def take_step(loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One update, its gradient clipped."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
    optimizer.step()


def standardized(values: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1."""
    return (values - values.mean()) / (values.std() + 1e-6)
