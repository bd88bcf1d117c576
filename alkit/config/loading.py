"""Read a campaign file: YAML, overrides, input paths, and what changed since the last run."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alkit.config.baseline import EARLIER, PretrainingConfig, pretraining_of, renamed
from alkit.config.dataset import DatasetOptions
from alkit.config.masking import masked
from alkit.config.messages import repeated_key, sentence
from alkit.config.proposer import PROPOSERS, CustomConfig, MixConfig, PoolConfig
from alkit.config.schema import CampaignConfig, SurrogateConfig
from alkit.config.simulator import MEANS
from alkit.errors import ConfigError
from alkit.files import absolute

# Section and key -> the default of an earlier revision. A campaign that began with it goes on with it.
EARLIER_DEFAULTS = {("surrogate", "gaussians"): 20}
# Section and key that came later -> what campaigns of revisions without it had.
LATER_KEYS: dict[tuple[str, str], Any] = {
    ("surrogate", "heads"): 1,
    ("surrogate", "baseline"): [{"kind": "gfn2"}],
    ("surrogate", "baseline_inputs"): False,
    ("surrogate", "pretraining"): None,
    ("surrogate", "pooling"): "auto",
    ("start", "choice"): "random",
    ("start", "labels"): None,
    ("target_set", "known"): "list",
    ("tracking", "system_metrics"): False,
    ("domain", "require"): [],
    ("domain", "forbid"): [],
    ("domain", "descriptors"): {},
    ("domain", "allowed"): None,
    **{
        ("dataset_options", key): value
        for key, value in DatasetOptions.model_validate({}).model_dump(mode="json").items()
    },
}
# Section -> the key that its short form, a single text, stands for; `kind` of the others.
_SHORT_FOR = {"acquisition": "name", "pretraining": "level"}

# Settings that change no past result: they may change while a campaign is under way, and the ledger notes it.
MAY_CHANGE = ("acquisition", "batch_size", "stop", "tracking", *(f"simulator.{name}" for name in MEANS))


def load_config(path: Path, overrides: list[str] | tuple[str, ...] = ()) -> CampaignConfig:
    """Read and check a campaign file.

    Args:
        path: YAML.
        overrides: ``key.inner=value`` each, the value in YAML.

    Raises:
        ConfigError: anything wrong with it, in one sentence with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f"There is no campaign file {path}; `alkit campaign template` prints one to start from."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not a text file in UTF-8 ({error.reason} at byte {error.start})."
        ) from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}, {where}: not YAML ({problem}).") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no campaign: a mapping of keys like `name: first` is expected.")
    if repeated := repeated_key(text):
        raise ConfigError(f"{path}, line {repeated[1]}: the key {repeated[0]!r} is there twice; keep one.")
    for override in overrides:
        override_key(data, override)
    overridden = [override.partition("=")[0] for override in overrides]
    if isinstance(section := data.get("surrogate"), dict) and section.get("learning") == EARLIER:
        print(
            f"{path}: learning: pretrain is called pretraining: gfn2 now; both are understood",
            file=sys.stderr,
        )
    return check_config(data, path=path, text=text, overridden=overridden)


def check_config(
    data: dict[str, Any], *, path: Path | None = None, text: str = "", overridden: Sequence[str] = ()
) -> CampaignConfig:
    """A campaign from its keys; input paths are relative to the folder of ``path``, or the working directory.

    Raises:
        ConfigError: anything wrong with it, in one sentence.
    """
    try:
        config = CampaignConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(sentence(error, CampaignConfig, path, text, overridden)) from None
    return _resolved(config, path.resolve().parent if path else Path.cwd())


def read_pretraining(text: str, what: str) -> PretrainingConfig:
    """A level such as ``gfn2``, or ``{level: gfn2, minus: gfn1, …}`` in YAML; paths as they are.

    Raises:
        ConfigError: anything wrong with it, in one sentence that begins with ``what``.
    """
    try:
        given = pretraining_of(yaml.safe_load(text))
        if not given:
            raise ValueError("nothing is given")
        return PretrainingConfig.model_validate(given)
    except ValidationError as error:
        raise ConfigError(sentence(error, PretrainingConfig, Path(what), "")) from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError(
            f"{what} is {text!r:.80}; give a level such as gfn2, or {{level: gfn2, …}}."
        ) from None


