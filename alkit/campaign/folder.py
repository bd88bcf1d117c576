"""A campaign's folder: its lock, and the settings that its ledger keeps.

Settings that change no past result may change while a campaign is under way; the ledger notes each change and
the round from which it counts. Any other difference is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from alkit.config import loading, moving
from alkit.config.schema import CampaignConfig
from alkit.errors import CampaignError
from alkit.files import locked, refuse_links, replace_file, sweep, write_text
from alkit.storage.ledger import Ledger

LEDGER = "ledger.sqlite"
_LOCK = ".lock"
_STORE = ("tracking.uri:", "tracking.experiment:")
_OF_SELECTION = ("acquisition", "batch_size")


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep the folder, made if need be, for this process alone; the lock ends with the process.

    Raises:
        CampaignError: it is in use, or something else is in it.
    """
    if folder.exists() and not folder.is_dir():
        raise CampaignError(f"{folder} is a file; the campaign needs a folder there.")
    if folder.exists() and not (folder / LEDGER).exists():
        strange = [path.name for path in folder.iterdir() if path.name != _LOCK]
        if strange:
            raise CampaignError(
                f"{folder} is not empty and not a campaign's folder (it holds {min(strange)}); set "
                "another `folder`."
            )
    folder.mkdir(parents=True, exist_ok=True)
    busy = CampaignError(f"{folder} is in use by another `alkit campaign run`; try again when it has ended.")
    refuse_links(folder)
    with locked(folder / _LOCK, busy=busy):
        sweep(folder)
        yield


def remove_new(folder: Path) -> None:
    """Remove the folder of a start that was refused before anything was drawn."""
    for path in (*folder.glob(f"{LEDGER}*"), folder / "campaign.yaml", folder / _LOCK):
        path.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:  # something else is in it
        return


def open_campaign(folder: Path) -> tuple[CampaignConfig, Ledger]:
    """The config and the ledger of a campaign's folder, to read.

    Raises:
        CampaignError: there is none.
    """
    path = Path(folder) / LEDGER
    if not path.is_file():
        raise CampaignError(f"{folder} is not a campaign's folder: there is no {LEDGER} in it.")
    refuse_links(Path(folder))
    ledger = Ledger(path, read_only=True)
    ledger.check_files(Path(folder))
    return stored_config(ledger), ledger


def stored_config(ledger: Ledger) -> CampaignConfig:
    """The settings that a ledger keeps.

    Raises:
        CampaignError: there are none, or this version of alkit cannot read them.
    """
    stored = ledger.meta("config")
    if stored is None:
        raise CampaignError(f"{ledger.path} holds no campaign yet; `alkit campaign run` starts one.")
    base = Path(ledger.meta("base") or Path.cwd())
    try:
        config = CampaignConfig.model_validate(moving.absolute(json.loads(stored), base))
    except ValueError:
        raise CampaignError(
            f"{ledger.path} holds the config of another version of alkit, or a damaged one; `alkit campaign "
            "run` with the campaign's file says what differs."
        ) from None
    config._base = base
    return config


def changed_settings(ledger: Ledger, config: CampaignConfig, folder: Path) -> list[str]:
    """Lines ``key: old -> new`` on the settings that differ from the ledger's, all of which may.

    Raises:
        CampaignError: a setting differs that past results depend on.
    """
    base, known = ledger.meta("base"), ledger.meta("contents")
    lines = moving.changed(
        json.loads(ledger.meta("config") or "{}"),
        Path(base) if base else config.base,
        json.loads(known) if known else None,
        config,
    )
    if refused := [line for line in lines if not loading.may_change(line.partition(":")[0])]:
        raise CampaignError(
            f"{folder} holds a campaign with another config ({'; '.join(refused)}); put the old "
            "values back to go on with it, or set another `folder` or `name` for a new campaign."
        )
    return lines


def concerns(lines: Sequence[str], *sections: str) -> bool:
    """Whether one of the changes is of these sections."""
    return any(line.partition(":")[0].partition(".")[0] in sections for line in lines)


def keep_config(
    ledger: Ledger,
    config: CampaignConfig,
    folder: Path,
    changed: Sequence[str] = (),
    *,
    goes_on: bool = False,
) -> None:
    """Keep the campaign's settings and what has changed in them, in the ledger and as a campaign file.

    Args:
        ledger: of the campaign.
        config: new settings.
        folder: of the campaign.
        changed: as `changed_settings` has it.
        goes_on: the campaign had ended, and its changed stop rules let it go on.
    """
    values, base = config.as_dict(), config.base
    with ledger.transaction():
        for line in changed:
            ledger.add_change(_first_round(ledger, line), line)
        if any(line.startswith(_STORE) for line in changed):  # another store: all rounds are written to it
            for key in ("tracking_uri", "mlflow_run"):
                ledger.set_meta(key, "")
        if goes_on:
            ledger.set_meta("stopped_by", "")
        ledger.set_meta("config", json.dumps(moving.relative(values, base)))
        ledger.set_meta("base", str(base))
        ledger.set_meta("contents", json.dumps(moving.contents(config)))
    write_campaign_file(config, folder, folder)


def write_campaign_file(config: CampaignConfig, folder: Path, place: Path) -> None:
    """Write ``campaign.yaml`` into a ``folder`` that lies, or will lie, at ``place``."""
    values = config.as_dict()
    project = next((one for one in (config.base, Path.cwd()) if place.is_relative_to(one)), None)
    if project:
        values = moving.relative(values, place, within=project)
    text = yaml.safe_dump(values, sort_keys=False)
    replace_file(folder / "campaign.yaml", lambda path: write_text(path, text))


def _first_round(ledger: Ledger, line: str) -> int:
    """The first round in which a change counts."""
    round_ = max((metrics.round for metrics in ledger.metrics()), default=-1) + 1
    if concerns([line], *_OF_SELECTION):  # round 0 selects nothing
        return max(1, round_ + ledger.finished(round_, "acquire"))
    return round_
