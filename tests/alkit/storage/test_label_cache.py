"""Labels are shared between campaigns, and computed by one at a time."""

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alkit.errors import Attempt, CampaignError
from alkit.molecules.conformers import embed
from alkit.simulators import SimulatorSpec
from alkit.simulators.xtb import XTBSimulator
from alkit.storage.label_cache import LabelCache, default_path
from alkit.storage.label_rows import label_hash

SPEC = SimulatorSpec("xtb", {"target": "energy"})
WATER, METHANE = embed("O"), embed("C")


@pytest.fixture(scope="module")
def label():
    found = XTBSimulator(target="energy").label(WATER)
    return replace(found, attempts=(Attempt("as given", "", 0.1),), host="here", version="0.1")


def cache(path, spec=SPEC):
    return closing(LabelCache(path, spec))


def test_a_label_comes_back_as_it_was(tmp_path, label):
    with cache(tmp_path / "labels.sqlite") as one:
        assert one.get(WATER) is None
        one.put(WATER, label)
    with cache(tmp_path / "labels.sqlite") as again:
        found = again.get(WATER)
        assert again.get(METHANE) is None
    assert (found.value, found.level, found.parts) == (label.value, label.level, label.parts)
    assert (found.seconds, found.attempts, found.host) == (label.seconds, label.attempts, "here")
    np.testing.assert_array_equal(found.positions, label.positions)
    assert label_hash(found) == label_hash(label)


@pytest.mark.parametrize(
    "change", [{"method": "GFN1-xTB"}, {"target": "u0"}, {"fmax": 0.02}, {"relax": False}]
)
def test_other_settings_are_another_label(tmp_path, label, change):
    path = tmp_path / "labels.sqlite"
    with cache(path) as one, cache(path, SimulatorSpec("xtb", {"target": "energy"} | change)) as other:
        one.put(WATER, label)
        assert other.get(WATER) is None


def test_settings_left_out_are_the_defaults(tmp_path, label):
    path = tmp_path / "labels.sqlite"
    with cache(path) as one, cache(path, SimulatorSpec("xtb", {"target": "energy", "fmax": 0.01})) as same:
        one.put(WATER, label)
        assert same.get(WATER) is not None


def test_a_single_point_is_of_its_geometry_alone(tmp_path):
    spec = SimulatorSpec("xtb", {"target": "energy", "relax": False})
    found = XTBSimulator(target="energy", relax=False).label(WATER)
    moved = replace(WATER, positions=WATER.positions * 1.01)
    with cache(tmp_path / "labels.sqlite", spec) as one:
        one.put(WATER, found)
        assert one.get(WATER) is not None
        assert one.get(moved) is None


def test_a_relaxed_label_is_of_any_conformer_of_one_stereoisomer(tmp_path):
    one, other = embed("CCCO", seed=1), embed("CCCO", seed=2, geometry="etkdg")
    assert not np.allclose(one.positions, other.positions)
    right, left = embed("C[C@H](F)O"), embed("C[C@@H](F)O")
    with cache(tmp_path / "labels.sqlite") as labels:
        assert labels.key(one) == labels.key(other)
        # What the SMILES leaves open the geometry settles.
        keys = {labels.key(replace(isomer, smiles="CC(F)O")) for isomer in (right, left)}
        assert len(keys) == 2
        assert len({labels.key(embed("CC(F)O", seed=seed)) for seed in range(6)}) <= 2


def test_code_of_ones_own_that_changed_labels_anew(tmp_path, label):
    file = tmp_path / "mine.py"
    code = (
        "from alkit.simulators.xtb import XTBSimulator\n"
        "class Mine(XTBSimulator):\n    def __init__(self):\n        super().__init__(target='energy')\n"
    )
    file.write_text(code)
    spec = SimulatorSpec(f"{file}:Mine")
    with cache(tmp_path / "labels.sqlite", spec) as one:
        one.put(WATER, label)
        assert one.get(WATER) is not None
    file.write_text(code + "# better now\n")
    with cache(tmp_path / "labels.sqlite", spec) as one:
        assert one.get(WATER) is None


