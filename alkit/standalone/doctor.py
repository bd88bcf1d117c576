"""A look at what works here, and the fix for what does not."""

from __future__ import annotations

import importlib.metadata as metadata
import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from packaging.requirements import Requirement

import alkit
from alkit.baselines.base import BASELINES, BaselineSpec, create_baseline
from alkit.engines.registry import ENGINES, create_engine
from alkit.errors import AlkitError, ConfigError, LabelError
from alkit.molecules.molecule import Molecule
from alkit.plugins import nearest
from alkit.reporting.tracking_store import check_store
from alkit.simulators.base import SIMULATORS, SimulatorSpec
from alkit.simulators.bindings import BINDINGS
from alkit.storage.label_cache import default_path

State = Literal["works", "not here", "broken"]
_GIVEN = ("ase", "dataset")  # baselines that a campaign file completes
_WATER = Molecule(
    "O",
    np.array([8, 1, 1]),
    np.array([[0.0, 0.0, 0.119], [0.0, 0.763, -0.477], [0.0, -0.763, -0.477]]),
    "mmff",
)
_KNOWN, _SAME = -14.0403, 0.001  # eV: GFN2-xTB of relaxed water less its atoms, by xtb-python 22.1
_TIMEOUT = 60.0  # seconds of a label
_LEAST_SPACE = 2.0  # GB
_SHOWN = ("torch", "schnetpack", "rdkit", "mlflow", "xtb", "tblite")
_OF_DEVELOPERS = ("test", "benchmark")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: what it belongs to, such as "simulators".
        name: what it is.
        state: "works"; "not here": it is optional, and not installed; "broken": it is needed or installed,
            and does not work.
        said: what was found.
        fix: what to do; empty where it works.
    """

    part: str
    name: str
    state: State
    said: str
    fix: str = ""


def examine(parts: Sequence[str], tracking_uri: str) -> Iterator[Finding]:
    """Look at parts of what alkit needs.

    Args:
        parts: names of them; all by default.
        tracking_uri: the MLflow store to look at.

    Yields:
        What each part says.

    Raises:
        ConfigError: there is no such part.
    """
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "versions": _versions,
        "devices": _devices,
        "simulators": _simulators,
        "engines": _engines,
        "baselines": _baselines,
        "extras": _extras,
        "stores": partial(_stores, tracking_uri),
    }
    if unknown := [part for part in parts if part not in looks]:
        raise ConfigError(f"There is nothing called {unknown[0]!r} to look at; {nearest(unknown[0], looks)}.")
    for part in parts or looks:
        yield from looks[part]()


def _versions() -> Iterator[Finding]:
    yield Finding("versions", "python", "works", f"{platform.python_version()}, {platform.platform()}")
    found = ", ".join(f"{name} {metadata.version(name)}" for name in _SHOWN if _is_installed(name))
    yield Finding("versions", "alkit", "works", f"{alkit.__version__}; {found}")
    for requirement in _requirements():
        if problem := _problem(requirement):
            fix = f"pip install '{requirement.name}{requirement.specifier}'"
            yield Finding("versions", requirement.name, "broken", problem, fix)


def _requirements(extra: str = "") -> list[Requirement]:
    """The packages that alkit itself needs here, or one of its extras."""
    needed = [Requirement(line) for line in metadata.requires("alkit") or []]
    own = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    if not extra:
        return own
    return [one for one in needed if one not in own and one.marker and one.marker.evaluate({"extra": extra})]


def _is_installed(name: str) -> bool:
    return not _problem(Requirement(name))


def _problem(requirement: Requirement) -> str:
    """The problem with an installed package; empty where there is none."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "not installed"
    good = requirement.specifier.contains(version, prereleases=True)
    return "" if good else f"{version} is installed, and {requirement.specifier} is needed"


def _devices() -> Iterator[Finding]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    said = ", ".join(gpus) or "no GPU that torch can use"
    yield Finding("devices", "GPU", "works" if gpus else "not here", said)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = f"{cores} cores, {torch.get_num_threads()} threads of torch"
    spins = os.environ.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE"
    fix = "unset OMP_WAIT_POLICY" if spins else ""
    said += ", which spin while they wait (OMP_WAIT_POLICY=ACTIVE)" if spins else ""
    yield Finding("devices", "CPU", "broken" if spins else "works", said, fix)


