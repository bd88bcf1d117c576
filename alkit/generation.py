"""The campaign's proposer: which one it is, and what the generator learns from each round."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from alkit.candidates import PoolProposer, ProposalContext, Proposer, in_domain
from alkit.config import GeneratorProposer as GeneratorSection
from alkit.config import PoolProposer as PoolSection
from alkit.errors import ConfigError
from alkit.state import RoundState, replace_file

if TYPE_CHECKING:
    from generator import GraphGAN

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
        return PoolProposer(tuple(pool_molecules(state)), frozenset(state.ledger.known()))
    from generator import GraphGAN

    return GANProposer(GraphGAN.load(state.path(_FILE, round_=state.round - 1)))


def pool_molecules(state: RoundState) -> list[str]:
    """The pool, canonical and in the domain.

    Raises:
        ConfigError: nothing of it is in the domain.
    """
    section = state.config.proposer
    if not isinstance(section, PoolSection) or section.file is None:
        return state.seed_molecules
    from alkit.datasets import read_smiles

    molecules = in_domain(read_smiles(section.file), state.config.domain)
    if not molecules:
        raise ConfigError(
            f"proposer.file {section.file}: the pool is empty, no molecule of it is in the domain."
        )
    return molecules


def train(state: RoundState) -> None:
    """Train the generator of this round: on the seeds at first, then further on seeds and acquired molecules.

    Test molecules are left out, so that the generator is not taught to propose what may not be acquired.
    """
    section = state.config.proposer
    if not isinstance(section, GeneratorSection):
        return
    from generator import GeneratorSettings, GraphGAN

    domain = state.config.domain
    elements = tuple(symbol for symbol in domain.elements if symbol != "H")
    if state.round == 0:
        settings = GeneratorSettings(max_atoms=domain.max_heavy_atoms, elements=elements)
        gan, steps = GraphGAN(settings, seed=state.seed("generator")), section.steps
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
        state.progress.say(f"[yellow]generator: {history.warning}[/yellow]")
    replace_file(state.path(_FILE), partial(gan.save))


def _training_set(state: RoundState, replay: float) -> tuple[list[str], list[float]]:
    acquired = [
        c.smiles for c, _ in state.ledger.labelled("training", up_to_round=state.round) if c.round > 0
    ]
    held_out = {c.smiles for c in state.ledger.candidates(role="test")} | set(acquired)
    seeds = [s for s in state.seed_molecules if s not in held_out]
    # The generator draws neutral atoms only; zwitterions of a user's seed file are labelled but not learned.
    neutral = [s for s in seeds if "+" not in s]
    acquired = [s for s in acquired if "+" not in s]
    return neutral + acquired, [1.0] * len(neutral) + [replay] * len(acquired)
