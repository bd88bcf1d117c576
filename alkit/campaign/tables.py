"""A campaign as tables, for notebooks: what it has found so far, read from its folder. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from alkit.campaign.acquiring import question
from alkit.campaign.folder import open_campaign
from alkit.campaign.predictions import read_predictions
from alkit.campaign.result import Result
from alkit.config.schema import CampaignConfig
from alkit.errors import CampaignError
from alkit.models.store import load_model, newest
from alkit.properties import column
from alkit.reporting import terminal_tables, verdicts
from alkit.reporting.notebook import page
from alkit.storage import ledger_export
from alkit.storage.ledger import Ledger
from alkit.storage.round_files import PREDICTIONS_FILE
from alkit.storage.words import Role

if TYPE_CHECKING:
    import pandas
    from ase import Atoms

    from alkit.campaign.round_state import RoundState
    from surrogate import Surrogate

_ROLES: tuple[Role, ...] = ("training", "validation", "test")


class CampaignTables:
    """Tables of a campaign. In a ``with`` block its ledger is opened, and checked, once."""

    config: CampaignConfig
    folder: Path

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        del self._stack
        self.__dict__.pop("_open", None)

    def results(self) -> pandas.DataFrame:
        """A row for every round: labels, errors on the test set and calibration."""
        with self._reading() as ledger:
            return Result(self.folder, "", ledger.metrics()).frame()

    def candidates(self) -> pandas.DataFrame:
        """A row for every candidate, in the order of proposal, with its fate and the reason.

        The columns are those of `alkit campaign ledger --out` (docs/reference/ledger.md).
        """
        import pandas

        with self._reading() as ledger:
            return pandas.DataFrame(list(ledger_export.rows(ledger)))

    def labels(self) -> pandas.DataFrame:
        """A row for every label.

        It has round, role, smiles, the value in a column such as ``u0_eV``, the method, and the label's
        geometry (ASE's `Atoms`, Å).
        """
        import pandas
        from ase import Atoms

        rows = []
        with self._reading() as ledger:
            level = ledger.level
            labelled = [row[0] for role in _ROLES for row in ledger.labelled(role)] if level else []
            for one in sorted(labelled, key=lambda candidate: candidate.id):
                label = ledger.label(one.smiles, level) if level else None
                if label is None or level is None:
                    continue
                row: dict[str, Any] = {"round": one.round, "role": one.role, "smiles": one.smiles}
                row |= {column(level.property, level.unit): label.value, "method": level.method}
                rows.append(row | {"atoms": Atoms(label.numbers, label.positions)})
        return pandas.DataFrame(rows)

    @property
    def model(self) -> Surrogate:
        """The surrogate of the last round that trained one.

        Raises:
            CampaignError: there is none yet.
        """
        self._check_trained()
        return load_model(self.folder)[0]

    def predict(self, molecules: str | Atoms | Iterable[str | Atoms]) -> pandas.DataFrame:
        """Predictions of the last round's surrogate.

        Args:
            molecules: SMILES or ASE's `Atoms`. A surrogate that makes its geometries from SMILES takes the
                molecule that RDKit perceives in the atoms; one of given geometries takes them as they are.

        Returns:
            smiles, prediction_eV, std_eV, low_90_eV and high_90_eV (or in the unit of the labels), and the
            reason where there is none; total_eV where the surrogate knows the energies of isolated atoms.

        Raises:
            CampaignError: no round has trained a surrogate yet.
            DataError: neither of them, no bonds perceived, or SMILES for a surrogate of given geometries.
        """
        from alkit.campaign.predicting import predicted

        self._check_trained()
        with self._reading() as ledger:
            return predicted(self._state(ledger), molecules)

    def acquisition_values(self, round_: int | None = None) -> pandas.DataFrame:
        """The worth of a round's candidates to the acquisition function, and which were acquired.

        Args:
            round_: from 1; the last one with predictions by default.

        Returns:
            smiles, prediction_eV, std_eV (or in the unit of the labels), value (higher is better; no number
            where the function chooses whole batches and gives no values), acquired; the most valuable first.

        Raises:
            CampaignError: no predictions of that round.
            AcquisitionError: the function fails.
        """
        import pandas

        with self._reading() as ledger:
            state = self._state(ledger)
            state.round = self._predicted_round() if round_ is None else round_
            if not state.path(PREDICTIONS_FILE).is_file():
                raise CampaignError(f"{self.folder} has no predictions of round {state.round}.")
            asked = question(state, read_predictions(state))
            score = getattr(state.acquisition, "score", None)
            values = np.full(len(asked.pool), np.nan)
            if score is not None and len(asked.pool):
                values = np.asarray(score(asked.pool, asked.context), dtype=np.float64)
            quantity = ledger.quantity
            fates = [asked.screened[k].status for k in asked.offered]
        frame = pandas.DataFrame(
            {
                "smiles": asked.pool.smiles,
                quantity.column("prediction"): asked.pool.mean,
                quantity.column("std"): asked.pool.std,
                "value": values,
                "acquired": [fate in ("acquired", "labelled", "failed") for fate in fates],
            }
        )
        return frame.sort_values("value", ascending=False, kind="stable", ignore_index=True)

    def _repr_html_(self) -> str:
        if not (self.folder / "ledger.sqlite").is_file():
            return page(self.config.name, Result(self.folder, "", []).frame(), "It has not begun.")
        with self._reading() as ledger:
            said = [terminal_tables.status(ledger, self.config)]
            if metrics := ledger.metrics():
                on = verdicts.tier_of_campaign(self.config)
                said.append(verdicts.campaign_verdict(metrics, on, ledger.quantity))
            return page(self.config.name, Result(self.folder, "", metrics).frame(), *said)

    @contextmanager
    def _reading(self) -> Iterator[Ledger]:
        """The ledger, to read; one for the whole of a ``with`` block."""
        if "_stack" not in self.__dict__:
            with closing(open_campaign(self.folder)[1]) as ledger:
                yield ledger
            return
        if "_open" not in self.__dict__:
            self._open = self._stack.enter_context(closing(open_campaign(self.folder)[1]))
        yield self._open

    def _state(self, ledger: Ledger) -> RoundState:
        raise NotImplementedError

    def _predicted_round(self) -> int:
        path = newest(self.folder, PREDICTIONS_FILE)
        return int(path.parent.name) if path else 1

    def _check_trained(self) -> None:
        if newest(self.folder, "model/ensemble.json") is None:
            raise CampaignError(f"{self.folder} has no trained surrogate yet; run its first round.")
