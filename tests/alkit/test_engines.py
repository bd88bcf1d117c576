"""alkit.engines: real processes that really crash, hang, and are killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from alkit.engines import LocalEngine
from alkit.errors import AlkitError, ConfigError, LabelError
from alkit.molecules import Molecule
from alkit.simulators import Label, SimulatorSpec

# The SMILES says what happens to the molecule.
TROUBLE = """
import os, signal, sys, time
from alkit.errors import LabelError
from alkit.simulators import Label, Level

class Trouble:
    level = Level("trouble", "energy")

    def __init__(self, extra=None):
        pass

    def label(self, molecule):
        value, parts = -1.0, {}
        match molecule.smiles:
            case "C":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "N":
                time.sleep(1000)
            case "O":
                raise RuntimeError("as it happens")
            case "F":
                value = float("nan")
            case "S":
                raise LabelError("scf_not_converged", "in 250 steps")
            case "P":
                time.sleep(0.3)
            case "CO":
                parts = {"lambda": lambda: 0}
            case "CC":
                parts = {
                    "pid": os.getpid(),
                    "torch": float("torch" in sys.modules),
                    "threads": float(os.environ["OMP_NUM_THREADS"]),
                    "main": float(hasattr(sys.modules["__main__"], "MARK")),
                }
        return Label(molecule.smiles, value, self.level, parts, molecule.numbers, molecule.positions, 0.0)
"""
# Has no guard, imports torch, and would start itself again in each worker if they imported __main__.
SCRIPT = """
import json, sys, torch, numpy as np
from alkit.engines import LocalEngine
from alkit.molecules import Molecule
from alkit.simulators import SimulatorSpec
MARK = True
molecules = [Molecule(s, np.array([6]), np.zeros((1, 3)), "given") for s in sys.argv[2].split(",")]
print("started", flush=True)
with LocalEngine(SimulatorSpec(sys.argv[1]), workers=2, timeout=60) as engine:
    futures = [engine.submit(m) for m in molecules]
    label = futures[0].result()
    print(json.dumps(label.parts), flush=True)
    [future.result() for future in futures]
