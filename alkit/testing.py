"""Conformance kits: whether code of your own keeps the contracts that a campaign relies on.

    from alkit.testing import check_proposer

    def test_mine(tmp_path):
        check_proposer("./mine.py:MyProposer", tmp_path, hidden=32)

Each raises AssertionError with one sentence: what is broken, and what would be right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alkit import plugins
from alkit.config import Domain
from alkit.engines import LocalEngine
from alkit.enumeration import seed_molecules
from alkit.molecules import embed
from alkit.proposers import ProposalContext, adapt, proposals
from alkit.simulators import Label, SimulatorSpec, create_simulator

_LEARNED, _ASKED, _LEAST_USABLE = 300, 40, 0.1
_SAME = 1e-4  # eV, of a label computed twice


def check_proposer(given: Any, folder: Path, **settings: Any) -> list[str]:
    """A proposer proposes usable SMILES, in the number asked for, the same ones again from the same context,
    also without values and with few molecules to learn from, and with random numbers of the context alone.

    Args:
        given: a class, an object, a function, or ``./file.py:Name``.
        folder: an empty folder for files of the proposer's.
        settings: arguments of the class.

    Returns:
        What was proposed last, canonical.

    Raises:
        AssertionError: the contract is broken.
        AlkitError: it cannot be loaded, fails, or proposes something else than texts.
    """
    name = given if isinstance(given, str) else getattr(given, "__qualname__", type(given).__qualname__)
    if isinstance(given, str):
        given = plugins.load_code(given)
    molecules = tuple(seed_molecules()[:_LEARNED])
    labels = {smiles: -4.0 * len(smiles) for smiles in molecules[:50]}
    values = {smiles: float(k % 7) for k, smiles in enumerate(molecules[50:150])}
    usable: list[str] = []
    for round_, (known, worth) in enumerate([(molecules[:30], {}), (molecules, values)], start=1):
        learned = {one: value for one, value in labels.items() if one in known}
        proposed = [
            list(
                proposals(
                    adapt(given, name, settings),
                    name,
                    _ASKED,
                    ProposalContext(round_, np.random.default_rng(seed), known, learned, worth, Path(folder)),
                )
            )
            for seed in (1, 1, 2)
        ]
        told = f"{name}, round {round_} with {len(known)} molecules"
        assert proposed[0], f"{told}: nothing was proposed; about n SMILES are expected."
        assert proposed[0] == proposed[1], (
            f"{told}: the same context was answered differently the second time; draw every random number "
            "from context.rng, and take what lies in context.folder for what it may be: of a round that was "
            "killed."
        )
        assert proposed[0] != proposed[2] or len(set(proposed[0])) < 2, (
            f"{told}: another context.rng gave the same proposals; draw from context.rng."
        )
        usable = _usable(proposed[0])
        assert len(usable) >= _LEAST_USABLE * len(proposed[0]), (
            f"{told}: {len(usable)} of {len(proposed[0])} proposals are molecules that alkit can label; a "
            f"tenth at least is expected."
        )
    return usable


def check_simulator(
    kind: str, smiles: Sequence[str] = ("O", "C", "CO"), *, timeout: float = 600.0, **settings: Any
) -> list[Label]:
    """A simulator labels molecules in worker processes as a campaign would: at the level that it states, the
    same again in another process, of the molecule that was given, which it leaves as it was.

    Args:
        kind: a name, or ``./file.py:Name``.
        smiles: molecules that it must be able to label, placed by MMFF94.
        timeout: seconds for each.
        settings: its arguments.

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
            f"{kind}: {molecule.smiles} is {first.value:.6f} eV in one process and {second.value:.6f} in "
            "another; seed what is random by the molecule."
        )
        create_simulator(spec).label(molecule)
        assert np.array_equal(molecule.positions, start), (
            f"{kind}: label() moved the atoms of {molecule.smiles}; work on a copy of molecule.positions."
        )
        labels.append(first)
    return labels


def _usable(smiles: list[str]) -> list[str]:
    """Different molecules that a campaign with the default domain would let through, canonical."""
    from alkit.candidates import in_domain

    return in_domain(smiles, Domain.model_validate({}))
