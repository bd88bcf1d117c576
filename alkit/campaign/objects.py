"""Parts of a campaign that are given as Python objects, in place of names in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from pydantic import ValidationError

from alkit.acquisition.base import Acquisition, Pool, RoundContext, adapt, resolve
from alkit.config.messages import sentence
from alkit.config.proposer import CustomConfig, MixConfig
from alkit.config.schema import CampaignConfig
from alkit.errors import ConfigError
from alkit.plugins import GIVEN, Pickled
from alkit.proposers.base import Proposer
from alkit.proposers.registry import adapt_proposer
from alkit.reporting.events import StageEvent
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.base import Simulator, SimulatorSpec, create_simulator

Callback = Callable[[StageEvent], object]


class Given(TypedDict, total=False):
    """Arguments of `Campaign.open` beside a folder, and of `Campaign` beside its settings."""

    acquisition: Acquisition | Callable[..., Any] | None
    proposer: Proposer | Callable[..., Iterable[str]] | None
    simulator: Simulator | None
    callbacks: Sequence[Callback]
    progress: CampaignProgress | None


@dataclass(frozen=True)
class Objects:
    """The parts of a campaign that are Python objects; None where its file names the part.

    Attributes:
        simulator: how it travels to the workers.
        callbacks: called after each stage, in this order.
    """

    acquisition: Acquisition | None = None
    proposer: Proposer | None = None
    simulator: SimulatorSpec | None = None
    callbacks: tuple[Callback, ...] = ()

    def check(self, config: CampaignConfig) -> None:
        """Raise `ConfigError` where the campaign's settings name an object that was not given again."""
        if self.proposer is None:
            missing = [
                one.name for one in config.proposers if isinstance(one, CustomConfig) and _is_given(one.name)
            ]
            if missing:
                raise ConfigError(_again("proposer", missing[0]))
        if self.simulator is None and _is_given(config.simulator.kind):
            raise ConfigError(_again("simulator", config.simulator.kind))
        if self.acquisition is None and _is_given(config.acquisition.name):
            raise ConfigError(_again("acquisition", config.acquisition.name))

    def acquisition_of(self, config: CampaignConfig) -> Acquisition:
        """The acquisition function of a campaign.

        Where it was given as an object before and is not given now, it is one that says so when asked.

        Raises:
            ConfigError: there is none of that name.
        """
        if self.acquisition is None and _is_given(config.acquisition.name):
            return _Absent(config.acquisition.name)
        return self.acquisition or resolve(config.acquisition.name, config.acquisition.settings)


class _Absent:
    """The acquisition function of a campaign that is opened to be read."""

    def __init__(self, name: str):
        self.said = _again("acquisition", name)

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        raise ConfigError(self.said)

    def score(self, pool: Pool, context: RoundContext) -> None:
        raise ConfigError(self.said)


def named(values: dict[str, Any], proposer: Any) -> dict[str, Any]:
    """The keys of a campaign; one that is given its proposer as an object need not name another."""
    if proposer is None or "proposer" in values:
        return values
    return values | {"proposer": {"kind": "custom", "name": _name(proposer)}}


def with_objects(
    config: CampaignConfig, *, acquisition: Any, proposer: Any, simulator: Any, callbacks: Any
) -> tuple[CampaignConfig, Objects]:
    """The settings with the objects' names in them, and the objects.

    Raises:
        ConfigError: an object cannot be what it was given as.
    """
    changes: dict[str, Any] = {}
    function = made = spec = None
    if acquisition is not None:
        name = _name(acquisition)
        function = adapt(acquisition, name)
        changes["acquisition"] = config.acquisition.model_copy(update={"name": name, "settings": {}})
    if proposer is not None:
        name = _name(proposer)
        made = adapt_proposer(proposer, name)
        count = {} if isinstance(config.proposer, MixConfig) else {"per_round": config.proposer.per_round}
        given = {"kind": "custom", "name": name} | {k: v for k, v in count.items() if v is not None}
        changes["proposer"] = CustomConfig.model_validate(given)
    if simulator is not None:
        if config.simulator.deadline is not None:
            raise ConfigError(
                "simulator.deadline needs the label cache, which labels of a simulator given as an object do "
                "not go to; leave out the deadline, or name the simulator as ./file.py:ClassName."
            )
        spec = SimulatorSpec(_name(simulator), {"pickled": _pickled(simulator)})
        create_simulator(spec)  # as the workers will
        changes["simulator"] = config.simulator.model_copy(update={"kind": spec.kind, "settings": {}})
    if not all(callable(one) for one in callbacks):
        raise ConfigError("callbacks holds something that cannot be called; give functions of a StageEvent.")
    config = config.model_copy(update=changes)
    try:
        type(config).model_validate(config.model_dump())
    except ValidationError as error:
        raise ConfigError(sentence(error, CampaignConfig, None, "")) from None
    return config, Objects(function, made, spec, tuple(callbacks))


def _pickled(simulator: Any) -> Pickled:
    import cloudpickle  # classes of a notebook too: these travel as they are written

    try:
        return Pickled(cloudpickle.dumps(simulator))
    except Exception as error:  # whatever its parts raise
        raise ConfigError(
            f"The simulator {type(simulator).__name__} cannot travel to the workers ({error}); keep what "
            "cannot be pickled out of it until label() is called."
        ) from None


def _name(given: Any) -> str:
    return GIVEN + getattr(given, "__qualname__", type(given).__qualname__)


def _is_given(name: str) -> bool:
    return name.startswith(GIVEN)


def _again(what: str, name: str) -> str:
    given = name.removeprefix(GIVEN)
    return (
        f"This campaign's {what} {given} was given as a Python object; to go on, give it again, as in "
        f"Campaign.open(folder, {what}={given})."
    )
