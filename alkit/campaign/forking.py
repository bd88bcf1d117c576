"""Another campaign from a round of one that exists: its labels, models and settings up to there."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

from alkit.campaign.folder import LEDGER, open_campaign, write_campaign_file
from alkit.config.schema import CampaignConfig
from alkit.errors import CampaignError
from alkit.files import absolute, made
from alkit.reporting.verdicts import TWIN
from alkit.storage.ledger import Ledger
from alkit.storage.ledger_copy import copy_ledger

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # of a campaign
_OF_THE_START = ("pretrained",)  # folders of a campaign that no later round changes


def fork(folder: Path, new: Path, round_: int | None = None) -> int:
    """Make the campaign folder ``new``: the campaign of ``folder`` as it was when a round had ended.

    It goes on as that campaign would, with the same seeds, until its settings are changed. The campaign of
    ``folder`` may be running.

    Args:
        folder: of the existing campaign.
        new: a folder that does not exist yet.
        round_: the last evaluated one by default.

    Returns:
        The round.

    Raises:
        CampaignError: no such round, or ``new`` exists or names no campaign.
    """
    config, ledger = open_campaign(folder)
    with closing(ledger):
        rounds = [metrics.round for metrics in ledger.metrics()]
    if not rounds:
        raise CampaignError(f"{folder}: no round is evaluated yet; fork it when one is.")
    last = rounds[-1] if round_ is None else round_
    if last not in rounds:
        raise CampaignError(f"{folder}: there is no round {last}; evaluated rounds are 0 to {rounds[-1]}.")
    place = absolute(new, Path.cwd(), "the new folder")
    if place.exists():
        raise CampaignError(f"{new} exists already; give another folder, nothing is overwritten.")
    if not _NAME.fullmatch(place.name):
        raise CampaignError(f"{place.name!r} names no campaign; use letters, digits, '_', '.' and '-'.")
    with made(place.parent), tempfile.TemporaryDirectory(dir=place.parent, prefix=".fork.") as scratch:
        part = Path(scratch) / place.name
        own = {"name": place.name, "folder": new}
        _copy(Path(folder), part, place, last, config.model_copy(update=own))
        if config.twin and (Path(folder) / TWIN / LEDGER).exists():
            twin = open_campaign(Path(folder) / TWIN)[0]
            own = {"name": f"{place.name}-random", "folder": place / TWIN}
            _copy(Path(folder) / TWIN, part / TWIN, place / TWIN, last, twin.model_copy(update=own))
        part.rename(place)  # it is there when it is complete
    return last


def _copy(folder: Path, new: Path, place: Path, round_: int, config: CampaignConfig) -> None:
    """Write a campaign's folder to ``new``, which will lie at ``place``."""
    new.mkdir()
    for name in (*_OF_THE_START, *(f"rounds/{number:02d}" for number in range(round_ + 1))):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, new / name)
    copy_ledger(folder / LEDGER, new / LEDGER, round_)
    with closing(Ledger(new / LEDGER)) as ledger:
        ledger.set_meta("forked_from", f"{folder}, round {round_}")
        own = {"name": config.name, "folder": str(config.folder)}  # data files stay as they were noted
        ledger.set_meta("config", json.dumps(json.loads(ledger.meta("config") or "{}") | own))
    write_campaign_file(config, new, place)
