"""Labels of a batch: from the ledger, from the shared cache, computed once, and not waited for too long."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from alkit.campaign import starting
from alkit.campaign.campaign import Campaign
from alkit.campaign.labelling import label_batch
from alkit.errors import ConfigError
from alkit.storage.label_cache import LabelCache
from alkit.storage.ledger import Ledger

# Logs what it computes; is slow, once the start has been drawn, with molecules that `slow.json` names.
_SIMULATOR = """
import json, time
from pathlib import Path
from alkit.simulators.xtb import XTBSimulator

HERE = Path(__file__).parent

class Logged(XTBSimulator):
    def __init__(self):
        super().__init__(target="energy")

    def label(self, molecule):
        label = super().label(molecule)
        slow = HERE / "slow.json"
        if slow.exists():
            time.sleep(json.loads(slow.read_text()).get(molecule.smiles, 0))
        with (HERE / "computed.txt").open("a") as file:
            file.write(molecule.smiles + "\\n")
        return label
"""


@pytest.fixture
def logged(tiny, tmp_path) -> dict:
    (tmp_path / "logged.py").write_text(_SIMULATOR)
    tiny["simulator"] = {"kind": str(tmp_path / "logged.py:Logged"), "cache": str(tmp_path / "shared.sqlite")}
    return tiny


@contextmanager
def started(config: dict):
    """The state of a campaign whose start is drawn and labelled."""
    campaign = Campaign(config)
    campaign.folder.mkdir(parents=True)
    with closing(Ledger(campaign.folder / "ledger.sqlite")) as ledger:
        state = campaign._state(ledger)
        with ledger.stage(0, "start"):
            starting.start(state)
        yield state
        state.labels.close(wait=True)


def computed(tmp_path: Path) -> Counter[str]:
    log = tmp_path / "computed.txt"
    return Counter(log.read_text().split() if log.exists() else [])


def sources(state) -> Counter[str]:
    return Counter(row["source"] for row in state.ledger.histories() if row["status"] == "labelled")


def test_a_second_campaign_computes_nothing_again(logged, tmp_path):
    with started(logged) as one:
        first = list(one.ledger.histories())
    with started(logged | {"folder": str(tmp_path / "again")}) as other:
        second = list(other.ledger.histories())
        assert sources(other) == {"cache": 23}
    assert set(computed(tmp_path).values()) == {1}
    same = ("smiles", "role", "status", "value", "hash", "host", "version", "attempts")
    assert [[row[name] for name in same] for row in first] == [[row[name] for name in same] for row in second]


def test_two_campaigns_at_once_compute_each_molecule_once(logged, tmp_path):
    def run(name: str) -> Counter[str]:
        with started(logged | {"folder": str(tmp_path / name)}) as state:
            return sources(state)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(run, ["one", "other"])
    assert set(computed(tmp_path).values()) == {1}
    assert one.total() == other.total() == 23
    assert one["computed"] + other["computed"] == 23


def test_without_a_cache_everything_is_computed(logged, tmp_path):
    logged["simulator"]["cache"] = "none"
    for name in ("one", "other"):
        with started(logged | {"folder": str(tmp_path / name)}) as state:
            assert sources(state) == {"computed": 23}
    assert set(computed(tmp_path).values()) == {2}
    assert not (tmp_path / "shared.sqlite").exists()


def test_the_ledger_tells_how_each_label_came_about(logged):
    with started(logged) as state:
        rows = [row for row in state.ledger.histories() if row["status"] == "labelled"]
    assert len(rows) == 23
    for row in rows:
        ((strategy, reason, seconds),) = json.loads(row["attempts"])
        assert (strategy, reason) == ("as given", "")
        assert row["seconds"] == pytest.approx(seconds)
        assert row["host"]
        assert (row["method"], row["property"], row["unit"]) == ("GFN2-xTB", "energy", "eV")
        assert len(row["hash"]) == 64
        assert row["value"] < 0


def test_a_round_does_not_wait_for_what_is_late_and_the_cache_gets_it(logged, tmp_path):
    logged["simulator"]["deadline"] = 6.0
    with started(logged) as state:  # the start has no deadline
        assert not state.ledger.candidates(status=("failed",))
        state.round = 1
        batch = ["CCCCN", "CCCCO", "CCCCF"]
        (tmp_path / "slow.json").write_text(json.dumps({"CCCCN": 12}))
        with state.ledger.stage(1, "label"):
            state.ledger.add_candidates(1, batch, status="acquired")
            assert not state.molecules.place(batch)
            label_batch(state, state.ledger.candidates(round_=1))
        rows = {row["smiles"]: row for row in state.ledger.histories() if row["round"] == 1}
        assert [rows[smiles]["status"] for smiles in batch] == ["failed", "labelled", "labelled"]
        assert rows["CCCCN"]["reason"] == "deadline"
        assert "CCCCN" not in state.ledger.known()  # it may come again
        assert computed(tmp_path)["CCCCN"] == 0  # it was not waited for
        # Proposed again, it is not begun again, but awaited.
        state.round = 2
        state.config = with_deadline(state.config, 60.0)
        with state.ledger.stage(2, "label"):
            state.ledger.add_candidates(2, ["CCCCN"], status="acquired")
            label_batch(state, state.ledger.candidates(round_=2))
        (row,) = [row for row in state.ledger.histories() if row["round"] == 2]
        assert (row["status"], row["source"]) == ("labelled", "cache")
    assert computed(tmp_path)["CCCCN"] == 1


def test_closing_waits_for_what_is_late(logged, tmp_path):
    logged["simulator"]["deadline"] = 3.0
    with started(logged) as state:
        state.round = 1
        (tmp_path / "slow.json").write_text(json.dumps({"CCCCN": 8}))
        with state.ledger.stage(1, "label"):
            state.ledger.add_candidates(1, ["CCCCN"], status="acquired")
            state.molecules.place(["CCCCN"])
            label_batch(state, state.ledger.candidates(round_=1))
        assert computed(tmp_path)["CCCCN"] == 0
        molecule, spec = state.molecules.molecule("CCCCN"), state.labels.simulator
    with closing(LabelCache(tmp_path / "shared.sqlite", spec)) as cache:
        assert cache.get(molecule) is not None


def with_deadline(config, seconds: float):
    simulator = config.simulator.model_copy(update={"deadline": seconds})
    return config.model_copy(update={"simulator": simulator})


def test_a_deadline_without_a_cache_is_refused(tiny):
    tiny["simulator"] = {"kind": "xtb", "cache": "none", "deadline": 5}
    with pytest.raises(ConfigError, match=r"simulator\.deadline needs a cache"):
        Campaign(tiny)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"parsl": "./p.py:config"}, "needs engine: parsl"),
        ({"dask": "tcp://x:1"}, "needs engine: dask"),
        ({"engine": "slurm"}, "engine"),
        ({"memory_limit": 0.1}, "memory_limit"),
        ({"labels_per_worker": 0}, "labels_per_worker"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tiny, settings, said):
    tiny["simulator"] = {"kind": "xtb"} | settings
    with pytest.raises(ConfigError, match=said):
        Campaign(tiny)


def test_relative_paths_start_at_the_campaign_file(tiny, write_config, tmp_path):
    tiny["simulator"] = {"kind": "xtb", "cache": "labels/mine.sqlite"}
    config = Campaign(write_config(tiny)).config
    assert config.simulator.cache == tmp_path / "labels" / "mine.sqlite"
