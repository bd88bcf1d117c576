"""alkit.storage.ledger: what goes in comes out, whole stages or none, and labels that survive a kill."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alkit.errors import CampaignError
from alkit.simulators.base import Label, Level
from alkit.storage.ledger import Ledger

U0 = Level("GFN2-xTB", "u0")
finite = st.floats(allow_nan=False, allow_infinity=False)
geometries = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        arrays(np.int64, n, elements=st.integers(1, 118)), arrays(np.float64, (n, 3), elements=finite)
    )
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path):
    with contextlib.closing(Ledger(path)) as ledger:
        yield ledger


def label(smiles: str, value: float = -17.0, level: Level = U0, **changes) -> Label:
    given = {"parts": {"zpe": 1.2}, "numbers": [6, 1], "positions": [[0, 0, 0], [0, 0, 1.1]], "seconds": 0.5}
    return Label(smiles, value, level, **{**given, **changes})


def reopened(path: Path) -> Ledger:
    return Ledger(path)


def add_labelled(ledger: Ledger, round_: int, smiles: str, value: float, role="training") -> None:
    ledger.level = U0
    ledger.add_candidates(round_, [smiles], status="labelled", role=role)
    ledger.add_label(label(smiles, value))


# --- round trips -----------------------------------------------------------------------------------------
@given(geometries, st.text(min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_a_geometry_comes_back_bitwise(geometry, smiles: str) -> None:
    numbers, positions = geometry
    with contextlib.closing(Ledger(Path(":memory:"))) as ledger:
        ledger.add_geometry(smiles, "mmff", numbers, positions)
        found = ledger.geometry(smiles, "mmff")
        assert found is not None
        assert found[0].tolist() == numbers.tolist()
        assert found[1].shape == positions.shape
        assert found[1].tobytes() == positions.tobytes()  # -0.0 and subnormal numbers included
        assert ledger.geometry(smiles, "etkdg") is None
        assert ledger.geometry(smiles + "C", "mmff") is None


@given(geometries, finite, st.dictionaries(st.text(max_size=8), finite, max_size=4), st.floats(0, 1e6))
@settings(max_examples=60, deadline=None)
def test_a_label_comes_back_bitwise(geometry, value: float, parts: dict, seconds: float) -> None:
    numbers, positions = geometry
    with contextlib.closing(Ledger(Path(":memory:"))) as ledger:
        ledger.add_label(Label("CCO", value, U0, parts, numbers, positions, seconds))
        found = ledger.label("CCO", U0)
        assert found is not None
        assert (found.smiles, found.level, found.parts, found.seconds) == ("CCO", U0, parts, seconds)
        assert found.value == value  # SQLite keeps every digit, and only loses the sign of zero
        assert found.positions.tobytes() == positions.tobytes()
        assert found.numbers.tolist() == numbers.tolist()


def test_fortran_order_and_slices_are_stored_as_seen(ledger: Ledger) -> None:
    positions = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    ledger.add_geometry("a", "mmff", np.array([1, 2, 3, 4])[::-1], positions)
    numbers, found = ledger.geometry("a", "mmff")
    assert numbers.tolist() == [4, 3, 2, 1]
    np.testing.assert_array_equal(found, positions)


def test_numpy_scalars_are_numbers(ledger: Ledger) -> None:
    ledger.add_label(label("C", np.float32(-1.5), parts={"zpe": np.float32(0.5)}, seconds=np.float32(2)))
    found = ledger.label("C", U0)
    assert (found.value, found.parts, found.seconds) == (-1.5, {"zpe": 0.5}, 2.0)
    ledger.add_metrics(0, {"mae": np.float32(0.25)})
    assert ledger.metrics() == [{"round": 0, "mae": 0.25}]


@pytest.mark.parametrize("value", [float("nan")])
def test_a_label_that_is_no_number_never_gets_in(ledger: Ledger, value: float) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add_label(label("C", value))
    assert ledger.label("C", U0) is None


def test_everything_survives_closing(path: Path, ledger: Ledger) -> None:
    ledger.set_meta("key", "x")
    ledger.set_meta("key", "y")
    add_labelled(ledger, 0, "C", -17.5)
    ledger.add_metrics(0, {"mae": 0.5, "labels": 1})
    ledger.close()
    with contextlib.closing(reopened(path)) as again:
        assert again.meta("key") == "y"
        assert again.level == U0
        assert again.meta("nothing") is None
        assert [(c.smiles, value) for c, value in again.labelled("training")] == [("C", -17.5)]
        assert again.metrics() == [{"round": 0, "labels": 1.0, "mae": 0.5}]


# --- candidates ------------------------------------------------------------------------------------------
def test_candidates_are_found_by_round_status_and_role(ledger: Ledger) -> None:
    ledger.add_candidates(0, ["A", "B"], status="labelled", role="test")
    ledger.add_candidates(1, iter(["C", "D", "E"]))
    first, second, third = ledger.candidates(round_=1)
    ledger.mark(first.id, "rejected", reason="too_large", detail="x" * 2000)
    ledger.mark(second.id, "acquired", smiles="DD")
    assert [c.smiles for c in ledger.candidates()] == ["A", "B", "C", "DD", "E"]
    assert [c.smiles for c in ledger.candidates(status=("proposed", "acquired"))] == ["DD", "E"]
    assert [c.smiles for c in ledger.candidates(role="test")] == ["A", "B"]
    assert ledger.candidates(round_=0, status=("rejected",)) == []
    rejected = ledger.candidates(status=("rejected",))[0]
    assert (rejected.round, rejected.reason, rejected.role) == (1, "too_large", "training")
    assert (1, "rejected", "too_large", 1) in ledger.reasons()
    assert sum(count for *_, count in ledger.reasons()) == 5
    assert third.status == "proposed"


def test_known_is_what_was_taken(ledger: Ledger) -> None:
    for status in ("proposed", "rejected", "screened", "not_acquired", "acquired", "labelled", "failed"):
        ledger.add_candidates(0, [status], status=status, role="validation")
    assert set(ledger.known()) == {"acquired", "labelled", "failed"}
    assert ledger.known()["labelled"].role == "validation"


def test_labelled_keeps_the_order_and_the_round(ledger: Ledger) -> None:
    for round_, smiles, value in ((0, "Z", -3.0), (1, "A", -1.0), (2, "M", -2.0)):
        add_labelled(ledger, round_, smiles, value)
    add_labelled(ledger, 0, "T", -9.0, role="test")
    ledger.add_candidates(2, ["A"], status="rejected")  # proposed again: its label is counted once
    assert [(c.smiles, value) for c, value in ledger.labelled("training")] == [
        ("Z", -3),
        ("A", -1),
        ("M", -2),
    ]
    assert [c.smiles for c, _ in ledger.labelled("training", up_to_round=1)] == ["Z", "A"]
    assert [c.smiles for c, _ in ledger.labelled("test")] == ["T"]
    assert ledger.label_seconds() == [(2, 0.5)] * 4


def test_two_levels_of_theory_are_kept_apart(ledger: Ledger) -> None:
    others = [Level("GFN1-xTB", "u0"), Level("GFN2-xTB", "energy"), Level("GFN2-xTB", "u0", "Hartree")]
    add_labelled(ledger, 0, "C", -17.0)
    assert [value for _, value in ledger.labelled("training")] == [-17.0]
    for k, level in enumerate(others):
        assert ledger.label("C", level) is None
        ledger.add_label(label("C", -20.0 - k, level))
    assert [ledger.label("C", level).value for level in (U0, *others)] == [-17.0, -20.0, -21.0, -22.0]
    assert [value for _, value in ledger.labelled("training")] == [-17.0]
    ledger.level = others[1]
    assert [value for _, value in ledger.labelled("training")] == [-21.0]


def test_without_a_level_nothing_is_labelled(ledger: Ledger) -> None:
    assert ledger.level is None
    assert ledger.labelled("training") == []


# --- stages ----------------------------------------------------------------------------------------------
class Stop(BaseException):
    """As a KeyboardInterrupt is, no Exception."""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Stop])
def test_a_stage_that_raises_leaves_nothing(path: Path, ledger: Ledger, error: type[BaseException]) -> None:
    ledger.add_candidates(1, ["kept"])

    def fail() -> None:
        with ledger.stage(1, "screen"):
            ledger.add_candidates(1, ["lost"])
            ledger.mark(ledger.candidates()[0].id, "rejected", reason="lost")
            ledger.add_label(label("lost"))
            ledger.add_geometry("lost", "mmff", np.array([1]), np.zeros((1, 3)))
            ledger.add_metrics(1, {"mae": 1.0})
            ledger.set_meta("lost", "1")
            raise error

    with pytest.raises(error):
        fail()
    with contextlib.closing(reopened(path)) as other:
        for one in (ledger, other):
            assert [(c.smiles, c.status) for c in one.candidates()] == [("kept", "proposed")]
            assert one.label("lost", U0) is None
            assert one.geometry("lost", "mmff") is None
            assert one.metrics() == one.stages() == []
            assert one.meta("lost") is None
            assert not one.finished(1, "screen")
    with ledger.stage(1, "screen"):  # and the ledger works on
        pass
    assert ledger.finished(1, "screen")


def test_commit_inside_a_stage_survives_what_comes_after(ledger: Ledger, path: Path) -> None:
    def fail() -> None:
        with ledger.stage(1, "label"):
            ledger.add_label(label("first"))
            ledger.commit()
            ledger.add_label(label("second"))
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    ledger.close()
    with contextlib.closing(reopened(path)) as again:
        assert again.label("first", U0) is not None
        assert again.label("second", U0) is None
        assert not again.finished(1, "label")


def test_a_stage_is_seen_by_others_only_when_it_is_whole(ledger: Ledger, path: Path) -> None:
    with contextlib.closing(reopened(path)) as other:
        with ledger.stage(0, "start"):
            ledger.add_candidates(0, ["C"])
            assert other.candidates() == []
            assert not other.finished(0, "start")
        assert [c.smiles for c in other.candidates()] == ["C"]
        assert other.finished(0, "start")


def test_finished_stages_are_told_in_order_with_their_time(ledger: Ledger) -> None:
    for round_, stage in ((0, "train"), (0, "evaluate"), (1, "propose")):
        with ledger.stage(round_, stage):
            pass
    assert [row[:2] for row in ledger.stages()] == [(0, "train"), (0, "evaluate"), (1, "propose")]
    assert all(0 <= seconds < 10 for *_, seconds in ledger.stages())
    assert not ledger.finished(1, "train")


def test_a_stage_cannot_be_finished_twice(ledger: Ledger) -> None:
    def run() -> None:
        with ledger.stage(0, "start"):
            ledger.add_candidates(0, ["C"])

    run()
    with pytest.raises(sqlite3.IntegrityError):
        run()
    assert len(ledger.candidates()) == 1


KILLED = """
import sys, time
from pathlib import Path
from alkit.storage.ledger import Ledger
from alkit.simulators.base import Label, Level

