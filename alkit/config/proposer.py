"""The campaign file's section `proposer`, of several kinds."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from alkit.config.types import NotTruth, PositiveFloat, PositiveInt, Section


class PoolConfig(Section):
    """Molecules of a file, or the seeds."""

    kind: Literal["pool"] = Field(description="pool, generator, evolution, custom or mix.")
    file: Path | None = Field(None, description="SMILES file; without it, the pool is the seeds.")
    per_round: PositiveInt | None = Field(
        None, description="Random subset proposed each round; all by default."
    )

    @property
    def count(self) -> int:
        """Molecules to propose in a round, at most."""
        return self.per_round or sys.maxsize


class GeneratorConfig(Section):
    """A network that writes molecules token by token, trained on seeds and labels, and against a critic."""

    kind: Literal["generator"] = Field(
        description="generator (writes molecules), pool, evolution, custom or mix."
    )
    per_round: PositiveInt = Field(500, description="Molecules sampled each round.")
    steps: PositiveInt = Field(1000, description="Likelihood updates before the first round, on the seeds.")
    steps_per_round: PositiveInt = Field(
        100, description="Likelihood updates each round, on seeds and labelled molecules."
    )
    adversarial_steps: Annotated[int, Field(ge=0, strict=True)] = Field(
        60, description="Updates against the critic, before the first round and in each."
    )
    replay: PositiveFloat = Field(
        3.0, description="Sampling weight of acquired molecules against seed molecules."
    )
    novelty: Annotated[float, Field(ge=0, allow_inf_nan=False), NotTruth] = Field(
        0.0,
        description="Push to what is unlike the molecules learned from, in nats; 0 keeps to their chemistry.",
    )
    steering: Annotated[float, Field(ge=0, allow_inf_nan=False), NotTruth] = Field(
        1.0, description="Pull to what the acquisition function values; 0 is none."
    )

    @property
    def count(self) -> int:
        """Molecules to propose in a round, at most."""
        return self.per_round

    @model_validator(mode="after")
    def _steerable(self) -> "GeneratorConfig":
        if self.steering and not self.adversarial_steps:
            raise ValueError("steering needs adversarial_steps; give some, or steering: 0")
        return self


class EvolutionConfig(Section):
    """Mutants and children of labelled molecules."""

    kind: Literal["evolution"] = Field(description="evolution (mutation, crossover), or another kind.")
    per_round: PositiveInt = Field(500, description="Children proposed each round.")
    crossover: Annotated[float, Field(ge=0, le=1), NotTruth] = Field(
        0.3, description="Share of children with two parents."
    )
    elitism: Annotated[float, Field(ge=0, le=1), NotTruth] = Field(
        0.5, description="Share of parents from the better half of the last candidates."
    )

    @property
    def count(self) -> int:
        """Molecules to propose in a round, at most."""
        return self.per_round


class CustomConfig(Section):
    """The user's own: a class, or a function ``propose(n, context)``."""

    kind: Literal["custom"] = Field(description="custom: your own code, or another kind.")
    name: str = Field(description="./file.py:Name, or an entry point of the group alkit.proposers.")
    per_round: PositiveInt = Field(500, description="Molecules asked for each round.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Arguments of the class.")

    @property
    def count(self) -> int:
        """Molecules to propose in a round, at most."""
        return self.per_round


SingleProposerConfig = Annotated[
    PoolConfig | GeneratorConfig | EvolutionConfig | CustomConfig, Field(discriminator="kind")
]


PROPOSERS: dict[str, type[Section]] = {
    "generator": GeneratorConfig,
    "pool": PoolConfig,
    "evolution": EvolutionConfig,
    "custom": CustomConfig,
}


class MixConfig(Section):
    """Several proposers, each with its own ``per_round``."""

    kind: Literal["mix"] = Field(description="mix: several kinds at once.")
    parts: list[SingleProposerConfig] = Field(min_length=1, description="Proposers, each with its per_round.")

    @property
    def count(self) -> int:
        """Molecules to propose in a round, at most."""
        return sum(part.count for part in self.parts)

    @model_validator(mode="before")
    @classmethod
    def _short_parts(cls, data: Any) -> Any:
        """`parts: [generator, evolution]` is short for their kinds."""
        if isinstance(data, dict) and isinstance(data.get("parts"), list):
            parts = [{"kind": part} if isinstance(part, str) else part for part in data["parts"]]
            return {**data, "parts": parts}
        return data

    @model_validator(mode="after")
    def _one_generator(self) -> "MixConfig":
        if sum(isinstance(part, GeneratorConfig) for part in self.parts) > 1:
            raise ValueError("a mix has one generator at most")
        return self


ProposerConfig = Annotated[
    PoolConfig | GeneratorConfig | EvolutionConfig | CustomConfig | MixConfig,
    Field(discriminator="kind"),
]