def _simulators() -> Iterator[Finding]:
    for kind in BINDINGS:
        if not _is_installed(kind):
            yield Finding("simulators", kind, "not here", "not installed", f"pip install {kind}")
            continue
        yield _tried("simulators", kind, partial(_labelled, kind, "local"), f"pip install -U {kind}")
    if not any(_is_installed(kind) for kind in BINDINGS):
        yield Finding("simulators", "GFN-xTB", "broken", "no program that computes it", "pip install tblite")
    for entry in metadata.entry_points(group="alkit.simulators"):
        yield _tried("simulators", entry.name, partial(_loaded, entry), f"see {entry.value}")


def _loaded(entry: metadata.EntryPoint) -> str:
    return str(entry.load())


def _engines() -> Iterator[Finding]:
    binding = next((kind for kind in BINDINGS if _is_installed(kind)), None)
    for kind in ENGINES:
        missing = [one.name for one in _requirements(kind) if _problem(one)]
        if missing:
            fix = f"pip install 'alkit[{kind}]'"
            yield Finding("engines", kind, "not here", f"{', '.join(missing)} not installed", fix)
        elif binding and kind != "local":  # the simulators were tried with that
            fix = f"pip install -U 'alkit[{kind}]'"
            yield _tried("engines", kind, partial(_labelled, binding, kind), fix)
        else:
            yield Finding("engines", kind, "works" if binding else "not here", "processes of this machine")


def _labelled(simulator: str, engine: str) -> str:
    """Label water as a campaign would."""
    assert simulator in SIMULATORS
    spec = SimulatorSpec(simulator, {"target": "energy"})
    with (
        tempfile.TemporaryDirectory() as folder,
        create_engine(spec, engine, workers=1, timeout=_TIMEOUT, folder=Path(folder)) as running,
    ):
        ((_, outcome),) = running.label_all([_WATER])
    if isinstance(outcome, LabelError):
        raise ConfigError(str(outcome))
    if abs(outcome.value - _KNOWN) > _SAME:
        raise ConfigError(f"water has {outcome.value:.4f} eV, and must have {_KNOWN:.4f} eV")
    return f"water {outcome.value:.4f} eV, as it must be"


def _baselines() -> Iterator[Finding]:
    for name in BASELINES:
        if name in _GIVEN:
            continue
        try:
            baseline = create_baseline(BaselineSpec.of(name))
        except AlkitError as error:
            said, install, rest = str(error).partition(": pip install")
            yield Finding("baselines", name, "not here", said, f"{install}{rest}".removeprefix(": "))
            continue
        yield _tried("baselines", name, baseline.check, "pip install -U tblite")


def _extras() -> Iterator[Finding]:
    for extra in metadata.metadata("alkit").get_all("Provides-Extra") or []:
        if extra in _OF_DEVELOPERS or not (needed := _requirements(extra)):
            continue
        missing = [one.name for one in needed if _problem(one)]
        said = f"{', '.join(missing)} not installed" if missing else ", ".join(one.name for one in needed)
        fix = f"pip install 'alkit[{extra}]'" if missing else ""
        yield Finding("extras", extra, "not here" if missing else "works", said, fix)


def _stores(tracking_uri: str) -> Iterator[Finding]:
    path = default_path()
    fix = f"move {path} away, or set ALKIT_LABEL_CACHE to another file"
    yield _tried("stores", "label cache", lambda: _writable(path), fix)
    fix = f"mlflow db upgrade {tracking_uri}, or another tracking.uri"
    yield _tried("stores", "MLflow", lambda: check_store(tracking_uri), fix)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    enough = free >= _LEAST_SPACE
    fix = "" if enough else "make room, or run in another folder"
    yield Finding("stores", "this folder", "works" if enough else "broken", f"{free:.1f} GB are free", fix)


def _writable(path: Path) -> str:
    """A file of SQLite that can be written, or can be made."""
    if not path.exists():
        above = next(one for one in path.parents if one.exists())
        if not os.access(above, os.W_OK):
            raise ConfigError(f"{above} cannot be written")
        return f"{path}, made when it is needed"
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as store:
            count = store.execute("SELECT count(*) FROM labels").fetchone()[0]
            store.execute("BEGIN IMMEDIATE")
            store.rollback()
    except sqlite3.Error as error:
        raise ConfigError(f"{path}: {error}") from error
    return f"{path}, {count} labels"


def _tried(part: str, name: str, check: Callable[[], str], fix: str) -> Finding:
    try:
        return Finding(part, name, "works", check())
    except Exception as error:  # whatever does not work must be shown, and the rest looked at
        return Finding(part, name, "broken", f"{error}".strip() or type(error).__name__, fix)
