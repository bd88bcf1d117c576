"""The settings of a study of acquisition functions, as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import yaml

from alkit.errors import ConfigError

SCENARIOS = {
    "uniform": "start, pool and test drawn alike",
    "last-tested": "start and pool drawn from all but the last molecules of the data set, test on these",
    "small-first": "start of small molecules, test on larger ones",
    "without-group": "start without a functional group, test on molecules that have it",
}
SURROGATES = {
    "gp": "a Gaussian process on SOAP features of the geometry",
    "schnet": "an ensemble of SchNets",
    "kernel": "the kernel for few labels",
}
REFERENCE = "random"
STARTS = ("kmeans++", "integrated_variance")
_REVISION = 2  # of features and acquisition functions: the runs of another one are not gone on with
_CHANGE_NO_RUN = ("functions", "seeds", "target_mae", "workers")
LATER_SETTINGS: dict[str, Any] = {"baseline": [], "baseline_inputs": False}
"""Settings that came later -> what a study without them had."""
_ON = {"embeddings": "on embeddings", "soap": "on SOAP features"}


@dataclass(frozen=True)
class Function:
    """An acquisition function as a campaign file names it."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    features: str | None = None
    start: str | None = None  # of `STARTS`; at random by default

    @property
    def title(self) -> str:
        """The function's name with the settings that differ from its defaults."""
        differences = [_ON[self.features]] if self.features else []
        differences += [f"start: {self.start}"] if self.start else []
        differences += [f"{key}: {json.dumps(value)}" for key, value in self.settings.items()]
        return f"{self.name} ({', '.join(differences)})" if differences else self.name

    @classmethod
    def parse(cls, text: str) -> Function:
        """``lcmd``, ``./mine.py:score`` or ``{name: lcmd, features: soap, settings: {…}}``."""
        if not text.strip().startswith("{"):
            return cls(text.strip())
        try:
            fields = dict(yaml.safe_load(text))
            features, start = fields.pop("features", None), fields.pop("start", None)
            function = cls(str(fields.pop("name")), dict(fields.pop("settings", {})), features, start)
            if features not in (None, *_ON) or start not in (None, *STARTS):
                fields["?"] = text
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            fields = {"?": text}
        if fields:
            raise ConfigError(
                f"{text!r} is no acquisition function; give a name, ./file.py:function, or "
                f"'{{name: …, settings: {{…}}, features: {' or '.join(_ON)}, start: {' or '.join(STARTS)}}}'."
            )
        return function


@dataclass(frozen=True)
class Settings:
    """A study's settings; the same settings go on with the same folder.

    Attributes:
        data: database of `alkit data import`, with geometries.
        functions: what is compared with random selection.
        scenario: of `SCENARIOS`.
        surrogate: of `SURROGATES`.
        start, batch, labels: labels at the start, acquired in a round, and in all. Every label counts, those
            that a SchNet stops its training by too.
        pool, test: molecules to choose from, and to test on; test labels choose nothing. The representative
            atoms of SOAP features are drawn from all molecules of the data set, without their labels.
        seeds: draws of test, pool and start; the first is ``seed``.
        small: most heavy atoms of a start molecule of "small-first".
        group: SMARTS of what the start of "without-group" lacks.
        target: property of the database.
        members, model, training: of "schnet".
        baseline: of "schnet" and "kernel": what they learn on top of, each a mapping with a ``kind``.
        baseline_inputs: whether they see what the baselines say of atoms.
        target_mae: eV; the table says with how many labels each function has it. It changes no run.
        workers: processes that compute baselines. They change no run.
    """

    data: str
    functions: tuple[Function, ...]
    scenario: str = "uniform"
    surrogate: str = "gp"
    start: int = 100
    batch: int = 100
    labels: int = 1500
    pool: int = 9000
    test: int = 2000
    seeds: int = 5
    seed: int = 1
    small: int = 7
    group: str = "C#N"
    target: str = "u0"
    members: int = 2
    model: dict[str, Any] = field(default_factory=lambda: {"features": 64, "gaussians": 40})
    training: dict[str, Any] = field(
        default_factory=lambda: {"epochs": 120, "batch_size": 16, "lr": 1e-3, "ema": 0.99}
    )

    baseline: tuple[dict[str, Any], ...] = ()
    baseline_inputs: bool = False
    target_mae: float | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        for name, valid in (("scenario", SCENARIOS), ("surrogate", SURROGATES)):
            if getattr(self, name) not in valid:
                raise ConfigError(f"There is no {name} {getattr(self, name)!r}; one of {', '.join(valid)}.")
        titles = [function.title for function in self.functions]
        if len(set(titles)) < len(titles) or not titles:
            raise ConfigError(f"functions {', '.join(titles)} names one twice, or none.")
        if REFERENCE in titles:
            raise ConfigError("random is what the others are compared with; leave it out of the functions.")
        if self.baseline and self.surrogate == "gp":
            raise ConfigError("baseline is given, and surrogate gp takes none; use kernel or schnet.")
        if self.baseline_inputs and not self.baseline:
            raise ConfigError("baseline_inputs is given without a baseline; name one.")
        if self.target_mae is not None and not 0 < self.target_mae < float("inf"):
            raise ConfigError(f"target_mae is {self.target_mae}; it must be a number of eV above 0.")
        if self.surrogate != "kernel" and any(one.start == "integrated_variance" for one in self.functions):
            raise ConfigError("start: integrated_variance asks a kernel; use surrogate kernel.")
        least = {"start": 10, "batch": 1, "seeds": 1, "test": 10, "members": 1, "small": 1, "workers": 1}
        for name, fewest in least.items():
            if getattr(self, name) < fewest:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least {fewest}.")
        if not self.start < self.labels <= self.pool:
            raise ConfigError(
                f"start {self.start}, labels {self.labels} and pool {self.pool} must be ordered as "
                "start < labels <= pool."
            )

    @property
    def all_functions(self) -> tuple[Function, ...]:
        """The reference, then the functions that are compared with it."""
        return (Function(REFERENCE), *self.functions)

    def described(self) -> dict[str, Any]:
        """The settings that a run depends on: all but functions and seeds, which may become more."""
        settings: dict[str, Any] = {"revision": _REVISION} | json.loads(
            json.dumps(self.__dict__, default=lambda one: one.__dict__)
        )
        for name in _CHANGE_NO_RUN:
            del settings[name]
        return settings
