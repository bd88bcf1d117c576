"""Pretraining in a campaign: cheap energies first, of molecules that judge nothing, once for all rounds."""

from contextlib import closing

import numpy as np
import pytest

from alkit.baselines.computing import read_all
from alkit.campaign import pretraining
from alkit.campaign.campaign import Campaign, open_campaign
from alkit.config.loading import changes, check_config
from alkit.errors import CampaignError, ConfigError
from alkit.models.store import load_model
from alkit.molecules.molecule import without_stereo
from alkit.reporting.verdicts import tier_of_campaign

SECTION = {"level": "gfn2", "minus": "gfn1", "molecules": 25, "epochs": 3}


@pytest.fixture
def config(tiny) -> dict:
    tiny |= {"acquisition": "random"}
    tiny["surrogate"] |= {"pretraining": SECTION, "depth_decay": 0.5}
    return tiny


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """SMILES of the molecules whose cheap energies a campaign asks for."""
    seen: list[str] = []

    def record(specs, molecules, **given):
        seen.extend(one.smiles for one in molecules)
        return read_all(specs, molecules, **given)

    monkeypatch.setattr("alkit.campaign.molecule_store.read_all", record)
    return seen


def held_out(folder, *roles: str) -> set[str]:
    _, ledger = open_campaign(folder)
    with closing(ledger):
        return {without_stereo(c.smiles) for c in ledger.candidates(round_=0) if c.role in roles}


def test_it_is_done_once_and_never_sees_what_judges(config, computed, monkeypatch) -> None:
    fits, pretrain = [], pretraining.pretrain
    monkeypatch.setattr(
        pretraining, "pretrain", lambda *a, **given: fits.append(given) or pretrain(*a, **given)
    )
    config["surrogate"] |= {"freeze": "embedding"}
    result = Campaign(config).run()
    assert [row["cheap_labels"] for row in result.metrics] == [25, 25]
    assert result.metrics[-1]["labels"] == 12 + 5 + 4  # cheap energies are not labels
    assert [len(fit["graphs"]) for fit in fits] == [25]  # one pretraining for both rounds
    first, provenance = load_model(result.folder / "pretrained")
    assert provenance.level == "GFN2-xTB (unrelaxed) energy [eV] less GFN1-xTB (unrelaxed) energy [eV]"
    tuned, provenance = load_model(result.folder)
    assert provenance.tier == "semi-empirical: learned GFN2-xTB less GFN1-xTB first"
    assert (
        len(first.members) == len(tuned.members) == 2
    )  # what shares a validation set differs by its weights
    for before, after in zip(first.members, tuned.members, strict=True):
        name = "representation.embedding.weight"
        assert (before.state_dict()[name] == after.state_dict()[name]).all()
        assert any((a != b).any() for a, b in zip(before.parameters(), after.parameters(), strict=True))
    assert len(set(computed)) == 25
    judging = held_out(result.folder, "test", "validation")
    assert len(judging) == 11
    assert not judging & {without_stereo(smiles) for smiles in computed}
    assert "learned GFN2-xTB less GFN1-xTB first" in (result.folder / "report.html").read_text()


def test_without_a_validation_set_what_calibrates_is_left_out_too(config, computed, tmp_path) -> None:
    more = ["CCCCCC", "CCCCCO", "CCCCOC", "CCCOCC", "CCCCCN", "CC(C)CCC", "CC(C)CCO", "C1CCCCC1", "CCCCC=O"]
    more += ["CCCCCF", "CC(C)CCN", "CCC(C)CO", "CCCCC#N"]
    (tmp_path / "more.smi").write_text("\n".join([*more, "CCCCS", "CCCCCCCC"]))  # and what is no part of it
    (tmp_path / "seeds.smi").write_text((tmp_path / "seeds.smi").read_text() + "\nCCCCCC\nCCCCCO\nCCCCOC")
    config |= {"start": {"training": 14, "validation": 0, "test": 6}}
    config["domain"]["max_heavy_atoms"] = 6
    config["surrogate"] |= {
        "members": 3,
        "learning": "delta",
        "baseline": "gfn1",
        "pretraining": SECTION | {"minus": None, "file": str(tmp_path / "more.smi")},
    }
    result = Campaign(config).run()
    first, _ = load_model(result.folder / "pretrained")
    assert len(first.members) == 1  # from which all three go on
    judging = held_out(result.folder, "test", "training")
    assert result.metrics[0]["cheap_labels"] == len(set(more) - judging)
    tuned, provenance = load_model(result.folder)
    assert provenance.tier == "semi-empirical: learns on top of GFN1-xTB, learned GFN2-xTB first"
    weights = [member.state_dict()["representation.embedding.weight"] for member in tuned.members]
    assert len({tuple(one.ravel().tolist()) for one in weights}) == 3


