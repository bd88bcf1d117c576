"""The campaign's proposer: which one it is, and what the generator learns from each round."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from alkit.candidates import PoolProposer, ProposalContext, Proposer, in_domain
from alkit.config import CampaignConfig
from alkit.config import GeneratorProposer as GeneratorSection
from alkit.config import PoolProposer as PoolSection
from alkit.errors import ConfigError
from alkit.molecules import flat
from alkit.state import RoundState, replace_file

if TYPE_CHECKING:
    from generator import GeneratorSettings, GraphGAN

_FILE = "generator.pt"


@dataclass(frozen=True)
class GANProposer:
    """Samples of a trained graph GAN."""

    gan: "GraphGAN"

    def propose(self, n: int, context: ProposalContext) -> Iterable[str]:
        return self.gan.sample(n, seed=int(context.rng.integers(2**31)))


def proposer(state: RoundState) -> Proposer:
    """The proposer of this round."""
    section = state.config.proposer
    if isinstance(section, PoolSection):
        # What was rejected once for what it is will be again; `known` alone would propose it every round.
        taken = set(state.ledger.known()) | {c.smiles for c in state.ledger.candidates(status=("rejected",))}
        return PoolProposer(tuple(pool_molecules(state)), frozenset(taken))
    from generator import GraphGAN

    return GANProposer(GraphGAN.load(state.path(_FILE, round_=state.round - 1)))


def pool_molecules(state: RoundState) -> list[str]:
    """The pool as given, one molecule once; screening says what is wrong with which."""
    section = state.config.proposer
    if not isinstance(section, PoolSection) or section.file is None:
        return list(dict.fromkeys(state.given_seeds))
    from alkit.datasets import read_smiles

    return list(dict.fromkeys(read_smiles(section.file)))


def check_pool(state: RoundState) -> None:
    """Once, before work begins: every round's screening judges the pool's molecules anyway.

    Raises:
        ConfigError: a pool file of which nothing is in the domain.
    """
    section = state.config.proposer
    if not isinstance(section, PoolSection) or section.file is None:
        return
    if not in_domain(pool_molecules(state), state.config.domain):
        raise ConfigError(
            f"proposer.file {section.file}: the pool is empty, no molecule of it is in the domain."
        )


def settings(config: CampaignConfig) -> "GeneratorSettings":
    """The campaign's domain as the generator's settings, checked by it."""
    from generator import GeneratorSettings

    elements = tuple(symbol for symbol in config.domain.elements if symbol != "H")
    return GeneratorSettings(max_atoms=config.domain.max_heavy_atoms, elements=elements)


def train(state: RoundState) -> None:
    """Train the generator of this round: on the seeds at first, then further on seeds and acquired molecules.

    Test molecules are left out, so that the generator is not taught to propose what may not be acquired.
    """
    section = state.config.proposer
    if not isinstance(section, GeneratorSection):
        return
    from generator import GraphGAN

    if state.round == 0:
        gan, steps = GraphGAN(settings(state.config), seed=state.seed("generator")), section.steps
    else:
        gan = GraphGAN.load(state.path(_FILE, round_=state.round - 1))
        steps = section.steps_per_round
    smiles, weights = _training_set(state, section.replay)
    with state.progress.steps("training the generator", steps) as advance:
        history = gan.fit(
            smiles,
            steps=steps,
            seed=state.seed("generator training"),
            weights=weights,
            on_progress=lambda done, total: advance(1),
        )
    if history.warning:
        state.progress.say(f"generator: {history.warning}", style="yellow")
    replace_file(state.path(_FILE), partial(gan.save))


def _training_set(state: RoundState, replay: float) -> tuple[list[str], list[float]]:
    acquired = [
        c.smiles for c, _ in state.ledger.labelled("training", up_to_round=state.round) if c.round > 0
    ]
    # The generator draws without stereo, so a stereoisomer of a test molecule would teach it that one.
    held_out = {flat(c.smiles) for c in state.ledger.candidates(role="test")}
    seeds = [s for s in state.seed_molecules if flat(s) not in held_out and s not in set(acquired)]
    neutral, acquired = learnable(seeds), learnable(acquired)
    return neutral + acquired, [1.0] * len(neutral) + [replay] * len(acquired)


def learnable(smiles: Iterable[str]) -> list[str]:
    """The generator draws neutral atoms only: zwitterions of a user's file are labelled, but not learned."""
    return [one for one in smiles if "+" not in one]
