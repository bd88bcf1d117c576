"""Where candidates come from: a list, a GAN, evolution, the user's own code, or a mix of these."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from alkit import plugins
from alkit.config.proposer import (
    CustomConfig,
    EvolutionConfig,
    GeneratorConfig,
    MixConfig,
    PoolConfig,
    SingleProposerConfig,
)
from alkit.errors import ConfigError
from alkit.proposers import gan, pool
from alkit.proposers.base import ProposalContext, Proposer, proposals
from alkit.proposers.learning import learned_molecules, values

if TYPE_CHECKING:
    from alkit.state import RoundState

__all__ = ["ProposalContext", "Proposer", "adapt", "build", "check", "context", "proposals"]
_GROUP = "alkit.proposers"


def build(state: RoundState, section: SingleProposerConfig | MixConfig | None = None) -> Proposer:
    """The proposer of this round.

    Raises:
        ConfigError: the user's own cannot be loaded.
    """
    section = state.config.proposer if section is None else section
    if isinstance(section, MixConfig):
        from alkit.proposers import mix

        return mix.MixProposer(
            tuple(mix.Part(build(state, part), part.kind, part.count) for part in section.parts)
        )
    if isinstance(section, PoolConfig):
        return pool.build(state, section)
    if isinstance(section, GeneratorConfig):
        return gan.build(state)
    if isinstance(section, EvolutionConfig):
        from alkit.proposers import evolution

        return evolution.EvolutionProposer(section.crossover, section.elitism)
    return custom(section)


def custom(section: CustomConfig) -> Proposer:
    """The user's own proposer.

    Raises:
        ConfigError: there is none of that name, or it is no proposer.
    """
    if plugins.is_code_path(section.name):
        return adapt(plugins.load_code(section.name), section.name, section.settings)
    found = plugins.load_entry_point(_GROUP, section.name)
    if found is None:
        raise ConfigError(
            f"There is no proposer {section.name!r}; give ./file.py:Name, or install a plug-in of that name."
        )
    return adapt(found, section.name, section.settings)


def adapt(given: Any, name: str, settings: dict[str, Any] | None = None) -> Proposer:
    """A class, an object, or a function ``propose(n, context)`` as a ``Proposer``.

    Raises:
        ConfigError: it is none of these, or does not take the settings.
    """
    settings = settings or {}
    if inspect.isclass(given):
        try:
            given = given(**settings)
        except Exception as error:  # the user's class may refuse its settings with whatever it likes
            raise ConfigError(f"proposer {name}: {error}.") from error
    elif settings:
        raise ConfigError(f"proposer {name} takes no settings, but {sorted(settings)} are given.")
    if isinstance(given, Proposer):
        return given
    if callable(given):
        return _Function(given)
    raise ConfigError(
        f"{name} is of type {type(given).__name__}; a function propose(n, context) or a class with that "
        "method is expected."
    )


class _Function:
    def __init__(self, function: Any):
        self.propose = function


def context(state: RoundState) -> ProposalContext:
    """What this round's proposer is told."""
    folder, rng = state.folder / "proposer", state.rng("propose")
    if all(isinstance(section, PoolConfig) for section in state.config.proposers):
        return ProposalContext(state.round, rng, folder=folder)  # a large pool is not read once more
    labelled = state.ledger.labelled("training", up_to_round=state.round - 1)
    return ProposalContext(
        state.round,
        rng,
        molecules=tuple(learned_molecules(state)),
        labels={candidate.smiles: value for candidate, value in labelled},
        values=values(state, state.round - 1),
        folder=folder,
    )


def check(state: RoundState) -> None:
    """All that can be found wrong with the proposers before work begins.

    Raises:
        ConfigError: the first thing found.
    """
    for section in state.config.proposers:
        if isinstance(section, PoolConfig):
            pool.check(state, section)
        elif isinstance(section, GeneratorConfig):
            gan.check(state)
        elif isinstance(section, CustomConfig):
            custom(section)
