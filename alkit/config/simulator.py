"""How labels are computed: the section ``simulator`` of the campaign file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from alkit.config.types import PositiveFloat, PositiveInt, Section
from alkit.config.words import Engine

# No label depends on these: they may change while a campaign is under way.
MEANS = (
    "engine", "workers", "parsl", "dask", "timeout", "deadline", "memory_limit", "labels_per_worker", "cache",
)  # fmt: skip


class SimulatorConfig(Section):
    """The simulator that computes labels, its engine, and where labels are shared."""

    kind: str = Field(
        "xtb", description="xtb, lookup, manual (labels by hand), a plug-in, or './file.py:ClassName'."
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="Arguments of that simulator.")
    engine: Engine = Field("local", description="Where labels are computed.")
    workers: PositiveInt = Field(2, le=100_000, description="Labels computed at once, one process each.")
    parsl: str | None = Field(None, description="Engine parsl: './file.py:config'; this machine by default.")
    dask: str | None = Field(None, description="Engine dask: its address; this machine by default.")
    timeout: PositiveFloat = Field(120.0, description="Seconds a label may take before its worker is killed.")
    deadline: PositiveFloat | None = Field(
        None, description="Seconds a round waits for labels; later ones go to the cache."
    )
    memory_limit: Annotated[float, Field(ge=0.25, le=1e6)] | None = Field(
        None, description="GB, of each worker."
    )
    labels_per_worker: PositiveInt = Field(500, description="Labels after which a worker is replaced.")
    cache: Path | Literal["none"] | None = Field(
        None, description="SQLite file of labels that campaigns share; one per user by default; none: off."
    )

    @model_validator(mode="after")
    def _fits(self) -> "SimulatorConfig":
        for name in ("parsl", "dask"):
            if getattr(self, name) is not None and self.engine != name:
                raise ValueError(f"simulator.{name} needs engine: {name}")
        if self.deadline is not None and self.cache == "none":
            raise ValueError("simulator.deadline needs a cache, where late labels go; leave out cache: none")
        return self

    @property
    def engine_settings(self) -> dict[str, Any]:
        """Settings for `alkit.engines.create_engine`."""
        names = ("workers", "timeout", "memory_limit", "labels_per_worker", "dask")
        return {name: getattr(self, name) for name in names} | {"parsl": self.parsl or "local"}
