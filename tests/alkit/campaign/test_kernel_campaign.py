"""Campaigns on baselines, with a kernel: labels, tiers, the cache, the saved model."""

import contextlib

import numpy as np
import pytest

from alkit.baselines.gfn import GFN1
from alkit.campaign.campaign import Campaign, open_campaign
from alkit.config.loading import check_config
from alkit.errors import ConfigError
from alkit.models.prediction import predict_smiles
from alkit.models.store import load_model
from alkit.reporting.verdicts import tier_of_campaign


@pytest.fixture
def config(tiny) -> dict:
    tiny["start"] |= {"validation": 0}
    tiny["surrogate"] |= {
        "representation": "kernel",
        "learning": "delta",
        "baseline": ["gfn1", "gfn2"],
        "baseline_inputs": True,
    }
    return tiny


def test_a_kernel_on_two_baselines_runs_a_campaign(config, monkeypatch) -> None:
    config["acquisition"] = "lcmd"
    result = Campaign(config).run()
    last = result.metrics[-1]
    assert last["mae"] < 0.3 * last["baseline_elements"]
    assert last["labels"] == 12 + 4  # none is set apart
    report = (result.folder / "report.html").read_text()
    assert "semi-empirical: learns on top of GFN1-xTB and GFN2-xTB" in report
    assert "a Gaussian process" in report
    surrogate, provenance = load_model(result.folder)
    assert surrogate.settings.representation == "kernel"
    assert [spec.kind for spec in provenance.baselines] == ["gfn1", "gfn2"]
    (row,) = predict_smiles(surrogate, provenance, ["CCO"])
    assert row.mean is not None
    assert row.low < row.mean < row.high
    with np.load(result.folder / "rounds" / "01" / "predictions.npz") as arrays:
        assert np.isfinite(arrays["std"]).all()

    # The random twin of it computes no baseline again: the cache is shared.
    computed, read = [], GFN1.read
    monkeypatch.setattr(GFN1, "read", lambda self, one: computed.append(one) or read(self, one))
    again = Campaign(config | {"folder": f"{config['folder']}-again"}).run()
    assert not computed
    assert again.metrics[-1]["mae"] == pytest.approx(last["mae"], rel=1e-3)


@pytest.mark.campaign
def test_the_kernel_chooses_the_start_and_the_batches(config) -> None:
    config["acquisition"] = "integrated_variance"
    config["start"] |= {"choice": "integrated_variance"}
    result = Campaign(config).run()
    with np.load(result.folder / "rounds" / "01" / "predictions.npz") as arrays:
        factors, own = arrays["covariance_factors"], arrays["covariance_own"]
        assert len(factors) == len(own) == len(arrays["std"])
        # A molecule of large variance has a large deviation.
        spread = np.sqrt((factors**2).sum(axis=1) + own + arrays["covariance_noise"] ** 2)
        assert np.corrcoef(spread, arrays["std"])[0, 1] > 0.99
    with contextlib.closing(open_campaign(result.folder)[1]) as ledger:
        start = [c.smiles for c, _ in ledger.labelled("training", up_to_round=0)]
        tested = [c.smiles for c, _ in ledger.labelled("test")]
    assert len(set(start)) == 12
    assert not set(start) & set(tested)
    # Those that say most of all others are not those that a random draw begins with.
    config |= {"folder": f"{config['folder']}-random", "start": config["start"] | {"choice": "random"}}
    config["stop"] = {"rounds": 1}
    with contextlib.closing(open_campaign(Campaign(config).run().folder)[1]) as ledger:
        assert start != [c.smiles for c, _ in ledger.labelled("training", up_to_round=0)]


@pytest.mark.parametrize(
    ("surrogate", "start", "acquisition", "sentence"),
    [
        ("schnet", "random", "integrated_variance", "needs the covariance of a kernel"),
        ("schnet", "integrated_variance", "random", "integrated_variance asks a kernel"),
    ],
)
def test_a_covariance_needs_a_kernel(config, surrogate, start, acquisition, sentence) -> None:
    config["surrogate"] |= {"representation": surrogate, "members": 3}
    config["start"] |= {"choice": start}
    config["acquisition"] = acquisition
    with pytest.raises(ConfigError, match=sentence):
        Campaign(config).check()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"baseline": []}, "baseline is .*; it is a name such as gfn2"),
        ({"baseline": [{"calculator": "a:B"}]}, "it is a name such as gfn2"),
        ({"baseline": 3}, "it is a name such as gfn2"),
        ({"baseline_inputs": True, "mode": "2d"}, "baseline_inputs belong to a geometry"),
        ({"representation": "kernel", "learning": "pretrain"}, "kernel is no network alone"),
        ({"baseline": "gfn1"}, "nothing uses it; set learning: delta"),
        ({"representation": "kernel"}, "sets no labels apart; start.validation is 40"),
    ],
)
def test_a_section_that_cannot_be_is_one_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_config({"name": "a", "proposer": "generator", "surrogate": changes})


@pytest.mark.parametrize(
    ("baseline", "sentence"),
    [
        ("gfn3", "no baseline 'gfn3'"),
        ({"kind": "gfn1", "solvent": "water"}, "cannot be made with"),
        ({"kind": "ase", "calculator": "os:system"}, "is no ASE calculator"),
        (["gfn1", "gfn1"], "names one baseline twice"),
    ],
)
def test_a_baseline_that_cannot_be_is_refused_before_any_label(config, baseline, sentence) -> None:
    config["surrogate"] |= {"baseline": baseline}
    with pytest.raises(ConfigError, match=sentence):
        Campaign(config).check()


def test_tiers_have_names() -> None:
    def tier(**surrogate) -> str:
        return tier_of_campaign(check_config({"name": "a", "proposer": "generator", "surrogate": surrogate}))

    assert tier() == "no baseline"
    found = tier(learning="delta", baseline="gfn1")
    assert found == "semi-empirical: learns on top of GFN1-xTB"
    found = tier(learning="delta")
    assert found.startswith("semi-empirical: learns on top of GFN2-xTB; gfn2 is the labels' own method")
    assert tier(geometry="xtb") == "semi-empirical: sees geometries relaxed by GFN2-xTB"
    assert tier(geometry="gfn2", mode="2d") == "no baseline"
    assert tier(baseline_inputs=True) == "semi-empirical: sees what GFN2-xTB say of atoms"
    ours = {"kind": "ase", "calculator": "tblite.ase:TBLite", "tier": "pretrained", "learned_from": "ours"}
    assert tier(learning="delta", baseline=ours).startswith("pretrained (ours): learns on top of TBLite")
