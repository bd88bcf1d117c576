"""alkit.campaign.round_state: seeds, files put in place whole, and geometries that are made once."""

import contextlib
import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gfn2 import single_point
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.acquisition import resolve
from alkit.baselines.gfn import GFN2
from alkit.campaign.round_state import RoundState
from alkit.config.loading import check_config
from alkit.errors import CampaignError
from alkit.files import replace_file
from alkit.molecules.conformers import embed
from alkit.reporting.progress import CampaignProgress
from alkit.storage.ledger import Ledger

PURPOSES = ["start", "propose", "acquire", "train", "generator"]


def make_state(folder: Path, ledger: Ledger, *, round_: int = 1, **config) -> RoundState:
    given = {"name": "a", "proposer": "generator", "seed": 7, **config}
    return RoundState(check_config(given), folder, ledger, resolve("std"), CampaignProgress(), round_)


@pytest.fixture
def ledger():
    with contextlib.closing(Ledger(Path(":memory:"))) as ledger:
        yield ledger


@pytest.fixture
def state(tmp_path: Path, ledger: Ledger) -> RoundState:
    return make_state(tmp_path, ledger)


# --- seeds -----------------------------------------------------------------------------------------------
def seed_of(seed: int, round_: int, purpose: str) -> int:
    config = check_config({"name": "a", "proposer": "generator", "seed": seed})
    return RoundState(config, Path(), None, None, None, round_).seed(purpose)


