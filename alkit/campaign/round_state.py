"""What every stage of a round can reach: config, ledger, round, seeds, paths, progress."""

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from alkit.acquisition.base import Acquisition
from alkit.campaign.label_source import LabelSource
from alkit.campaign.molecule_store import MoleculeStore
from alkit.config.schema import CampaignConfig
from alkit.reporting.progress import CampaignProgress
from alkit.storage.ledger import Ledger


@dataclass
class RoundState:
    """A campaign at one of its rounds.

    Stages hand results on through the ledger and the round's folder alone, so that a stage can run in another
    process than the one before it. ``molecules`` and ``labels`` keep nothing that they could not make again.
    """

    config: CampaignConfig
    folder: Path
    ledger: Ledger
    acquisition: Acquisition
    progress: CampaignProgress
    round: int

    @cached_property
    def molecules(self) -> MoleculeStore:
        return MoleculeStore(
            self.config, self.ledger, self.progress, lambda: self.labels.engine, lambda: self.labels.baselines
        )

    @cached_property
    def labels(self) -> LabelSource:
        return LabelSource(self.config, self.ledger, self.folder)

    def path(self, name: str, *, round_: int | None = None) -> Path:
        """A file of this round, or of another."""
        return self.folder / "rounds" / f"{self.round if round_ is None else round_:02d}" / name

    def seed(self, purpose: str, *, round_: int | None = None) -> int:
        """A seed for one purpose in this round, or another; the same whenever the stage runs again."""
        of_round = self.round if round_ is None else round_
        sequence = np.random.SeedSequence([self.config.seed, of_round, zlib.crc32(purpose.encode())])
        return int(sequence.generate_state(1)[0]) & 0x7FFFFFFF

    def rng(self, purpose: str, *, round_: int | None = None) -> np.random.Generator:
        return np.random.default_rng(self.seed(purpose, round_=round_))