def test_stopped_before_and_after_it_a_campaign_ends_as_if_it_never_was(
    config, tmp_path, monkeypatch
) -> None:
    def stop(*given, **named):
        raise KeyboardInterrupt

    kept = tmp_path / "run" / "pretrained" / "ensemble.json"
    for what in ("alkit.campaign.pretraining.pretrain", "surrogate.fit_surrogate"):
        assert not kept.exists()
        with monkeypatch.context() as patch:
            patch.setattr(what, stop)
            with pytest.raises(KeyboardInterrupt):
                Campaign(config).run()
    assert kept.exists()
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "pretrain", stop)  # which is not done again
        resumed = Campaign(config).run()
    whole = Campaign(config | {"folder": str(tmp_path / "whole")}).run()
    values, expected = (
        [[row[name] for name in ("mae", "rmse", "validation_mae")] for row in result.metrics]
        for result in (resumed, whole)
    )
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_too_few_molecules_are_one_sentence(config, tmp_path) -> None:
    (tmp_path / "few.smi").write_text("CCCCC\nCCCCO\n")
    config["surrogate"]["pretraining"] = SECTION | {"file": str(tmp_path / "few.smi")}
    with pytest.raises(
        CampaignError, match=r"pretraining finds \d molecules that have GFN2-xTB .*; 10 are the"
    ):
        Campaign(config).run()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"pretraining": 3}, r"pretraining is 3; it is a level such as gfn2, or {level: gfn2, …}"),
        ({"pretraining": {"minus": "gfn1"}}, "the key 'surrogate.pretraining.level' is missing"),
        ({"pretraining": {"level": "gfn2", "moleculs": 9}}, "unknown key 'surrogate.pretraining.moleculs'"),
        ({"pretraining": {"level": "gfn2", "molecules": 9}}, "greater than or equal to 10"),
        (
            {"pretraining": {"level": "gfn2", "epochs": 0}},
            "surrogate.pretraining.epochs: input should be greater",
        ),
        (
            {"pretraining": {"level": ["gfn1", "gfn2"], "minus": ["gfn2", "gfn1"]}},
            "the same, whose difference is 0",
        ),
        ({"pretraining": "gfn2", "learning": "delta"}, "is the baseline itself"),
        ({"pretraining": "gfn2", "representation": "kernel"}, "kernel is no network alone"),
        ({"pretraining": "gfn2", "mode": "2d"}, "at a geometry; use mode: 3d"),
        (
            {"pretraining": {"level": "gfn2", "file": "none.smi"}},
            "surrogate.pretraining.file: there is no file",
        ),
        ({"pretrain_molecules": 3}, "pretrain_molecules is 3; give a whole number, 10 or more"),
        ({"pretraining": "gfn1", "learning": "pretrain"}, "earlier name of pretraining: gfn2; give one"),
    ],
)
def test_a_section_that_cannot_be_is_one_sentence(changed: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_config({"name": "a", "proposer": "generator", "surrogate": changed})


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("gfn3", "no baseline 'gfn3'"),
        (["gfn1", "gfn1"], "pretraining.level names one baseline twice"),
        ({"level": "gfn2", "minus": {"kind": "gfn1", "solvent": "water"}}, "cannot be made with"),
        ({"level": ["aimnet2-b973c", "aimnet2-wb97m"], "minus": "aimnet2"}, "less itself, which is 0"),
    ],
)
def test_a_level_that_cannot_be_is_refused_before_any_label(config, section, sentence) -> None:
    config["surrogate"]["pretraining"] = section
    with pytest.raises(ConfigError, match=sentence):
        Campaign(config).check()


def test_campaigns_of_earlier_revisions_go_on() -> None:
    """They had `learning: pretrain`, always on GFN2-xTB, with as many epochs as the labels."""
    given = {"learning": "pretrain", "pretrain_molecules": 40, "epochs": 7}
    now = check_config({"name": "a", "proposer": "generator", "surrogate": given})
    assert now.surrogate.pretraining is not None
    assert (now.surrogate.pretraining.molecules, now.surrogate.pretraining.epochs) == (40, 7)
    stored = now.as_dict()
    section = {key: value for key, value in stored["surrogate"].items() if key != "pretraining"}
    earlier = stored | {"surrogate": section | given}
    assert changes(earlier, now.as_dict()) == []
    fewer = earlier | {"surrogate": earlier["surrogate"] | {"pretrain_molecules": 30}}
    assert changes(fewer, now.as_dict()) == ["surrogate.pretraining.molecules: 30 -> 40"]
    direct = stored | {"surrogate": section | {"pretrain_molecules": 1000}}
    assert changes(direct, direct | {"surrogate": section | {"pretraining": None}}) == []


def test_the_tier_follows() -> None:
    def tier(**surrogate) -> str:
        given = {"members": 3, **surrogate}
        return tier_of_campaign(check_config({"name": "a", "proposer": "generator", "surrogate": given}))

    assert tier(pretraining="gfn1") == "semi-empirical: learned GFN1-xTB first"
    said = tier(pretraining="gfn2")  # of a campaign whose labels are GFN2-xTB's
    assert said.startswith("semi-empirical: learned GFN2-xTB first; gfn2 is the labels' own method")
    ours = {"kind": "ase", "calculator": "tblite.ase:TBLite", "tier": "pretrained", "learned_from": "ours"}
    on_gfn1 = {"learning": "delta", "baseline": "gfn1"}
    said = "pretrained (ours): learns on top of GFN1-xTB, learned TBLite"
    assert tier(**on_gfn1, pretraining={"level": ours}).startswith(said)
