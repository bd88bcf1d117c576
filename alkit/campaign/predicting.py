"""Predictions of a campaign's surrogate for molecules that are handed over, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from alkit.engines.calling import calling_workers
from alkit.errors import DataError
from alkit.models.geometries import FROM_SMILES
from alkit.models.prediction import columns_of, predict_smiles, predict_structures
from alkit.models.store import load_model
from alkit.molecules.molecule import Molecule

if TYPE_CHECKING:
    import pandas
    from ase import Atoms

    from alkit.campaign.round_state import RoundState

_NUMBERS = ("mean", "std", "low", "high")


def predicted(state: RoundState, molecules: str | Atoms | Iterable[str | Atoms]) -> pandas.DataFrame:
    """A row for each molecule, in the order given, as `alkit predict` writes it.

    Raises:
        DataError: something that is neither a SMILES nor ASE's `Atoms`, or SMILES for a surrogate of
            geometries that a SMILES does not have.
        CampaignError: no surrogate.
    """
    import pandas

    ensemble, provenance = load_model(state.folder)
    listed = _listed(molecules)
    from_smiles = ensemble.settings.mode == "2d" or provenance.geometry in FROM_SMILES
    wanted = [_wanted(one, from_smiles=from_smiles) for one in listed]
    section = state.config.simulator
    with ExitStack() as stack:
        stack.callback(state.labels.close, wait=False)
        call_all = stack.enter_context(calling_workers(section.workers, section.timeout))
        predict: Any = predict_structures if wanted and isinstance(wanted[0], Molecule) else predict_smiles
        rows = list(predict(ensemble, provenance, wanted, call_all=call_all, cache=state.labels.baselines))
    columns: dict[str, Any] = {"smiles": [row.smiles for row in rows]}
    for name, column in zip(_NUMBERS, columns_of(provenance.quantity), strict=True):
        # Not a number where there is none.
        columns[column] = pandas.Series([getattr(row, name) for row in rows], dtype=float)
    columns["reason"] = [row.reason for row in rows]
    if provenance.atoms:
        columns["total_eV"] = pandas.Series([row.total for row in rows], dtype=float)
    return pandas.DataFrame(columns)


def _listed(molecules: Any) -> Sequence[Any]:
    from ase import Atoms

    return [molecules] if isinstance(molecules, str | Atoms) else list(molecules)


def _wanted(given: Any, *, from_smiles: bool) -> str | Molecule:
    """A SMILES, or a molecule in a geometry of its own, as the surrogate needs it."""
    from ase import Atoms

    from alkit.datasets.structures import perceived_smiles

    if isinstance(given, str):
        return given
    if not isinstance(given, Atoms):
        raise DataError(f"{type(given).__name__} is neither a SMILES nor ASE's Atoms; give one of them.")
    formula = given.get_chemical_formula()
    smiles = perceived_smiles(given.numbers, given.positions)
    if not from_smiles:
        return Molecule(smiles or formula, given.numbers, given.positions, "given")
    if smiles is None:
        raise DataError(f"RDKit finds no bonds in the geometry of {formula}; give its SMILES.")
    return smiles
