"""Labels of a batch: from the ledger, from the shared cache, computed once, and not waited for too long."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from alkit import rounds
from alkit.campaign import Campaign
from alkit.errors import ConfigError
from alkit.label_cache import LabelCache
from alkit.ledger import Ledger

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
            rounds.start(state)
        yield state
        state.close(wait=True)


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
        ((rung, reason, seconds),) = json.loads(row["attempts"])
        assert (rung, reason) == ("as given", "")
        assert row["seconds"] == pytest.approx(seconds)
        assert row["host"]
        assert (row["method"], row["property"], row["unit"]) == ("GFN2-xTB", "energy", "eV")
        assert len(row["hash"]) == 64
        assert row["value"] < 0


def test_a_round_does_not_wait_for_what_is_late_and_the_cache_gets_it(logged, tmp_path):
    with started(logged | {"folder": str(tmp_path / "first")}) as state:
        slow = state.ledger.labelled("training")[3][0].smiles
    (tmp_path / "slow.json").write_text(json.dumps({slow: 12}))
    (tmp_path / "shared.sqlite").unlink()
    late = logged | {"folder": str(tmp_path / "late")}
    late["simulator"] = logged["simulator"] | {"deadline": 8.0}
    begin = time.monotonic()
    with started(late) as state:
        took = time.monotonic() - begin
        rows = {row["smiles"]: row for row in state.ledger.histories()}
        assert (rows[slow]["status"], rows[slow]["reason"]) == ("failed", "deadline")
        assert slow not in state.ledger.known()  # it may come again
        assert sum(row["status"] == "labelled" for row in rows.values()) >= 20
        molecule, spec = state.molecule(slow), state.simulator
    assert time.monotonic() - begin > took + 1  # closing waited for it
    with closing(LabelCache(tmp_path / "shared.sqlite", spec)) as cache:
        assert cache.get(molecule) is not None


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
