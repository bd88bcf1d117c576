"""Where a campaign's labels come from: its simulator, the engine that runs it, and the shared cache."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from alkit.baselines.cache import BASELINES_FILE, BaselineCache, beside
from alkit.campaign.data_file import database_of
from alkit.config.schema import CampaignConfig
from alkit.engines import Engine, create_engine
from alkit.errors import CampaignError, ConfigError
from alkit.properties import usual_unit
from alkit.simulators.base import SIMULATORS, Level, SimulatorSpec, create_simulator
from alkit.simulators.manual import MANUAL
from alkit.storage.label_cache import LabelCache, default_path
from alkit.storage.ledger import Ledger


class LabelSource:
    """The label source of one campaign. Engine and cache open on first use, and outlast rounds."""

    def __init__(
        self, config: CampaignConfig, ledger: Ledger, folder: Path, given: SimulatorSpec | None = None
    ):
        self._config, self._ledger, self._folder, self._given = config, ledger, folder, given

    @cached_property
    def engine(self) -> Engine:
        """Where labels are computed, for the whole campaign: late labels outlast their round."""
        section = self._config.simulator
        return create_engine(self.simulator, section.engine, **section.engine_settings, folder=self._folder)

    @cached_property
    def cache(self) -> LabelCache | None:
        """Labels shared with other campaigns, or None.

        There is none for labels that are looked up or come by hand. A simulator given as an object has none
        either: it has no name to be found by.
        """
        where = self._config.simulator.cache
        if where == "none" or self._given or self._config.simulator.kind in ("lookup", MANUAL):
            return None
        return LabelCache(default_path() if where is None else where, self.simulator)

    @cached_property
    def baselines(self) -> BaselineCache | None:
        """Baselines shared with other campaigns, or None.

        They are the campaign's own where labels are not shared. There are none before it has a folder.
        """
        where = self._config.simulator.cache
        if where == "none":
            own = self._folder / BASELINES_FILE
            return BaselineCache(own) if (self._folder / "ledger.sqlite").exists() else None
        return BaselineCache(beside(default_path() if where is None else where))

    def close(self, *, wait: bool) -> None:
        """End what runs beside the stages: after late labels (``wait``), or now."""
        try:
            if "engine" in self.__dict__:
                self.engine.close(wait=wait)
        finally:
            if "cache" in self.__dict__ and self.cache is not None:
                self.cache.close()
            if "baselines" in self.__dict__ and self.baselines is not None:
                self.baselines.close()

    @property
    def simulator(self) -> SimulatorSpec:
        """The simulator with what the campaign knows already: the target, and where the data set is."""
        if self._given is not None:
            return self._given
        settings = dict(self._config.simulator.settings)
        if self._config.simulator.kind in SIMULATORS:
            settings.setdefault("target", self._config.target)
        if self._config.simulator.kind == "lookup":
            settings.setdefault("dataset", str(database_of(self._config)))
        return SimulatorSpec(self._config.simulator.kind, settings)

    @property
    def level(self) -> Level:
        """The level of theory of the labels, also before the first."""
        return self._ledger.level or create_simulator(self.simulator).level

    def check_level(self, level: Level) -> None:
        """Levels of theory never mix: what the simulator labels must be what the campaign is about.

        Raises:
            ConfigError: another property than the target, or in another unit than alkit has it in.
            CampaignError: another level than that of the labels so far.
        """
        kind = self._config.simulator.kind
        if level.property != self._config.target:
            raise ConfigError(f"target is {self._config.target}, but simulator {kind} labels {level}.")
        usual = usual_unit(level.property)
        if level.unit != usual and (usual or not level.unit):
            needed = usual or f"the unit of {level.property}"
            raise ConfigError(f"Simulator {kind} labels in {level.unit or 'no unit'}; alkit needs {needed}.")
        if (earlier := self._ledger.level) not in (None, level):
            raise CampaignError(f"The campaign's labels are {earlier}, but the simulator now labels {level}.")
