"""Everything a stage of a round can reach: config, ledger, round, seeds, paths, progress."""

import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from alkit.acquisition.base import Acquisition
from alkit.campaign.label_source import LabelSource
from alkit.campaign.molecule_store import MoleculeStore
from alkit.campaign.objects import Objects
from alkit.config.schema import CampaignConfig
from alkit.reporting.progress import CampaignProgress
from alkit.storage.ledger import Ledger


@dataclass
class RoundState:
    """A campaign at one of its rounds.

    Stages hand results on through the ledger and the round's folder alone. So a stage can run in another
    process than the one before it. ``molecules`` and ``labels`` keep nothing that they could not make again.
    """

    config: CampaignConfig
    folder: Path
    ledger: Ledger
    acquisition: Acquisition
    progress: CampaignProgress
    round: int
    objects: Objects = field(default_factory=Objects)

    @cached_property
    def molecules(self) -> MoleculeStore:
        """Geometries, single points and graphs of the campaign's molecules."""
        return MoleculeStore(
            self.config, self.ledger, self.progress, lambda: self.labels.engine, lambda: self.labels.baselines
        )

    @cached_property
    def labels(self) -> LabelSource:
        """Where labels come from: simulator, engine and caches."""
        return LabelSource(self.config, self.ledger, self.folder, self.objects.simulator)

    def path(self, name: str, *, round_: int | None = None) -> Path:
        """A file of this round, or of another."""
        return self.folder / "rounds" / f"{self.round if round_ is None else round_:02d}" / name

    def seed(self, purpose: str, *, round_: int | None = None) -> int:
        """A seed for one purpose in this round, or another; the same whenever the stage runs again."""
        of_round = self.round if round_ is None else round_
        sequence = np.random.SeedSequence([self.config.seed, of_round, zlib.crc32(purpose.encode())])
        return int(sequence.generate_state(1)[0]) & 0x7FFFFFFF

    def rng(self, purpose: str, *, round_: int | None = None) -> np.random.Generator:
        """A random generator of its own for each purpose and round; this round by default."""
        return np.random.default_rng(self.seed(purpose, round_=round_))

    def seal_files(self) -> None:
        """Note the content of the round's files.

        Arrays and weights have check sums of their own. The arrays of `predict` may grow in a later stage,
        which may be cut short.
        """
        files = [path for path in self.path("").glob("*") if path.is_file() and path.suffix != ".npz"]
        self.ledger.seal_files(self.folder, files)
