"""The proposers that a campaign file names, built and checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alkit.campaign.candidates import examine, refusals, settled
from alkit.config.proposer import (
    CustomConfig,
    EvolutionConfig,
    GeneratorConfig,
    PoolConfig,
    SingleProposerConfig,
)
from alkit.errors import ConfigError
from alkit.molecules.molecule import without_stereo
from alkit.proposers.base import Proposer
from alkit.proposers.gan import GANProposer
from alkit.proposers.mix import MixProposer, Part
from alkit.proposers.pool import PoolProposer
from alkit.proposers.registry import custom_proposer

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState
    from alkit.config.schema import CampaignConfig
    from generator import GeneratorSettings


GENERATOR_FILE = "generator.pt"
FEWEST_MOLECULES = 20  # molecules that a generator or its reward head can learn from


def build_mix(state: RoundState) -> MixProposer:
    """The proposers of this round, one or several.

    Raises:
        ConfigError: the user's own cannot be loaded.
    """
    parts = state.config.proposers
    return MixProposer(tuple(Part(build_proposer(state, part), part.kind, part.count) for part in parts))


def build_proposer(state: RoundState, section: SingleProposerConfig) -> Proposer:
    """One proposer of this round.

    Raises:
        ConfigError: the user's own cannot be loaded.
    """
    if isinstance(section, PoolConfig):
        return build_pool(state, section)
    if isinstance(section, GeneratorConfig):
        return build_generator(state)
    if isinstance(section, EvolutionConfig):
        from alkit.proposers import evolution

        return evolution.EvolutionProposer(section.crossover, section.elitism)
    return _custom(state, section)


def _custom(state: RoundState, section: CustomConfig) -> Proposer:
    """The user's own proposer: the object that was given, or what the section names."""
    return state.objects.proposer or custom_proposer(section)


def check_proposers(state: RoundState) -> None:
    """All that can be found wrong with the proposers before work begins.

    Raises:
        ConfigError: the first thing found.
    """
    for section in state.config.proposers:
        if isinstance(section, PoolConfig):
            check_pool(state, section)
        elif isinstance(section, GeneratorConfig):
            check_generator(state)
        elif isinstance(section, CustomConfig):
            _custom(state, section)


def build_generator(state: RoundState) -> GANProposer:
    """The generator that the round before has trained."""
    from generator import GraphGAN

    return GANProposer(GraphGAN.load(state.path(GENERATOR_FILE, round_=state.round - 1)))


def generator_settings(config: CampaignConfig) -> GeneratorSettings:
    """The campaign's domain as the generator's settings, checked by it."""
    from generator import GeneratorSettings

    elements = tuple(symbol for symbol in config.domain.elements if symbol != "H")
    settings = GeneratorSettings(max_atoms=config.domain.max_heavy_atoms, elements=elements)
    return replace(settings, novelty_weight=config.generator.novelty) if config.generator else settings


def check_generator(state: RoundState) -> None:
    """Raise if the generator cannot learn from the seeds.

    Raises:
        ConfigError: too few molecules to learn from.
        GeneratorError: a domain that cannot be generated.
    """
    from generator.graphs import learnable

    molecules = learnable(state.molecules.seeds, generator_settings(state.config))
    learned = len({without_stereo(one) for one in molecules}) - state.config.start.test
    if learned < FEWEST_MOLECULES:
        raise ConfigError(
            f"the generator would learn from {learned} neutral molecules; {FEWEST_MOLECULES} is "
            "the least, so give a larger `seeds` or a smaller start.test."
        )


def build_pool(state: RoundState, section: PoolConfig) -> PoolProposer:
    """The pool without what is known already."""
    return PoolProposer(tuple(pool_molecules(state, section)), frozenset(settled(state.ledger)))


def pool_molecules(state: RoundState, section: PoolConfig) -> list[str]:
    """The pool as given, one molecule once; screening says what is wrong with which."""
    if section.file is None:
        return list(dict.fromkeys(state.molecules.seeds_before_domain))
    return state.molecules.pool(section.file)


def check_pool(state: RoundState, section: PoolConfig) -> None:
    """Raise if nothing of the pool file is in the domain; each molecule is judged by the screening.

    Raises:
        ConfigError: a pool file of which nothing is in the domain.
    """
    if section.file is None:
        return
    molecules, domain = pool_molecules(state, section), state.molecules.domain
    if all(examine(one, domain, {}, set()).reason for one in molecules):  # ends with the first that is
        why = refusals(molecules, domain)
        raise ConfigError(
            f"proposer.file {section.file}: the pool is empty, no molecule of it is in the domain"
            f"{f' ({why})' if why else ''}."
        )