ledger = Ledger(Path(sys.argv[1]))
ledger.level = Level("GFN2-xTB", "u0")
with ledger.stage(1, "acquire"):
    ledger.add_candidates(1, ["A", "B", "C", "D"], status="acquired")
with ledger.stage(1, "label"):
    for candidate in ledger.candidates()[:3]:
        value = -float(candidate.id)
        ledger.add_label(
            Label(candidate.smiles, value, Level("GFN2-xTB", "u0"), {}, [1], [[0.0, 0.0, 0.0]], 0.1)
        )
        ledger.mark(candidate.id, "labelled")
        if candidate.smiles != "C":
            ledger.commit()
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_kill_in_the_middle_of_a_stage_leaves_committed_labels_and_no_half_stage(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline().strip() == "ready"
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    with contextlib.closing(reopened(path)) as ledger:
        assert [(c.smiles, c.status) for c in ledger.candidates()] == [
            ("A", "labelled"),
            ("B", "labelled"),
            ("C", "acquired"),  # its label had not been committed
            ("D", "acquired"),
        ]
        assert [(c.smiles, value) for c, value in ledger.labelled("training")] == [("A", -1.0), ("B", -2.0)]
        assert ledger.label("C", U0) is None
        assert ledger.finished(1, "acquire")
        assert not ledger.finished(1, "label")
        with ledger.stage(1, "label"):  # the same command again goes on
            ledger.add_label(label("C"))
        assert ledger.finished(1, "label")


# --- files that are no ledgers ---------------------------------------------------------------------------
def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("a letter to a friend\n" * 100)
    with pytest.raises(CampaignError, match=r"ledger\.sqlite is not a campaign's ledger"):
        Ledger(path)
    assert path.read_text() == "a letter to a friend\n" * 100


def test_another_database_is_refused_and_left_alone(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE systems (id INTEGER)")
    with pytest.raises(CampaignError, match="is not a campaign's ledger"):
        Ledger(path)
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("systems",)]


def test_a_folder_or_no_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "ledger.sqlite"):
        with pytest.raises(CampaignError, match="is not a campaign's ledger"):
            Ledger(path)


def test_another_format_is_refused(path: Path, ledger: Ledger) -> None:
    ledger.set_meta("format", "99")
    ledger.close()
    with pytest.raises(CampaignError, match="has format 99; this version of alkit reads format 1"):
        Ledger(path)


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.touch()  # what a process killed right after opening leaves
    with contextlib.closing(Ledger(path)) as ledger:
        assert ledger.meta("format") == "1"
        assert ledger.candidates() == []
