"""alkit.engines.local: real processes that really crash, hang, and are killed."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pebble
import pytest

from alkit.engines import LocalEngine
from alkit.errors import AlkitError, ConfigError, LabelError
from alkit.molecules.conformers import embed
from alkit.molecules.molecule import Molecule
from alkit.simulators import Label, SimulatorSpec


def test_every_trouble_costs_one_label_and_has_a_name(tools, spec: SimulatorSpec) -> None:
    smiles = ["CCC", "C", "O", "F", "S", "CO", "CC", "C", "CCCC"]
    with LocalEngine(spec, workers=2, timeout=30) as engine:
        outcomes = list(engine.label_all(tools.molecule(s) for s in smiles))
    assert sorted(m.smiles for m, _ in outcomes) == sorted(smiles)
    reasons = {m.smiles: o.reason if isinstance(o, LabelError) else o.value for m, o in outcomes}
    assert reasons == {
        "CCC": -0.25,
        "CCCC": -0.25,
        "CC": -0.25,
        "C": "worker_died",
        "O": "simulator_error",
        "F": "not_finite",
        "S": "scf_not_converged",
        "CO": "simulator_error",
    }
    details = {m.smiles: str(o) for m, o in outcomes if isinstance(o, LabelError)}
    assert "SIGSEGV" in details["C"]
    assert details["O"] == "simulator_error: O: RuntimeError: as it happens"
    assert details["S"] == "scf_not_converged: in 250 steps"
    died = next(o for m, o in outcomes if m.smiles == "C")
    assert [(one.strategy, one.reason) for one in died.attempts] == [
        ("as given", "worker_died"),
        ("again", "worker_died"),
    ]
    assert all(0 < one.seconds < 30 for one in died.attempts)


def test_a_hung_worker_is_killed_and_the_others_go_on(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=2, timeout=3) as engine:
        for future in [engine.submit(tools.molecule("P")) for _ in range(8)]:
            future.result(timeout=60)  # both workers are up
        begin = time.monotonic()
        hung, fine = engine.submit(tools.molecule("N")), engine.submit(tools.molecule("CCC"))
        assert fine.result(timeout=60).value == -0.25
        assert not hung.done()
        assert tools.reason(hung) == "timeout"
        ((strategy, reason, seconds),) = hung.exception().attempts
        assert (strategy, reason) == ("as given", "timeout")
        assert 3 <= seconds < 20
        assert 3 <= time.monotonic() - begin < 20
        assert engine.submit(tools.molecule("CCC")).result(timeout=60).value == -0.25


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
def test_a_jump_of_the_clock_neither_ends_a_label_nor_saves_one_that_hangs(
    tools, spec: SimulatorSpec, monkeypatch, jump: float
) -> None:
    real, jumped = time.time, threading.Event()
    monkeypatch.setattr(time, "time", lambda: real() + jump * jumped.is_set())
    with LocalEngine(spec, workers=2, timeout=4) as engine:
        for future in [engine.submit(tools.molecule("P")) for _ in range(8)]:
            future.result(timeout=60)
        begin = time.monotonic()
        hung = engine.submit(tools.molecule("N"))
        tools.wait_until(lambda: time.monotonic() - begin > 1)
        jumped.set()
        assert engine.submit(tools.molecule("CCC")).result(timeout=60).value == -0.25
        assert tools.reason(hung) == "timeout"
        assert 4 <= time.monotonic() - begin < 20


def test_workers_have_one_thread_and_neither_torch_nor_main(tools, spec: SimulatorSpec) -> None:
    import torch

    assert torch.__name__ in sys.modules
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        parts = engine.submit(tools.molecule("CC")).result().parts
    assert (parts["torch"], parts["threads"], parts["main"]) == (0.0, 1.0, 0.0)
    assert parts["pid"] != os.getpid()
    assert tools.wait_until(lambda: tools.gone(int(parts["pid"])))


def test_a_worker_killed_while_idle_costs_nothing(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        for _ in range(2):
            pid = int(engine.submit(tools.molecule("CC")).result(timeout=60).parts["pid"])
            os.kill(pid, signal.SIGKILL)
            assert tools.wait_until(lambda pid=pid: tools.gone(pid))
        assert engine.submit(tools.molecule("CCC")).result(timeout=60).value == -0.25


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_pool_that_breaks_while_it_takes_a_job_loses_none(
    tools, spec: SimulatorSpec, monkeypatch, moment: str
) -> None:
    """Between the engine's look at the pool and pebble's, and between pebble's look and its queue."""
    workers: list[int] = []
    look = pebble.ProcessPool._check_pool_status

    def broken(pool: pebble.ProcessPool) -> None:
        if moment == "after":
            look(pool)
        if workers:
            os.kill(workers.pop(), signal.SIGKILL)
            assert tools.wait_until(lambda: not pool._context.alive)
        if moment == "before":
            look(pool)

    monkeypatch.setattr(pebble.ProcessPool, "_check_pool_status", broken)
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        workers.append(int(engine.submit(tools.molecule("CC")).result(timeout=60).parts["pid"]))
        assert engine.submit(tools.molecule("CCC")).result(timeout=60).value == -0.25
        assert not workers