def test_one_claims_and_the_other_waits(tmp_path, label):
    path = tmp_path / "labels.sqlite"
    with cache(path) as one, cache(path) as other:
        assert one.claim(WATER)
        assert not one.claim(WATER)  # it is at it already
        assert not other.claim(WATER)
        assert other.claim(METHANE)
        one.release(WATER)
        assert other.claim(WATER)
        other.put(WATER, label)
        assert not one.claim(WATER)
        assert one.get(WATER).value == label.value
        other.put(WATER, replace(label, value=0.0))  # the first one counts
        assert one.get(WATER).value == label.value


def test_looking_at_claims_costs_no_file_descriptor(tmp_path):
    path = tmp_path / "labels.sqlite"
    with cache(path) as one, cache(path) as other:
        assert one.claim(WATER)
        before = len(os.listdir("/proc/self/fd"))
        assert not any(other.claim(WATER) for _ in range(50))
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_write_that_fails_leaves_nobody_locked_out(tmp_path, label, monkeypatch):
    path = tmp_path / "labels.sqlite"
    with cache(path) as one, cache(path) as other:
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM labels").fetchall()  # keeps a commit from going through
            one._db.execute("PRAGMA busy_timeout = 100")
            with pytest.raises(CampaignError, match="locked"):
                one.put(WATER, label)
            reader.execute("ROLLBACK")
        other.put(WATER, label)
        one.put(METHANE, replace(label, smiles="C"))
        assert one.get(WATER) is not None


def test_settings_of_ones_own_class_are_in_the_key(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from alkit.simulators.xtb import XTBSimulator\n"
        "class Mine(XTBSimulator):\n"
        "    def __init__(self, scale=1.0):\n"
        "        super().__init__(target='energy')\n"
        "        self.scale = scale\n"
    )
    keys = set()
    for scale in (1.0, 2.0):
        with cache(tmp_path / "labels.sqlite", SimulatorSpec(f"{file}:Mine", {"scale": scale})) as one:
            keys.add(one.key(WATER))
    assert len(keys) == 2


def test_files_that_settings_name_are_in_the_key(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from alkit.simulators.xtb import XTBSimulator\n"
        "class Mine(XTBSimulator):\n"
        "    def __init__(self, weights):\n"
        "        super().__init__(target='energy')\n"
    )
    spec, keys = SimulatorSpec(f"{tmp_path}/mine.py:Mine", {"weights": str(tmp_path / "net.pt")}), set()
    for content in ("one", "two"):
        (tmp_path / "net.pt").write_text(content)
        with cache(tmp_path / "labels.sqlite", spec) as one:
            keys.add(one.key(WATER))
    assert len(keys) == 2


def test_claims_end_with_the_cache(tmp_path):
    path = tmp_path / "labels.sqlite"
    with cache(path) as one:
        assert one.claim(WATER)
    with cache(path) as other:
        assert other.claim(WATER)
    assert not list((tmp_path / "labels.sqlite.owners").iterdir())


_CLAIMANT = """
import sys, time
from pathlib import Path
from alkit.storage.label_cache import LabelCache
from alkit.molecules import embed
from alkit.simulators import SimulatorSpec
cache = LabelCache(Path(sys.argv[1]), SimulatorSpec("xtb", {"target": "energy"}))
print(cache.claim(embed("O")), flush=True)
time.sleep(600)
"""


def test_claims_end_with_a_killed_process(tmp_path):
    path = tmp_path / "labels.sqlite"
    command = [sys.executable, "-c", _CLAIMANT, str(path)]
    with cache(path) as one, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "True\n"
        assert not one.claim(WATER)
        other.kill()
        other.wait()
        assert one.claim(WATER)


def _compete(path, barrier, counts, index):
    from alkit.storage.label_cache import LabelCache

    with closing(LabelCache(path, SPEC)) as one:
        barrier.wait()
        counts[index] = sum(one.claim(molecule) for molecule in (WATER, METHANE, *_MORE))
        barrier.wait()  # claims go back when their process ends


_MORE = [embed(smiles) for smiles in ("N", "CC", "CO", "C=O")]