def override_key(data: dict[str, Any], override: str) -> None:
    """Set what ``key.inner=value`` names, the value in YAML.

    Raises:
        ConfigError: a text of another form, or a key that is none.
    """
    keys, equals, value = override.partition("=")
    if not equals or not keys:
        raise ConfigError(f"--set {override!r} is not of the form key=value, such as stop.rounds=2.")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override!r}: the value is not YAML.") from None
    *outer, last = keys.split(".")
    for key in outer:
        inner = data.setdefault(key, {})
        if isinstance(inner, str):  # the short form, such as `simulator: xtb`
            inner = {_SHORT_FOR.get(key, "kind"): inner}
        if not isinstance(inner, dict):
            held = "a list" if isinstance(inner, list) else "a single value"
            raise ConfigError(f"--set {override!r}: {key!r} holds {held}, not keys.")
        data[key] = inner
        data = inner
    if outer == ["proposer"] and last == "kind" and parsed in PROPOSERS:
        keys_of_kind = PROPOSERS[parsed].model_fields
        for key in [key for key in data if key not in keys_of_kind]:  # another kind has no such setting
            del data[key]
    data[last] = parsed


def _scheduler(base: Path, dask: str | None) -> str | None:
    """The setting of a Dask cluster: its file, or its address as it stands."""
    return str(absolute(dask, base, "simulator.dask")) if dask and dask.endswith(".json") else dask


def _placed(base: Path, cache: Path | str | None) -> Path | str | None:
    """A cache need not exist: it is made."""
    return absolute(cache, base, "simulator.cache") if isinstance(cache, Path) else cache


def _resolved(config: CampaignConfig, base: Path) -> CampaignConfig:
    """Input paths made absolute, and checked to exist."""
    changes: dict[str, Any] = {}
    for key in ("seeds", "dataset"):
        if (path := getattr(config, key)) is not None:
            changes[key] = _existing(base, path, key)
    if labels := config.start.labels:
        labels = labels.model_copy(update={"file": _existing(base, labels.file, "start.labels.file")})
        changes["start"] = config.start.model_copy(update={"labels": labels})
    if config.target_set and config.target_set.file is not None:
        file = _existing(base, config.target_set.file, "target_set.file")
        changes["target_set"] = config.target_set.model_copy(update={"file": file})
    options = config.dataset_options
    if (options.references or "").endswith(".json"):
        atoms = str(_existing(base, Path(options.references or ""), "dataset.references"))
        changes["dataset_options"] = options.model_copy(update={"references": atoms})
    changes["surrogate"] = _resolved_surrogate(config, base)
    changes["proposer"] = _resolved_proposer(config.proposer, base)
    if config.domain.allowed:
        allowed = absolute_code_path(config.domain.allowed, base)
        changes["domain"] = config.domain.model_copy(update={"allowed": allowed})
    changes["acquisition"] = config.acquisition.model_copy(
        update={"name": absolute_code_path(config.acquisition.name, base)}
    )
    changes["simulator"] = config.simulator.model_copy(
        update={
            "kind": absolute_code_path(config.simulator.kind, base),
            "parsl": config.simulator.parsl and absolute_code_path(config.simulator.parsl, base),
            "dask": _scheduler(base, config.simulator.dask),
            "cache": _placed(base, config.simulator.cache),
        }
    )
    resolved = config.model_copy(update=changes)
    resolved._base = base
    return resolved


