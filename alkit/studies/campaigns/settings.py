"""The settings of a study of campaigns: one campaign file, varied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from alkit.config.loading import load_config
from alkit.config.schema import CampaignConfig
from alkit.errors import ConfigError

_REFERENCE = "acquisition=random"


@dataclass(frozen=True)
class Arm:
    """A campaign file with some keys changed."""

    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The changed keys, or "as it is" where none is changed."""
        return ", ".join(self.overrides) or "as it is"

    @property
    def folder(self) -> str:
        """A name for files."""
        text = "_".join(self.overrides).replace("=", "-")
        plain = "".join(c if c.isalnum() or c in ".-" else "_" for c in text)
        return plain[:120] or "as_it_is"


@dataclass(frozen=True)
class Settings:
    """A study's settings; the same settings go on with the same folder.

    Attributes:
        campaign: the campaign file.
        overrides: ``key=value`` that change it for every arm.
        arms: what is compared.
        reference: name of the arm that the others are compared with.
        seeds: campaigns of every arm; the seed of the first is ``seed``.
    """

    campaign: Path
    arms: tuple[Arm, ...]
    reference: str
    overrides: tuple[str, ...] = ()
    seeds: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len({arm.folder for arm in self.arms}) < len(names):
            raise ConfigError(f"--vary gives one campaign twice, of {', '.join(names)}; keep one.")
        if len(names) < 2:
            raise ConfigError("One campaign has nothing to be compared with; give --vary two values.")
        if self.reference not in names:
            raise ConfigError(f"There is no campaign {self.reference!r}; one of {'; '.join(names)}.")
        if self.seeds < 1:
            raise ConfigError(f"--seeds is {self.seeds}; one at least.")

    @property
    def others(self) -> tuple[Arm, ...]:
        """All arms but the reference."""
        return tuple(arm for arm in self.arms if arm.name != self.reference)

    def config(self, arm: Arm, seed: int, out: Path) -> CampaignConfig:
        """The campaign of an arm and a seed, in its folder of the study ``out``."""
        return load_config(self.campaign, self.all_overrides(arm, seed, out))

    def all_overrides(self, arm: Arm, seed: int, out: Path) -> list[str]:
        """Overrides of one campaign: the study's, the arm's, and its own name, seed and folder."""
        own = {
            "name": f"{arm.folder[:80].lstrip('.-_') or 'arm'}-{seed}",
            "seed": seed,
            "folder": str(out / "campaigns" / arm.folder / str(seed)),
            "tracking.uri": f"sqlite:///{out / 'mlflow.db'}",
            "tracking.experiment": "study",
        }
        return [
            *self.overrides,
            *arm.overrides,
            *(f"{key}={json.dumps(value)}" for key, value in own.items()),
        ]

    def described(self) -> dict[str, Any]:
        """The settings that a campaign depends on: all but arms and seeds, which may become more."""
        text = self.campaign.read_text(encoding="utf-8")
        return {"campaign": text, "overrides": list(self.overrides)}


def arms(variations: Sequence[str]) -> tuple[Arm, ...]:
    """Every combination of values.

    Args:
        variations: ``key=value,value`` each; the values in YAML.

    Raises:
        ConfigError: one that is none.
    """
    choices = []
    for variation in variations:
        key, equals, values = variation.partition("=")
        try:
            listed = yaml.safe_load(f"[{values}]")
        except yaml.YAMLError:
            listed = None
        if not (key and equals and isinstance(listed, list) and listed):
            raise ConfigError(
                f"--vary {variation!r} is not of the form key=value,value, such as acquisition=bias,random."
            )
        choices.append([f"{key}={_inline(value)}" for value in listed])
    return tuple(Arm(combination) for combination in product(*choices))


def default_reference(found: Sequence[Arm]) -> str:
    """The last arm of random selection, or the last of all."""
    random = [arm for arm in found if _REFERENCE in arm.overrides]
    return (random or list(found))[-1].name


def _inline(value: Any) -> str:
    return (
        str(yaml.safe_dump(value, default_flow_style=True, width=10**6))
        .removesuffix("\n")
        .removesuffix("\n...")
    )
