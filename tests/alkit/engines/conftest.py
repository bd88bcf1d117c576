"""What the tests of the engines share: a simulator that really crashes, hangs and runs out of memory."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from alkit.errors import LabelError
from alkit.molecules.molecule import Molecule
from alkit.simulators import SimulatorSpec

# The SMILES says what happens to the molecule; what it does not name, the real simulator labels.
TROUBLE = """
import ctypes, os, signal, sys, time
from pathlib import Path
from alkit.errors import LabelError
from alkit.simulators import Label
from alkit.simulators.xtb import XTBSimulator

class Trouble:
    def __init__(self, extra=None, memory=1.0):
        self.memory = memory
        self.xtb = XTBSimulator(target="energy", relax=False)
        self.level = self.xtb.level
        self.count = 0

    def label(self, molecule):
        self.count += 1
        value, parts = -4.0 * len(molecule.numbers) if len(molecule.numbers) > 1 else -0.25, {}
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
            case "PP":
                time.sleep(2)
            case "I":
                os._exit(0)
            case "B":
                bytearray(int(self.memory * 1e9))
            case "Br":  # what a library does that has no answer to the end of memory
                libc = ctypes.CDLL(None)
                libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
                if not libc.malloc(int(self.memory * 1e9)):
                    os.abort()
            case "Cl":  # dies of something else than itself, the first time
                mark = Path(__file__).with_name("died")
                if not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            case "CO":
                parts = {"lambda": lambda: 0}
            case "CC":
                parts = {
                    "pid": os.getpid(),
                    "parent": os.getppid(),
                    "count": self.count,
                    "torch": float("torch" in sys.modules),
                    "threads": float(os.environ["OMP_NUM_THREADS"]),
                    "main": float(hasattr(sys.modules["__main__"], "MARK")),
                }
            case "CCC" | "CCCC":
                pass
            case _:
                return self.xtb.label(molecule)
        return Label(molecule.smiles, value, self.level, parts, molecule.numbers, molecule.positions, 0.0)
"""
# Has no guard, imports torch, and would start itself again in each worker if they imported __main__.
SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may have it ignored
import json, sys, torch, numpy as np
from alkit.engines import create_engine
from alkit.molecules import Molecule
from alkit.simulators import SimulatorSpec
MARK = True
molecules = [Molecule(s, np.array([6]), np.zeros((1, 3)), "given") for s in sys.argv[3].split(",")]
print("started", flush=True)
with create_engine(SimulatorSpec(sys.argv[1]), sys.argv[2], workers=2, timeout=60) as engine:
    futures = [engine.submit(m) for m in molecules]
    label = futures[0].result()
    print(json.dumps(label.parts), flush=True)
    [future.result() for future in futures]
"""


def molecule(smiles: str) -> Molecule:
    return Molecule(smiles, np.array([6]), np.zeros((1, 3)), "given")


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


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    return SimpleNamespace(molecule=molecule, reason=reason, gone=gone, wait_until=wait_until)


@pytest.fixture
def spec(tmp_path: Path) -> SimulatorSpec:
    path = tmp_path / "trouble.py"
    path.write_text(TROUBLE)
    return SimulatorSpec(f"{path}:Trouble")


@pytest.fixture(scope="module")
def shared_spec(tmp_path_factory: pytest.TempPathFactory) -> SimulatorSpec:
    path = tmp_path_factory.mktemp("simulator") / "trouble.py"
    path.write_text(TROUBLE)
    return SimulatorSpec(f"{path}:Trouble", {"memory": 3.0})


@pytest.fixture
def script(tmp_path: Path, spec: SimulatorSpec) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    path = tmp_path / "campaign.py"
    path.write_text(SCRIPT)
    started: list[subprocess.Popen[str]] = []

    def start(smiles: str, kind: str = "local") -> subprocess.Popen[str]:
        command = [sys.executable, str(path), spec.kind, kind, smiles]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
