"""The simulators that the docs show can be made as they stand."""

import re
from pathlib import Path

import pytest
import yaml
from ase.calculators.calculator import SCFError

from alkit.errors import LabelError
from alkit.molecules.conformers import embed
from alkit.simulators import SimulatorSpec, create_simulator

ROOT = Path(__file__).parents[3]
PAGES = ("reference/simulators.md", "how_to/own_simulator.md")
TEXT = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES)
BLOCKS = [block for block in re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.S) if "./mine.py" not in block]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_simulators_of_the_docs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xtb.ase.calculator", reason="xtb has no wheel for this Python")
    pytest.importorskip("tblite.ase", reason="tblite is an extra")
    monkeypatch.chdir(ROOT)
    assert create_simulator(SimulatorSpec(**yaml.safe_load(block)["simulator"])).level.unit == "eV"


def test_a_free_atom_of_the_example_that_fails_is_the_elements_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = f"{ROOT / 'examples' / 'pyscf_b3lyp.py'}:B3LYP"
    simulator = create_simulator(SimulatorSpec(kind, {"target": "energy"}))

    def fails(*_: object, **__: object) -> None:
        raise SCFError("SCF not converged in 100 iterations")

    monkeypatch.setattr(type(simulator.new_calculator()), "calculate", fails)
    with pytest.raises(LabelError, match=r"free atom.*not converged") as failure:
        simulator.label(embed("O", seed=0))
    assert failure.value.reason == "unsupported_element"


def test_the_pyscf_example_computes() -> None:
    pytest.importorskip("pyscf", reason="pyscf is the example's, not alkit's")
    kind = f"{ROOT / 'examples' / 'pyscf_b3lyp.py'}:B3LYP"
    simulator = create_simulator(SimulatorSpec(kind, {"target": "energy", "basis": "6-31g(d,p)"}))
    # H2 at B3LYP is bound by 4.7 eV, in a small basis by a little more or less.
    assert simulator.label(embed("[H][H]", geometry="etkdg", seed=0)).value == pytest.approx(-4.7, abs=0.3)
    assert str(simulator.level) == "B3LYP/6-31G(d,p) (Cartesian) energy [eV]"
