"""Everything about a campaign that can be found wrong before work begins."""

from alkit.campaign import acquiring, build_proposers, starting, target_set
from alkit.campaign.round_state import RoundState
from alkit.models.graphs import training_settings
from alkit.models.pretraining import Pretraining
from alkit.reporting.tracking_store import NO_TRACKING, absolute_uri, check_store
from alkit.simulators.base import create_simulator
from alkit.simulators.simulator import RelaxingSimulator
from surrogate.settings import pick_device


def check_campaign(state: RoundState) -> None:
    """Raise the first thing found.

    Raises:
        AlkitError: what is wrong.
    """
    simulator = create_simulator(state.labels.simulator)
    if isinstance(simulator, RelaxingSimulator):
        simulator.check_closed_shell()
    state.labels.check_level(simulator.level)
    starting.check_start(state)
    target_set.check_target_set(state)
    build_proposers.check_proposers(state)
    acquiring.check_acquisition(state)
    state.molecules.builder.check()
    if (section := state.config.surrogate.pretraining) is not None:
        Pretraining.of(section).check(state.molecules.builder.below)
    training_settings(state.config)
    if state.config.tracking.uri != NO_TRACKING:
        check_store(absolute_uri(state.config.tracking.uri))
    pick_device(state.config.surrogate.device)
