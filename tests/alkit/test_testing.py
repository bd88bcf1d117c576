"""The kit for simulators passes those that keep the contract, and says what is wrong with others."""

import pytest

from alkit.errors import ConfigError
from alkit.testing import check_simulator

_BASE = """
import itertools, os
from dataclasses import replace
from alkit.simulators.xtb import XTBSimulator

class Mine(XTBSimulator):
    def __init__(self):
        super().__init__(target="energy")

    def label(self, molecule):
        label = super().label(molecule)
        {body}
"""


@pytest.mark.parametrize("kind", ["xtb", "tblite"])
def test_alkits_own_pass(kind):
    labels = check_simulator(kind, ["O", "CO"], target="energy")
    assert [label.smiles for label in labels] == ["O", "CO"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return replace(label, value=label.value + os.getpid() * 1e-2)", "in one process and"),
        ("molecule.positions[:] += 1.0; return label", "moved the atoms"),
        ("return replace(label, smiles='N')", "has no label"),
        ("return 5.0", "has no label"),
        ("raise RuntimeError('no licence')", "no licence"),
    ],
)
def test_what_is_broken_is_said(tmp_path, body, said):
    (tmp_path / "mine.py").write_text(_BASE.format(body=body))
    with pytest.raises(AssertionError, match=said):
        check_simulator(f"{tmp_path}/mine.py:Mine", ["O"])


def test_what_is_no_simulator_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text("class Mine:\n    pass\n")
    with pytest.raises(ConfigError, match="is no simulator"):
        check_simulator(f"{tmp_path}/mine.py:Mine")
