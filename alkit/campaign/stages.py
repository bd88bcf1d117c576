"""The stages of a round, each a function of the state.

A stage reads what earlier ones left in the ledger and the round's folder, and leaves its own there. It may be
killed and run again, because its draws come from a seed of its round and purpose. The ledger keeps either all
of its rows or, for labels, every one that arrived.
"""

from collections.abc import Callable

from alkit.campaign.acquiring import acquire, predict
from alkit.campaign.evaluating import evaluate
from alkit.campaign.labelling import label
from alkit.campaign.proposing import propose
from alkit.campaign.round_state import RoundState
from alkit.campaign.screening import screen
from alkit.campaign.starting import start
from alkit.campaign.training import train

Stage = Callable[[RoundState], None]


STAGES: dict[str, Stage] = {
    "propose": propose,
    "screen": screen,
    "predict": predict,
    "acquire": acquire,
    "label": label,
    "train": train,
    "evaluate": evaluate,
}
FIRST_STAGES: dict[str, Stage] = {"start": start, "train": train, "evaluate": evaluate}


def stages_of(round_: int) -> dict[str, Stage]:
    """Round 0 is the random start; every later round has all seven stages."""
    return STAGES if round_ else FIRST_STAGES