def _resolved_surrogate(config: CampaignConfig, base: Path) -> SurrogateConfig:
    """The section with the files of its baselines and its pretraining made absolute."""

    def resolved(given: Sequence[dict[str, Any]], where: str) -> tuple[dict[str, Any], ...]:
        return tuple(_resolved_baseline(one, config, base, f"surrogate.{where}") for one in given)

    section = config.surrogate
    changes: dict[str, Any] = {"baseline": resolved(section.baseline, "baseline")}
    if (pretraining := section.pretraining) is not None:
        own: dict[str, Any] = {"level": resolved(pretraining.level, "pretraining.level")}
        if pretraining.minus is not None:
            own["minus"] = resolved(pretraining.minus, "pretraining.minus")
        if pretraining.file is not None:
            own["file"] = _existing(base, pretraining.file, "surrogate.pretraining.file")
        changes["pretraining"] = pretraining.model_copy(update=own)
    return section.model_copy(update=changes)


def _resolved_baseline(
    given: dict[str, Any], config: CampaignConfig, base: Path, where: str
) -> dict[str, Any]:
    """Its files made absolute; of ``dataset`` the campaign's own where it names none."""
    if given["kind"] == "dataset" and "path" not in given and config.dataset is not None:
        given = given | {"path": str(config.dataset)}
    for key in ("path", "weights"):
        if isinstance(given.get(key), str):
            given = given | {key: str(_existing(base, Path(given[key]), f"{where}.{key}"))}
    return given


def _resolved_proposer(proposer: Any, base: Path) -> Any:
    if isinstance(proposer, MixConfig):
        parts = [_resolved_proposer(part, base) for part in proposer.parts]
        return proposer.model_copy(update={"parts": parts})
    if isinstance(proposer, PoolConfig) and proposer.file is not None:
        return proposer.model_copy(update={"file": _existing(base, proposer.file, "proposer.file")})
    if isinstance(proposer, CustomConfig):
        return proposer.model_copy(update={"name": absolute_code_path(proposer.name, base)})
    return proposer


def _existing(base: Path, path_given: Path, key: str) -> Path:
    path = absolute(path_given, base, key)
    if not path.is_file():
        hint = " `alkit data import` makes one." if key == "dataset" else ""
        raise ConfigError(f"{key}: there is no file {path}.{hint}")
    return path


def absolute_code_path(name: str, base: Path) -> str:
    """``./file.py:function`` with the file made absolute; other names as they are."""
    file, colon, function = name.rpartition(":")
    return f"{absolute(file, base, name)}:{function}" if colon and file.endswith(".py") else name


def keep_earlier_defaults(config: CampaignConfig, stored: dict[str, Any]) -> CampaignConfig:
    """The config with the defaults that its campaign began with, where the user's file does not set the key.

    Args:
        config: as the user's file has it now.
        stored: the campaign's config as `CampaignConfig.as_dict` wrote it, maybe by an earlier revision.
    """
    for (name, key), value in EARLIER_DEFAULTS.items():
        section = getattr(config, name)
        if key not in section.model_fields_set and stored.get(name, {}).get(key) == value:
            config = config.model_copy(update={name: section.model_copy(update={key: value})})
    if "target_set" not in stored and "target_set" not in config.model_fields_set:
        config = config.model_copy(update={"target_set": None})
    return config


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Lines ``key: old -> new`` for what differs.

    Ledgers of earlier revisions hold a password in ``tracking.uri``; it is hidden here too. Ways to compute
    labels that they do not name have not changed.
    """
    if isinstance(uri := old.get("tracking", {}).get("uri"), str):
        old = old | {"tracking": old["tracking"] | {"uri": masked(uri)}}
    old = old | {"surrogate": renamed(old.get("surrogate", {}))}
    for (name, key), value in LATER_KEYS.items():
        if isinstance(new.get(name), dict) and old.get(name, {}) is not None:
            old = old | {name: {key: value} | old.get(name, {})}
    ways = {name: new["simulator"][name] for name in MEANS if name in new.get("simulator", {})}
    return difference(old | {"simulator": ways | old.get("simulator", {})}, new)


def may_change(key: str) -> bool:
    """Whether no past result depends on the setting ``key``, such as "stop.rounds"."""
    return any(key == free or key.startswith(f"{free}.") for free in MAY_CHANGE)


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Lines ``key: old -> new`` for what differs."""
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += difference(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {a} -> {b}")
    return lines