def test_of_four_processes_one_gets_each(tmp_path):
    context = multiprocessing.get_context("fork")
    counts, barrier = context.Array("i", 4), context.Barrier(4)
    workers = [
        context.Process(target=_compete, args=(tmp_path / "labels.sqlite", barrier, counts, i))
        for i in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(counts) == 6


def test_threads_share_it(tmp_path, label):
    with cache(tmp_path / "labels.sqlite") as one, ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: one.claim(WATER), range(50)))
        assert sum(claims) == 1
        for _ in pool.map(lambda _: (one.put(WATER, label), one.get(WATER)), range(50)):
            pass
        assert one.get(WATER).value == label.value


def test_what_was_tampered_with_is_refused(tmp_path, label):
    path = tmp_path / "labels.sqlite"
    with cache(path) as one:
        one.put(WATER, label)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE labels SET value = -99.0")
        database.commit()
    with cache(path) as one, pytest.raises(CampaignError, match="was changed after it was written"):
        one.get(WATER)


def test_a_file_that_is_no_cache_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "labels.sqlite"
    path.write_text("my thesis, chapter one " * 100)
    with pytest.raises(CampaignError, match=r"simulator\.cache"):
        LabelCache(path, SPEC)
    assert path.read_text().startswith("my thesis")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CampaignError, match="cannot be used"):
        LabelCache(tmp_path / "file" / "labels.sqlite", SPEC)


def test_the_place_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("ALKIT_LABEL_CACHE", str(tmp_path / "x.sqlite"))
    assert default_path() == tmp_path / "x.sqlite"
    monkeypatch.delenv("ALKIT_LABEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "alkit" / "labels.sqlite"


def test_a_long_write_of_another_is_waited_for(tmp_path, label):
    path = tmp_path / "labels.sqlite"
    with (
        cache(path) as one,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(one.put, WATER, label)
            time.sleep(0.5)
            assert not writing.done()
            other.execute("COMMIT")
            writing.result(timeout=30)
        assert one.get(WATER) is not None
    assert os.path.exists(path)


@pytest.mark.parametrize(
    "name", ["{elsewhere}/thesis.tex", "../thesis.tex", "thesis.tex", "", "x" * 32, "A" * 32]
)
def test_an_owner_in_the_database_is_never_a_path(name, tmp_path):
    """A cache from somebody else may hold any text there."""
    elsewhere = tmp_path / "elsewhere"
    path = tmp_path / "cache" / "labels.sqlite"
    for folder in (elsewhere, path.parent):
        folder.mkdir()
    victims = [elsewhere / "thesis.tex", path.parent / "thesis.tex", tmp_path / "thesis.tex"]
    for victim in victims:
        victim.write_text("precious")
    with cache(path) as mine, closing(sqlite3.connect(path)) as other:
        key, name = mine.key(METHANE), name.format(elsewhere=elsewhere)
        other.execute("INSERT INTO claims VALUES (?, ?)", (key, name))
        other.commit()
    before = sorted(tmp_path.rglob("*"))
    with cache(path) as mine:
        assert mine.claim(METHANE)  # nobody holds it
        owners = set(path.with_name("labels.sqlite.owners").iterdir())
        assert len(owners) == 1
    assert [victim.read_text() for victim in victims] == ["precious"] * 3
    assert sorted(tmp_path.rglob("*")) == before


def test_what_killed_processes_left_is_swept(tmp_path):
    path = tmp_path / "labels.sqlite"
    owners = path.with_name("labels.sqlite.owners")
    with cache(path):
        pass
    dead, strange = owners / ("0" * 32), owners / "notes.txt"
    for left in (dead, strange):
        left.touch()
    with closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO claims VALUES ('key', ?)", (dead.name,))
        other.commit()
    with cache(path), cache(path):  # the second one sees a living owner
        assert not dead.exists()
        assert strange.exists()
        assert len(list(owners.iterdir())) == 3
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM claims").fetchone() == (0,)


@pytest.mark.parametrize("place", [".", "/dev/null"])
def test_what_is_no_file_is_refused_and_nothing_is_left(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CampaignError, match="it is no file"):
        LabelCache(Path(place).absolute(), SimulatorSpec("xtb"))
    assert not list(tmp_path.parent.glob("*.owners"))
    assert not Path("/dev/null.owners").exists()