def test_seeds_differ_by_purpose_round_and_campaign() -> None:
    seeds = [
        seed_of(seed, round_, purpose) for seed in range(6) for round_ in range(15) for purpose in PURPOSES
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


@given(st.integers(0, 2**31 - 1), st.integers(0, 500), st.text(max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_seed_is_always_the_same_and_fits_every_library(seed: int, round_: int, purpose: str) -> None:
    found = seed_of(seed, round_, purpose)
    assert found == seed_of(seed, round_, purpose)
    assert type(found) is int
    assert 0 <= found < 2**31


def test_seeds_do_not_depend_on_the_process(state: RoundState) -> None:
    code = (
        "from pathlib import Path; from alkit.config import check_config;"
        "from alkit.campaign.round_state import RoundState;"
        "config = check_config({'name': 'a', 'proposer': 'generator', 'seed': 7});"
        "print(RoundState(config, Path(), None, None, None, 1).seed('propose'))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "123"},
    )
    assert int(ran.stdout) == state.seed("propose")


def test_a_generator_starts_afresh_each_time(state: RoundState) -> None:
    first = state.rng("propose").random(5)
    state.rng("acquire").random(100)
    np.testing.assert_array_equal(state.rng("propose").random(5), first)
    assert (state.rng("acquire").random(5) != first).all()


# --- files -----------------------------------------------------------------------------------------------
def test_paths_are_by_round(state: RoundState, tmp_path: Path) -> None:
    assert state.path("model") == tmp_path / "rounds" / "01" / "model"
    assert state.path("model", round_=0) == tmp_path / "rounds" / "00" / "model"
    assert state.path("a.csv", round_=12) == tmp_path / "rounds" / "12" / "a.csv"


def test_a_file_is_put_in_place_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    seen = []

    def write(partial: Path) -> None:
        seen.append((partial.suffix, partial.parent, path.exists()))
        partial.write_text("whole")

    replace_file(path, write)
    # Beside the file, so that moving it is atomic, and of the same suffix, which numpy insists on.
    assert seen == [(".txt", path.parent, False)]
    assert path.read_text() == "whole"
    assert [one.name for one in path.parent.iterdir()] == ["a.txt"]
    replace_file(path, lambda partial: partial.write_text("newer"))
    assert path.read_text() == "newer"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.npz"
    replace_file(path, lambda partial: np.savez(partial, x=np.arange(3)))

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise error

    with pytest.raises(error):
        replace_file(path, fail)
    assert np.load(path)["x"].tolist() == [0, 1, 2]
    replace_file(path, lambda partial: np.savez(partial, x=np.arange(4)))  # and what is left does no harm
    assert np.load(path)["x"].tolist() == [0, 1, 2, 3]
    assert [one.name for one in tmp_path.iterdir()] == ["a.npz"]


# --- molecules -------------------------------------------------------------------------------------------
def test_a_molecule_gets_its_geometry_once(state: RoundState, monkeypatch) -> None:
    state.molecules.place(["CCO"])
    expected = embed("CCO", geometry="mmff", seed=7)
    found = state.molecules.molecule("CCO")
    assert found.geometry == "mmff"
    np.testing.assert_array_equal(found.positions, expected.positions)
    monkeypatch.setattr(state.labels.engine, "call_all", lambda *_: pytest.fail("embedded again"))
    state.molecules.place(["CCO"])
    other_round = dataclasses.replace(state, round=4)
    other_round.molecules.place(["CCO"])
    np.testing.assert_array_equal(other_round.molecules.molecule("CCO").positions, expected.positions)


def test_a_geometry_that_is_gone_is_said(state: RoundState) -> None:
    with pytest.raises(CampaignError, match="no mmff geometry of CCO; it was changed from outside"):
        state.molecules.molecule("CCO")


def test_without_a_data_set_nothing_is_in_it(state: RoundState, ledger: Ledger, tmp_path: Path) -> None:
    assert state.molecules.dataset is None
    config = state.config.model_copy(
        update={"surrogate": state.config.surrogate.model_copy(update={"geometry": "dataset"})}
    )
    failed = dataclasses.replace(state, config=config).molecules.place(["CCO"])
    assert str(failed["CCO"]) == "not_in_dataset: CCO"


def test_training_and_screening_see_the_same_graph(state: RoundState) -> None:
    state.molecules.place(["CCO"])
    answer: list[int] = []
    first = state.molecules.graphs(["CCO", "CCO"], on_graph=answer.append)
    assert answer == [1, 1]
    assert first[0] is first[1] is state.molecules.graphs(["CCO"])[0]
    fresh = dataclasses.replace(state).molecules.graphs(["CCO"])[0]
    np.testing.assert_array_equal(fresh.vectors, first[0].vectors)
    assert fresh.numbers.tolist() == state.molecules.molecule("CCO").numbers.tolist()


def test_2d_graphs_need_no_geometry(ledger: Ledger, tmp_path: Path) -> None:
    state = make_state(tmp_path, ledger, surrogate={"mode": "2d", "cutoff": 3.0})
    graph = state.molecules.graphs(["CCO"])[0]
    assert len(graph) == 9
    assert np.linalg.norm(graph.vectors, axis=1).max() < 3.0
    assert (graph.vectors[:, 1:] == 0).all()


def test_seed_molecules_are_those_of_the_domain(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "seeds.smi").write_text("OCC\nCCO\nCF\nCCCCC\nC=O\n")
    state = make_state(
        tmp_path,
        ledger,
        seeds=str(tmp_path / "seeds.smi"),
        domain={"elements": ["H", "C", "O"], "max_heavy_atoms": 4},
    )
    assert state.molecules.seeds == ["CCO", "C=O"]


def test_the_simulator_is_told_what_the_campaign_knows(tmp_path: Path, ledger: Ledger) -> None:
    state = make_state(tmp_path, ledger, target="energy")
    assert (state.labels.simulator.kind, state.labels.simulator.settings) == ("xtb", {"target": "energy"})
    own = make_state(tmp_path, ledger, simulator={"kind": "mine.py:Sim", "settings": {"x": 1}})
    assert own.labels.simulator.settings == {"x": 1}
    (tmp_path / "qm9.db").touch()
    lookup = make_state(
        tmp_path, ledger, simulator="lookup", dataset=str(tmp_path / "qm9.db"), proposer="pool"
    )
    assert lookup.labels.simulator.settings == {"target": "u0", "dataset": str(tmp_path / "qm9.db")}


def test_delta_computes_its_single_point_once_and_keeps_it(state: RoundState, monkeypatch) -> None:
    surrogate = state.config.surrogate.model_copy(update={"learning": "delta", "xtb_inputs": True})
    state.config = state.config.model_copy(update={"surrogate": surrogate})
    state.molecules.place(["CCO"])
    molecule = state.molecules.molecule("CCO")
    expected = single_point(molecule.numbers, molecule.positions)
    monkeypatch.setattr(GFN2, "read", lambda *_: pytest.fail("computed again"))
    assert state.molecules.gfn2_energy("CCO") == expected.energy
    again = RoundState(
        state.config, state.folder, state.ledger, state.acquisition, state.progress, state.round
    )
    assert again.molecules.gfn2_energy("CCO") == expected.energy  # from the cache
    (graph,) = state.molecules.graphs(["CCO"])
    assert graph.baseline == expected.energy
    assert graph.baseline_level == str(expected.level) == state.molecules.builder.settings.baseline
    np.testing.assert_allclose(graph.atom_inputs[:, 0], expected.charges, atol=1e-6)
