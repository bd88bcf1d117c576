"""alkit.engines.parsl and .dask, for real: Parsl's workers and Dask's on this machine."""

import json
import os
import queue
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from alkit.engines import Engine, create_engine
from alkit.errors import LabelError
from alkit.molecules.conformers import embed
from alkit.simulators import Label, SimulatorSpec
from alkit.simulators.base import create_simulator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
KINDS = ("parsl", "dask")
PACKAGES = {"parsl": "parsl", "dask": "distributed"}


def _working_folder() -> set[str]:
    """The names in it, but for what measuring coverage leaves."""
    return {path.name for path in Path.cwd().iterdir() if not path.name.startswith(".coverage")}


@pytest.fixture(scope="module", params=KINDS)
def engine(request, shared_spec: SimulatorSpec, tmp_path_factory) -> Iterator[Engine]:
    pytest.importorskip(PACKAGES[request.param], reason=f"alkit[{request.param}] is not installed")
    before = _working_folder()
    folder = tmp_path_factory.mktemp("run")
    with create_engine(
        shared_spec, request.param, workers=2, timeout=12, memory_limit=2, folder=folder
    ) as engine:
        yield engine
    assert _working_folder() <= before  # Parsl's folder is where we put it
    assert list(folder.iterdir()) if request.param == "parsl" else True


def test_real_labels(engine: Engine, shared_spec: SimulatorSpec) -> None:
    molecules = [embed(smiles, seed=0) for smiles in ("CCO", "CC#N", "CCN", "c1ccccc1", "CC=O", "C1CC1")]
    labels = {molecule.smiles: outcome for molecule, outcome in engine.label_all(molecules)}
    assert all(isinstance(label, Label) for label in labels.values()), labels
    here = create_simulator(shared_spec)
    for molecule in molecules:
        assert labels[molecule.smiles].value == pytest.approx(here.label(molecule).value, abs=1e-6)
    assert labels["CCO"].host
    assert labels["CCO"].attempts[-1].reason == ""


def test_every_trouble_costs_one_label_and_no_worker(tools, engine: Engine) -> None:
    smiles = ["CCC", "C", "N", "O", "B", "S", "I", "CCCC"]
    before = {engine.submit(tools.molecule("CC")).result(timeout=60).parts["parent"] for _ in range(8)}
    outcomes = {m.smiles: o for m, o in engine.label_all(map(tools.molecule, smiles))}
    reasons = {smiles: o.reason if isinstance(o, LabelError) else o.value for smiles, o in outcomes.items()}
    assert reasons == {
        "CCC": -0.25,
        "CCCC": -0.25,
        "C": "worker_died",
        "N": "timeout",
        "O": "simulator_error",
        "B": "out_of_memory",
        "S": "scf_not_converged",
        "I": "worker_died",
    }
    assert [one.strategy for one in outcomes["C"].attempts] == ["as given", "again"]
    assert not any(tools.gone(int(pid)) for pid in before)
    assert engine.submit(tools.molecule("CC")).result(timeout=60).value == -0.25


def test_workers_are_apart_from_this_process(tools, engine: Engine) -> None:
    parts = engine.submit(tools.molecule("CC")).result(timeout=60).parts
    assert (parts["torch"], parts["threads"], parts["main"]) == (0.0, 1.0, 0.0)
    for name in ("pid", "parent"):
        assert "libtorch" not in Path(f"/proc/{int(parts[name])}/maps").read_text()
    assert os.environ.get("OMP_NUM_THREADS") == THREADS


THREADS = os.environ.get("OMP_NUM_THREADS")


def test_a_worker_killed_in_the_middle_costs_no_label(tools, engine: Engine) -> None:
    pid = int(engine.submit(tools.molecule("CC")).result(timeout=60).parts["parent"])
    futures = [engine.submit(tools.molecule("PP")) for _ in range(6)]
    time.sleep(1)
    os.kill(pid, signal.SIGKILL)
    labels = [future.result(timeout=120) for future in futures]
    assert [label.value for label in labels] == [-0.25] * 6


