"""The graph GAN in a campaign: what it learns from each round, and its proposals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from alkit.errors import ConfigError
from alkit.files import replace_file
from alkit.molecules.molecule import without_stereo
from alkit.proposers.base import ProposalContext
from alkit.proposers.learning import acquired_molecules, learned_molecules, values

if TYPE_CHECKING:
    from alkit.config.schema import CampaignConfig
    from alkit.state import RoundState
    from generator import GeneratorSettings, GraphGAN

_FILE = "generator.pt"
_FEWEST = 20  # molecules that a generator or its reward head can learn from


@dataclass(frozen=True)
class GANProposer:
    """Different molecules drawn from a trained graph GAN, none of which it was trained on."""

    gan: GraphGAN

    def propose(self, n: int, context: ProposalContext) -> Iterable[str]:
        seed = int(context.rng.integers(2**31))
        return self.gan.stream(n, seed=seed, unique=True, novel_against=self.gan.known)


def build(state: RoundState) -> GANProposer:
    from generator import GraphGAN

    return GANProposer(GraphGAN.load(state.path(_FILE, round_=state.round - 1)))


def settings(config: CampaignConfig) -> GeneratorSettings:
    """The campaign's domain as the generator's settings, checked by it."""
    from generator import GeneratorSettings

    elements = tuple(symbol for symbol in config.domain.elements if symbol != "H")
    found = GeneratorSettings(max_atoms=config.domain.max_heavy_atoms, elements=elements)
    return replace(found, novelty_weight=config.generator.novelty) if config.generator else found


def check(state: RoundState) -> None:
    """Before work begins.

    Raises:
        ConfigError: too few molecules to learn from.
        GeneratorError: a domain that cannot be generated.
    """
    from generator.graphs import learnable

    found = learnable(state.seed_molecules, settings(state.config))
    learned = len({without_stereo(one) for one in found}) - state.config.start.test
    if learned < _FEWEST:
        raise ConfigError(
            f"the generator would learn from {learned} neutral molecules; {_FEWEST} is "
            "the least, so give a larger `seeds` or a smaller start.test."
        )


def train(state: RoundState) -> None:
    """Train the generator of this round: on the seeds at first, then further on seeds and acquired molecules,
    steered by what the round's candidates were worth."""
    section = state.config.generator
    if section is None:
        return
    from generator import GraphGAN
    from generator.graphs import learnable

    if state.round == 0:
        gan, steps = GraphGAN(settings(state.config), seed=state.seed("generator")), section.steps
    else:
        gan = GraphGAN.load(state.path(_FILE, round_=state.round - 1))
        steps = section.steps_per_round
    domain = settings(state.config)
    smiles = learnable(learned_molecules(state), domain)
    acquired = set(acquired_molecules(state))
    found = values(state, state.round) if section.steering else {}
    worth = {one: found[one] for one in learnable(found, domain)}
    enough = len({without_stereo(one) for one in worth}) >= _FEWEST and len(set(worth.values())) > 1
    with state.progress.steps("training the generator", steps + section.adversarial_steps) as advance:
        history = gan.fit(
            smiles,
            steps=steps,
            adversarial_steps=section.adversarial_steps,
            seed=state.seed("generator training"),
            weights=[section.replay if one in acquired else 1.0 for one in smiles],
            values=worth if enough else None,
            steering=section.steering if enough else 0.0,
            on_progress=lambda done, total: advance(1),
        )
    if history.warning:
        state.progress.say(f"generator: {history.warning}", style="yellow")
    elif enough:
        steered = "steered" if history.steered else "not steered"
        state.progress.say(
            f"generator: {steered}, its reward head orders candidates it has not seen with a rank "
            f"correlation of {history.steering:.2f}"
        )
    elif found:
        state.progress.say(f"generator: not steered, {len(worth)} candidates are too few or worth the same")
    replace_file(state.path(_FILE), partial(gan.save))
