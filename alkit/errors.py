"""Errors the user can fix.

Every error below carries ``exit_code = 2``: the command line prints its one sentence and exits with that
code, without a traceback. ``surrogate`` and ``generator`` know nothing of alkit and mark their own input
errors the same way.
"""

from typing import NamedTuple

AS_GIVEN = "as given"  # the first strategy of every recovery


class AlkitError(ValueError):
    """Something a user can put right; the message says what is wrong, where, and what would be right."""

    exit_code = 2


class ConfigError(AlkitError):
    """A campaign file that cannot be used."""


class DataError(AlkitError):
    """A data set, SMILES file or geometry file that cannot be used."""


class AcquisitionError(AlkitError):
    """An acquisition function that cannot be loaded, or that returned something unusable."""


class ProposalError(AlkitError):
    """A proposer that cannot be loaded, failed, or returned something unusable."""


class CampaignError(AlkitError):
    """A campaign folder in a state that the command cannot work with."""


class TrackingError(AlkitError):
    """The MLflow store failed while a campaign was writing to it."""


class Attempt(NamedTuple):
    """One try for a label: how it was tried, why it failed ("" where it did not), and its wall time."""

    strategy: str
    reason: str
    seconds: float


class LabelError(Exception):
    """One molecule could not be labelled; ``reason`` is the named reason the ledger stores.

    Raised by simulators inside worker processes, so all fields travel through ``args``.
    """

    def __init__(self, reason: str, detail: str = "", attempts: tuple[Attempt, ...] = ()):
        super().__init__(reason, detail, attempts)
        self.reason = reason
        self.detail = detail
        self.attempts = attempts

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def words_of(error: LabelError | DataError) -> tuple[str, str]:
    """Reason and detail of why a molecule has no label or geometry, each on one line."""
    if isinstance(error, DataError):
        return "unsupported", " ".join(str(error).split())
    detail = " ".join(str(error.detail).split())
    return error.reason, "" if detail == error.reason else detail