def test_a_late_label_arrives(tools, engine: Engine) -> None:
    engine.submit(tools.molecule("CCC")).result(timeout=60)
    late: queue.Queue = queue.Queue()
    ((_, outcome),) = engine.label_all(
        [tools.molecule("PP")], deadline=1, on_late=lambda m, o: late.put((m.smiles, o))
    )
    assert outcome.reason == "deadline"
    smiles, label = late.get(timeout=60)
    assert (smiles, label.value) == ("PP", -0.25)


def test_a_dask_cluster_elsewhere_keeps_nothing_of_ours(tools, shared_spec: SimulatorSpec) -> None:
    distributed = pytest.importorskip("distributed", reason="alkit[dask] is not installed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", memory_limit=0, dashboard_address=":0"
    ) as cluster:
        for _ in range(2):  # the second time, what the first one left would be found
            with (
                pytest.warns(UserWarning, match=r"tcp://.* is reached without TLS"),
                create_engine(shared_spec, "dask", dask=cluster.scheduler_address, timeout=60) as guest,
            ):
                parts = guest.submit(tools.molecule("CC")).result(timeout=60).parts
            assert tools.wait_until(lambda parts=parts: tools.gone(int(parts["pid"])))
            assert not tools.gone(int(parts["parent"]))


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_ends_everything_without_a_word_from_the_workers(tools, script, kind: str) -> None:
    pytest.importorskip(PACKAGES[kind], reason=f"alkit[{kind}] is not installed")
    process = script("CC,N,N", kind)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    parts = json.loads(process.stdout.readline())
    assert (parts["torch"], parts["main"]) == (0.0, 0.0)  # though the script has no guard
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to parent and workers alike
    out, err = process.communicate(timeout=60)
    assert err.count("Traceback") == err.count("KeyboardInterrupt") == 1, err  # the script's own
    assert out == ""
    assert time.monotonic() - begin < 30
    assert tools.wait_until(lambda: tools.gone(int(parts["pid"])) and tools.gone(int(parts["parent"])))


def _listening() -> set[int]:
    """TCP ports that this process and its children listen at."""
    me = psutil.Process()
    return {
        connection.laddr.port
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections("tcp")
        if connection.status == "LISTEN"
    }


_STRANGER = """
import os, sys, distributed
try:
    distributed.Client(sys.argv[1], timeout=3, security=eval(sys.argv[2]))
    print("connected", flush=True)
except (OSError, TypeError, RuntimeError) as error:
    print("OSError" if isinstance(error, OSError) else type(error).__name__, flush=True)
os._exit(0)
"""


def test_a_dask_cluster_of_alkits_own_lets_nobody_in(shared_spec: SimulatorSpec) -> None:
    """Whoever reaches an open scheduler can run code as the user."""
    pytest.importorskip("distributed", reason="alkit[dask] is not installed")
    before = _listening()
    with create_engine(shared_spec, "dask", workers=1, timeout=12) as engine:
        address = engine._client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        for security in ("None", "distributed.Security.temporary()"):
            # In a process of its own: what is left of a client that failed may lock up the next one.
            said = subprocess.run(
                [sys.executable, "-c", _STRANGER, address, security],
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            ).stdout
            assert said.split()[-1] in ("OSError", "TypeError", "RuntimeError"), said
        ports = _listening() - before
        assert ports
        answers = {
            (port, path): _answer(f"http://127.0.0.1:{port}{path}")
            for port in ports  # some speak HTTP, and none of them says anything
            for path in ("/", "/status", "/info/main/workers.html", "/metrics", "/json/counts.json")
        }
        # A page that only says that a package for pages is missing tells nobody anything.
        said = {where: answer for where, answer in answers.items() if b"Dask needs bokeh" not in answer}
        assert not {where: answer for where, answer in said.items() if answer}


def _answer(address: str) -> bytes:
    """What a web server says; nothing where it refuses."""
    try:
        with urllib.request.urlopen(address, timeout=3) as page:
            return page.read()
    except OSError:
        return b""
