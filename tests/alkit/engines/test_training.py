"""alkit.engines.training: real processes that train, report, fail, and end with what started them."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from alkit.engines.training import InTurn, TrainingProcesses, training_processes
from alkit.errors import AlkitError
from surrogate import SurrogateError
from surrogate.folds import left_out
from tests.small_ensembles import GRAPHS, LABELS, QUICK, fit


def count(most: int, on_progress) -> int:
    for k in range(most):
        on_progress(k)
    return most


def fail(_) -> None:
    raise SurrogateError("The labels are all the same.")


def die(_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait(_) -> None:
    time.sleep(600)


def process_number(_) -> int:
    return os.getpid()


@pytest.fixture(scope="module")
def processes():
    two = TrainingProcesses(2)
    yield two
    two.close()


def test_reports_arrive_in_order_at_the_job_that_they_are_of(processes) -> None:
    heard: dict[str, list[int]] = {"a": [], "b": []}
    jobs = [
        processes.submit(count, 300 * k, on_progress=heard[name].append) for k, name in enumerate("ab", 1)
    ]
    assert processes.results(jobs) == [300, 600]
    assert heard == {"a": list(range(300)), "b": list(range(600))}


def test_a_job_may_be_asked_for_after_another(processes) -> None:
    heard: list[int] = []
    beside = processes.submit(count, 5, on_progress=heard.append)
    assert processes.results([processes.submit(count, 1, on_progress=None)]) == [1]
    assert processes.results([beside]) == [5]
    assert heard == [0, 1, 2, 3, 4]


def test_an_error_is_that_of_the_call_and_the_next_call_works(processes) -> None:
    with pytest.raises(SurrogateError, match="all the same"):
        processes.results([processes.submit(fail)])
    assert processes.results([processes.submit(count, 2)]) == [2]


def test_a_process_that_is_killed_is_said_in_words(processes) -> None:
    with pytest.raises(AlkitError, match=r"ended with code -9 .* Run the same command to go on"):
        processes.results([processes.submit(die)])
    assert processes.results([processes.submit(count, 2)]) == [2]


def test_what_is_cancelled_or_closed_leaves_nothing_running() -> None:
    one = TrainingProcesses(1)
    number = one.results([one.submit(process_number)])[0]
    waiting = one.submit(wait)
    while not waiting.future.running():
        time.sleep(0.05)
    waiting.cancel()
    other = one.results([one.submit(process_number)])[0]  # a new one: the old was in the middle of a call
    assert other != number
    one.submit(wait)
    one.close()
    for ended in (number, other):
        with pytest.raises(ProcessLookupError):
            os.kill(ended, 0)


def test_an_ensemble_trained_in_processes_is_the_one_trained_here(processes, monkeypatch) -> None:
    monkeypatch.setattr("surrogate.groups._WORTH_A_PROCESS", 1)
    epochs: list[list[tuple[int, int]]] = [[], []]
    how = {"members": 4, "left_out": left_out(list(range(len(GRAPHS))), 4), "validation": None}
    how["training"] = (GRAPHS, LABELS)
    here = fit(**how, processes=InTurn(), on_epoch=lambda k, epoch, _: epochs[0].append((k, epoch)))
    there = fit(**how, on_epoch=lambda k, epoch, _: epochs[1].append((k, epoch)), processes=processes)
    np.testing.assert_array_equal(here.predict(GRAPHS).samples, there.predict(GRAPHS).samples)
    assert sorted(epochs[0]) == sorted(epochs[1]) == [(k, e) for k in range(4) for e in range(QUICK.epochs)]


def test_there_are_none_on_one_core(monkeypatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    assert isinstance(training_processes(), InTurn)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    assert training_processes().count == 2
    assert training_processes() is training_processes()


_PARENT = """
import os, time
from alkit.engines.training import TrainingProcesses
from tests.alkit.engines.test_training import process_number, wait
processes = TrainingProcesses(1)
print(processes.results([processes.submit(process_number)])[0], flush=True)
processes.submit(wait)
time.sleep(600)
"""


def test_processes_end_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    number = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    pytest.fail("the process outlived its parent")
