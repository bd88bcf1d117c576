"""Geometries of whole files: in workers, within a time limit, and the same wherever they are made."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from alkit.baselines.base import BaselineSpec
from alkit.baselines.computing import Read, call_here
from alkit.engines import LocalEngine
from alkit.engines.calling import calling_workers, in_order
from alkit.errors import AlkitError, LabelError
from alkit.models.geometries import Placing

# ETKDG takes longer for it than anybody waits.
ENDLESS = "C%99CC%99" * 200
MANY = [f"{'C' * n}{end}" for n in range(1, 8) for end in ("O", "N", "F", "C#N")]


def test_workers_compute_what_this_process_computes():
    placing, read = Placing("mmff", seed=5), Read(BaselineSpec.of("gfn2"))
    expected = dict(call_here(placing, MANY))
    with calling_workers(2, 60.0) as call_all:
        placed = dict(call_all(placing, MANY))
        assert placed.keys() == expected.keys()
        for smiles, one in expected.items():
            np.testing.assert_array_equal(placed[smiles].positions, one.positions)
        for molecule, found in call_all(read, list(placed.values())):
            assert found.energy == pytest.approx(read(molecule).energy, abs=1e-6)


def test_an_endless_embedding_is_one_molecules_reason():
    with calling_workers(2, 25.0) as call_all:
        placed = dict(call_all(Placing("mmff"), ["CCO", ENDLESS, "CCN"]))
    assert isinstance(placed[ENDLESS], LabelError)
    assert placed[ENDLESS].reason == "timeout"
    assert len(placed["CCO"].numbers) == 9
    assert len(placed["CCN"].numbers) == 10


def late_if_first(number: int) -> int:
    """The later a number comes, the sooner it is done; 13 cannot be done."""
    if number == 13:
        raise ValueError("no such floor")
    time.sleep(1.0 if number == 0 else 0.0)
    return number**2


def test_results_come_in_the_order_of_the_items():
    with LocalEngine(None, workers=2, timeout=60.0) as engine:
        assert list(in_order(engine, late_if_first, range(12))) == [n**2 for n in range(12)]


def test_an_item_without_result_is_named():
    with (
        pytest.raises(AlkitError, match="13: simulator_error: 13: ValueError: no such floor"),
        LocalEngine(None, workers=2, timeout=60.0) as engine,
    ):
        list(in_order(engine, late_if_first, range(10, 20)))


def test_a_list_is_labelled_around_an_endless_embedding(tmp_path):
    (tmp_path / "m.smi").write_text(f"CCO\n{ENDLESS}\nCCN\n")
    command = [sys.executable, "-m", "alkit", "label", "m.smi", "--target", "energy", "-o", "o.csv"]
    done = subprocess.run(
        [*command, "--timeout", "25"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert [row["reason"] for row in rows] == ["", "timeout", ""]
    assert rows[1]["detail"].endswith("no answer within 25 s")


def test_an_endless_embedding_heeds_ctrl_c(tmp_path):
    (tmp_path / "m.smi").write_text(f"CCO\n{ENDLESS}\n")
    running = subprocess.Popen(
        [sys.executable, "-m", "alkit", "label", "m.smi", "--target", "energy", "-o", "o.csv"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(600):
        time.sleep(0.2)
        if list(tmp_path.glob("o.csv*")) and "CCO" in "".join(p.read_text() for p in tmp_path.glob("o.csv*")):
            break
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert "Traceback" not in said
