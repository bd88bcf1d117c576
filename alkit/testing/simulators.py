"""The conformance kit of simulators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alkit.engines import LocalEngine
from alkit.molecules.conformers import embed
from alkit.simulators import Label, SimulatorSpec, create_simulator

_SAME = 1e-4  # in the unit of a label that is computed twice


def check_simulator(
    kind: str, smiles: Sequence[str] = ("O", "C", "CO"), *, timeout: float = 600.0, **settings: Any
) -> list[Label]:
    """Check the contract of a simulator.

    It labels molecules in worker processes as a campaign would, at the level that it states. Another process
    gives the same label. The label is of the molecule that was given, and the simulator leaves that molecule
    as it was.

    Args:
        kind: a name, or ``./file.py:Name``.
        smiles: molecules that it must be able to label, placed by MMFF94.
        timeout: seconds for each.
        **settings: its arguments.

    Returns:
        The labels.

    Raises:
        AssertionError: the contract is broken, or a molecule has no label.
        AlkitError: it cannot be loaded, or is no simulator.
    """
    spec = SimulatorSpec(kind, settings)
    level = create_simulator(spec).level
    assert level == create_simulator(spec).level, f"{kind}: two of them state different levels of theory."
    molecules = [embed(one) for one in smiles]
    before = [molecule.positions.copy() for molecule in molecules]
    runs = []
    for _ in range(2):
        with LocalEngine(spec, workers=1, timeout=timeout) as engine:
            runs.append({molecule.smiles: found for molecule, found in engine.label_all(molecules)})
    labels: list[Label] = []
    for molecule, start in zip(molecules, before, strict=True):
        first, second = (run[molecule.smiles] for run in runs)
        hint = f"{kind}: {molecule.smiles} has no label; give molecules that it can do."
        assert isinstance(first, Label), f"{hint} {first}"
        assert isinstance(second, Label), f"{hint} {second}"
        assert abs(first.value - second.value) < _SAME, (
            f"{kind}: {molecule.smiles} is {first.value:.6f} {first.level.unit} in one process and "
            f"{second.value:.6f} in another; seed what is random by the molecule."
        )
        create_simulator(spec).label(molecule)
        assert np.array_equal(molecule.positions, start), (
            f"{kind}: label() moved the atoms of {molecule.smiles}; work on a copy of molecule.positions."
        )
        labels.append(first)
    return labels