"""


def molecule(smiles: str) -> Molecule:
    return Molecule(smiles, np.array([6]), np.zeros((1, 3)), "given")


@pytest.fixture
def spec(tmp_path: Path) -> SimulatorSpec:
    path = tmp_path / "trouble.py"
    path.write_text(TROUBLE)
    return SimulatorSpec(f"{path}:Trouble")


@pytest.fixture
def script(tmp_path: Path, spec: SimulatorSpec) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    path = tmp_path / "campaign.py"
    # Whatever started the tests may have SIGINT ignored, and children inherit that.
    path.write_text("import signal\n\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + SCRIPT)
    started: list[subprocess.Popen[str]] = []

    def start(smiles: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(path), spec.kind, smiles]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def reason(future) -> str:
    with pytest.raises(LabelError) as failure:
        future.result(timeout=60)
    return failure.value.reason


def gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"  # dead, and not yet reaped by whoever adopted it


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_every_trouble_costs_one_label_and_has_a_name(spec: SimulatorSpec) -> None:
    smiles = ["CCC", "C", "O", "F", "S", "CO", "CC", "C", "CCCC"]
    with LocalEngine(spec, workers=2, timeout=30) as engine:
        outcomes = list(engine.label_all(molecule(s) for s in smiles))
    assert sorted(m.smiles for m, _ in outcomes) == sorted(smiles)
    reasons = {m.smiles: o.reason if isinstance(o, LabelError) else o.value for m, o in outcomes}
    assert reasons == {
        "CCC": -1.0,
        "CCCC": -1.0,
        "CC": -1.0,
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


def test_a_hung_worker_is_killed_and_the_others_go_on(spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=2, timeout=3) as engine:
        engine.submit(molecule("CC")).result(timeout=60)  # both workers are up, or soon
        begin = time.monotonic()
        hung, fine = engine.submit(molecule("N")), engine.submit(molecule("CCC"))
        assert fine.result(timeout=60).value == -1.0
        assert not hung.done()
        assert reason(hung) == "timeout"
        assert 3 <= time.monotonic() - begin < 20
        assert engine.submit(molecule("CCC")).result(timeout=60).value == -1.0


def test_workers_have_one_thread_and_neither_torch_nor_main(spec: SimulatorSpec) -> None:
    import torch

    assert torch.__name__ in sys.modules
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        parts = engine.submit(molecule("CC")).result().parts
    assert (parts["torch"], parts["threads"], parts["main"]) == (0.0, 1.0, 0.0)
    assert parts["pid"] != os.getpid()
    assert wait_until(lambda: gone(int(parts["pid"])))


def test_a_worker_killed_while_idle_costs_nothing(spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        for _ in range(2):
            pid = int(engine.submit(molecule("CC")).result(timeout=60).parts["pid"])
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda pid=pid: gone(pid))
        assert engine.submit(molecule("CCC")).result(timeout=60).value == -1.0


def test_workers_outlive_the_thread_that_first_submitted(spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        futures: list = []
        thread = threading.Thread(target=lambda: futures.append(engine.submit(molecule("P"))))
        thread.start()
        thread.join()
        assert futures[0].result(timeout=60).value == -1.0


def test_leaving_waits_for_the_work_and_an_exception_drops_it(spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        future = engine.submit(molecule("P"))
    assert future.done()
    assert future.result().value == -1.0
    futures: list = []

    def interrupted() -> None:
        with LocalEngine(spec, workers=1, timeout=600) as engine:
            futures.extend(engine.submit(molecule(s)) for s in ("CC", "N", "N", "N"))
            futures.append(int(futures.pop(0).result(timeout=60).parts["pid"]))
            raise ZeroDivisionError

    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        interrupted()
    pid = futures.pop()
    assert wait_until(lambda: gone(pid))
    assert all(future.cancelled() for future in futures)
    assert time.monotonic() - begin < 30


def test_label_all_reads_its_source_as_it_goes_and_can_be_left(spec: SimulatorSpec) -> None:
    read: list[int] = []

    def source() -> Iterator[Molecule]:
        for i in range(1000):
            read.append(i)
            yield molecule("CCC")

    with LocalEngine(spec, workers=1, timeout=60) as engine:
        labels = engine.label_all(source())
        first, label = next(labels)
        assert isinstance(label, Label)
        assert first.smiles == "CCC"
        labels.close()
    assert len(read) < 20


def test_bad_specs_and_settings_are_refused_before_any_process_starts(spec: SimulatorSpec) -> None:
    with pytest.raises(ConfigError, match="unknown simulator"):
        LocalEngine(SimulatorSpec("gaussian"))
    with pytest.raises(AlkitError, match="at least 1 worker"):
        LocalEngine(spec, workers=0)
    with pytest.raises(AlkitError, match="positive timeout"):
        LocalEngine(spec, timeout=0)


def test_a_simulator_that_workers_cannot_build_is_not_the_molecules_fault(spec: SimulatorSpec) -> None:
    with LocalEngine(spec, workers=1, timeout=60) as engine:
        Path(spec.kind.rpartition(":")[0]).unlink()
        with pytest.raises(ConfigError, match="no file"):
            engine.submit(molecule("CCC")).result(timeout=60)


def test_workers_that_cannot_start_end_the_work_and_not_the_molecules(
    spec: SimulatorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    vanished = ModuleType("vanished")
    exec("class Setting: pass", vanished.__dict__)
    monkeypatch.setitem(sys.modules, "vanished", vanished)  # known here, unknown to a fresh interpreter
    with LocalEngine(SimulatorSpec(spec.kind, {"extra": vanished.Setting()}), timeout=60) as engine:
        for _ in range(2):
            with pytest.raises(AlkitError, match="3 times in a row"):
                engine.submit(molecule("CCC")).result(timeout=60)


def test_a_script_without_a_guard_runs_once_and_its_torch_stays_out(script) -> None:
    out, err = script("CC,CCC").communicate(timeout=120)
    assert out.count("started") == 1
    assert '"torch": 0.0' in out
    assert '"main": 0.0' in out
    assert err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_a_parent_killed_by_kill_9(script) -> None:
    process = script("CC,N,N")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    pid = int(json.loads(process.stdout.readline())["pid"])
    assert not gone(pid)
    process.kill()
    assert wait_until(lambda: gone(pid), 5)


def test_ctrl_c_ends_everything_without_a_word_from_the_workers(script) -> None:
    process = script("CC,N,N")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    pid = int(json.loads(process.stdout.readline())["pid"])
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to parent and workers alike
    _, err = process.communicate(timeout=60)
    assert err.count("Traceback") == err.count("KeyboardInterrupt") == 1  # the script's own
    assert wait_until(lambda: gone(pid))


def test_ctrl_c_while_the_workers_are_starting_is_as_quiet(script) -> None:
    process = script("CC,N,N")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err.count("Traceback") == 1


def test_closing_while_other_workers_are_starting_is_as_quiet(
    spec: SimulatorSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    """pebble removes the locks that a starting worker is about to open, and only then ends the worker."""
    engine = LocalEngine(spec, workers=8, timeout=60)
    engine.submit(molecule("CCC")).result(timeout=60)  # the first worker's; seven are on their way
    engine.close(wait=False)
    assert capfd.readouterr().err == ""
