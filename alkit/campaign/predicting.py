"""Predictions of a campaign's surrogate for molecules that are handed over, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from alkit.engines.calling import calling_workers
from alkit.models.geometries import FROM_SMILES
from alkit.models.prediction import molecule_of, predict_smiles, predict_structures, table_of
from alkit.models.store import load_model
from alkit.molecules.molecule import Molecule

if TYPE_CHECKING:
    import pandas
    from ase import Atoms

    from alkit.campaign.round_state import RoundState


def predicted(state: RoundState, molecules: str | Atoms | Iterable[str | Atoms]) -> pandas.DataFrame:
    """A row for each molecule, in the order given, as `alkit predict` writes it.

    Raises:
        DataError: something that is neither a SMILES nor ASE's `Atoms`, or SMILES for a surrogate of
            geometries that a SMILES does not have.
        CampaignError: no surrogate.
    """
    ensemble, provenance = load_model(state.folder)
    listed = _listed(molecules)
    from_smiles = ensemble.settings.mode == "2d" or provenance.geometry in FROM_SMILES
    wanted = [molecule_of(one, from_smiles=from_smiles) for one in listed]
    section = state.config.simulator
    with ExitStack() as stack:
        stack.callback(state.labels.close, wait=False)
        call_all = stack.enter_context(calling_workers(section.workers, section.timeout))
        predict: Any = predict_structures if wanted and isinstance(wanted[0], Molecule) else predict_smiles
        rows = list(predict(ensemble, provenance, wanted, call_all=call_all, cache=state.labels.baselines))
    return table_of(rows, provenance)


def _listed(molecules: Any) -> Sequence[Any]:
    from ase import Atoms

    return [molecules] if isinstance(molecules, str | Atoms) else list(molecules)