def test_workers_outlive_the_thread_that_first_submitted(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        futures: list = []
        thread = threading.Thread(target=lambda: futures.append(engine.submit(tools.molecule("P"))))
        thread.start()
        thread.join()
        assert futures[0].result(timeout=60).value == -0.25


def test_leaving_waits_for_the_work_and_an_exception_drops_it(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        future = engine.submit(tools.molecule("P"))
    assert future.done()
    assert future.result().value == -0.25
    futures: list = []

    def interrupted() -> None:
        with LocalEngine(spec, workers=1, timeout=600) as engine:
            futures.extend(engine.submit(tools.molecule(s)) for s in ("CC", "N", "N", "N"))
            futures.append(int(futures.pop(0).result(timeout=60).parts["pid"]))
            raise ZeroDivisionError

    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        interrupted()
    pid = futures.pop()
    assert tools.wait_until(lambda: tools.gone(pid))
    assert all(future.cancelled() for future in futures)
    assert time.monotonic() - begin < 30


def test_label_all_reads_its_source_as_it_goes_and_can_be_left(tools, spec: SimulatorSpec) -> None:
    read: list[int] = []

    def source() -> Iterator[Molecule]:
        for i in range(1000):
            read.append(i)
            yield tools.molecule("CCC")

    with LocalEngine(spec, workers=1, timeout=60) as engine:
        labels = engine.label_all(source())
        first, label = next(labels)
        assert isinstance(label, Label)
        assert first.smiles == "CCC"
        labels.close()
    assert len(read) < 20


def test_bad_specs_and_settings_are_refused_before_any_process_starts(spec: SimulatorSpec) -> None:
    with pytest.raises(ConfigError, match="There is no simulator"):
        LocalEngine(SimulatorSpec("gaussian"))
    with pytest.raises(AlkitError, match="at least 1 worker"):
        LocalEngine(spec, workers=0)
    with pytest.raises(AlkitError, match="positive timeout"):
        LocalEngine(spec, timeout=0)


def test_a_simulator_that_workers_cannot_build_is_not_the_molecules_fault(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        Path(spec.kind.rpartition(":")[0]).unlink()
        with pytest.raises(ConfigError, match="no file"):
            engine.submit(tools.molecule("CCC")).result(timeout=60)


def test_workers_that_cannot_start_end_the_work_and_not_the_molecules(
    tools, spec: SimulatorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    vanished = ModuleType("vanished")
    exec("class Setting: pass", vanished.__dict__)
    monkeypatch.setitem(sys.modules, "vanished", vanished)  # known here, unknown to a fresh interpreter
    with LocalEngine(SimulatorSpec(spec.kind, {"extra": vanished.Setting()}), timeout=60) as engine:
        for _ in range(2):
            with pytest.raises(AlkitError, match="3 times in a row"):
                engine.submit(tools.molecule("CCC")).result(timeout=60)


def test_a_script_without_a_guard_runs_once_and_its_torch_stays_out(script) -> None:
    out, err = script("CC,CCC").communicate(timeout=120)
    assert out.count("started") == 1
    assert '"torch": 0.0' in out
    assert '"main": 0.0' in out
    assert err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_a_parent_killed_by_kill_9(tools, script) -> None:
    process = script("CC,N,N")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    pid = int(json.loads(process.stdout.readline())["pid"])
    assert not tools.gone(pid)
    process.kill()
    assert tools.wait_until(lambda: tools.gone(pid), 5)


def test_ctrl_c_ends_everything_without_a_word_from_the_workers(tools, script) -> None:
    process = script("CC,N,N")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    pid = int(json.loads(process.stdout.readline())["pid"])
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to parent and workers alike
    _, err = process.communicate(timeout=60)
    assert err.count("Traceback") == err.count("KeyboardInterrupt") == 1  # the script's own
    assert tools.wait_until(lambda: tools.gone(pid))


def test_ctrl_c_while_the_workers_are_starting_is_as_quiet(script) -> None:
    process = script("CC,N,N")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # The script's own, which may come in a chain: it may be in the middle of an import by then.
    assert err.count("KeyboardInterrupt") == 1
    assert "spawn_main" not in err


def test_closing_while_other_workers_are_starting_is_as_quiet(
    tools, spec: SimulatorSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    """pebble removes the locks that a starting worker is about to open, and only then ends the worker."""
    engine = LocalEngine(spec, workers=8, timeout=60)
    engine.submit(tools.molecule("CCC")).result(timeout=60)  # the first worker's; seven are on their way
    engine.close(wait=False)
    assert capfd.readouterr().err == ""


def test_a_death_that_is_not_the_molecules_fault_costs_no_label(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        label = engine.submit(tools.molecule("Cl")).result(timeout=60)
    tries = [(attempt.strategy, attempt.reason) for attempt in label.attempts]
    assert tries == [("as given", "worker_died"), ("again", "")]


def test_an_exit_in_the_middle_of_a_label_is_a_death_whatever_its_code(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=600) as engine:
        future = engine.submit(tools.molecule("I"))
        assert tools.reason(future) == "worker_died"
        assert "exited with code 0" in str(future.exception())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its limit")
def test_too_much_memory_costs_the_label_and_not_the_worker(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60, memory_limit=0.5) as engine:
        before = engine.submit(tools.molecule("CC")).result(timeout=60).parts
        outcome = engine.submit(tools.molecule("B"))
        assert tools.reason(outcome) == "out_of_memory"
        assert "B: more than the worker's 0.5 GB" in str(outcome.exception())
        after = engine.submit(tools.molecule("CC")).result(timeout=60).parts
        assert (after["pid"], after["count"]) == (before["pid"], before["count"] + 2)
        assert tools.reason(engine.submit(tools.molecule("Br"))) == "worker_died"
        assert engine.submit(tools.molecule("CCC")).result(timeout=60).value == -0.25


def test_without_a_limit_it_may_have_it_and_xtb_fits_into_little(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        assert engine.submit(tools.molecule("B")).result(timeout=60).value == -0.25
    with LocalEngine(SimulatorSpec("xtb"), workers=1, timeout=60, memory_limit=1) as engine:
        assert engine.submit(embed("CO", seed=0)).result(timeout=60).value < -10


def test_a_worker_is_replaced_after_so_many_labels(tools, spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60, labels_per_worker=2) as engine:
        labels = [o for _, o in engine.label_all(tools.molecule("CC") for _ in range(6))]
    assert all(isinstance(label, Label) for label in labels)
    assert [label.parts["count"] for label in labels] == [1, 2] * 3
    assert len({label.parts["pid"] for label in labels}) == 3


@pytest.mark.parametrize(("name", "value"), [("memory_limit", 0.1), ("labels_per_worker", 0)])
def test_limits_that_no_label_could_keep_are_refused(spec: SimulatorSpec, name: str, value: float) -> None:
    with pytest.raises(AlkitError, match=name):
        LocalEngine(spec, **{name: value})
