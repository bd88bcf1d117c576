"""alkit.engines.base: what all engines share, above all the deadline."""

import queue
import threading
import time
from collections.abc import Iterator

import pytest

from alkit.engines import LocalEngine
from alkit.errors import LabelError
from alkit.molecules.molecule import Molecule
from alkit.simulators import Label, SimulatorSpec


@pytest.fixture
def engine(tools, spec: SimulatorSpec) -> Iterator[LocalEngine]:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        engine.submit(tools.molecule("CCC")).result(timeout=60)  # its worker is up
        yield engine


def test_a_slow_label_does_not_hold_the_rest_and_arrives_late(tools, engine: LocalEngine) -> None:
    late: queue.Queue[tuple[Molecule, Label | LabelError, str]] = queue.Queue()

    def on_late(molecule: Molecule, outcome: Label | LabelError) -> None:
        late.put((molecule, outcome, threading.current_thread().name))

    smiles = ["CCC", "PP", *["CCCC"] * 8]
    begin = time.monotonic()
    outcomes = list(engine.label_all(map(tools.molecule, smiles), deadline=1, on_late=on_late))
    assert time.monotonic() - begin > 0.9
    assert [m.smiles for m, _ in outcomes] == smiles  # also those that had not even been read
    assert isinstance(outcomes[0][1], Label)
    errors = [outcome for _, outcome in outcomes[1:]]
    assert all(isinstance(error, LabelError) and error.reason == "deadline" for error in errors)
    assert "PP: no label within the round's 1 s; its result goes to the label cache" in str(errors[0])
    assert "CCCC: not begun within the round's 1 s" in str(errors[1])

    molecule, outcome, thread = late.get(timeout=30)
    assert molecule.smiles == "PP"
    assert isinstance(outcome, Label)
    assert thread != threading.current_thread().name
    # What was cancelled does not come, and what comes next is labelled as ever.
    ((_, outcome),) = engine.label_all([tools.molecule("CCC")], deadline=60, on_late=on_late)
    assert isinstance(outcome, Label)
    assert late.empty()


def test_a_late_failure_is_told_as_well_and_no_one_need_listen(tools, spec: SimulatorSpec) -> None:
    late: queue.Queue[LabelError] = queue.Queue()
    with LocalEngine(spec, workers=1, timeout=3) as engine:
        engine.submit(tools.molecule("CCC")).result(timeout=60)
        list(engine.label_all([tools.molecule("N")], deadline=0.5, on_late=lambda m, o: late.put(o)))
        assert late.get(timeout=30).reason == "timeout"
        ((_, outcome),) = engine.label_all([tools.molecule("P")], deadline=0.1)
        assert outcome.reason == "deadline"


def test_all_in_time_and_the_deadline_does_nothing(tools, engine: LocalEngine) -> None:
    outcomes = list(engine.label_all((tools.molecule("CCC") for _ in range(9)), deadline=30))
    assert [type(outcome) for _, outcome in outcomes] == [Label] * 9


def test_a_late_label_is_dropped_when_the_engine_is_closed_at_once(tools, spec: SimulatorSpec) -> None:
    answer: list = []
    engine = LocalEngine(spec, workers=1, timeout=60)
    engine.submit(tools.molecule("CCC")).result(timeout=60)
    list(engine.label_all([tools.molecule("N")], deadline=0.5, on_late=lambda *both: answer.append(both)))
    engine.close(wait=False)
    assert answer == []
