"""A saved surrogate as a table goes in and a table comes out: what MLflow loads and serves."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alkit.errors import DataError
from alkit.models.geometries import FROM_SMILES
from alkit.models.prediction import (
    molecule_of,
    predict_smiles,
    predict_structures,
    prediction_columns,
    table_of,
)
from alkit.models.store import load_model
from alkit.models.tiers import tier_of_model

if TYPE_CHECKING:
    import pandas

_SMILES, _STRUCTURE = "smiles", "structure"
_METHANE = """5

C 0.000 0.000 0.000
H 0.629 0.629 0.629
H -0.629 -0.629 0.629
H -0.629 0.629 -0.629
H 0.629 -0.629 -0.629
"""


def _load_pyfunc(path: str) -> Served:
    """The name and form are MLflow's."""
    return Served(Path(path))


class Served:
    """A surrogate that predicts the rows of a table.

    Args:
        folder: of the saved model.

    Attributes:
        level: of theory of its labels.
        tier: what it knows beside its labels.
        labels: how many it has seen.
        inputs: the column that it needs, with MLflow's name of its type. It is ``smiles``, or ``structure``,
            the text of an XYZ file (Å), for geometries that a SMILES does not give.
        outputs: the columns that it gives.
    """

    def __init__(self, folder: Path):
        self._ensemble, self._provenance = load_model(folder)
        self.level, self.labels = self._provenance.level, self._provenance.labels
        self.tier = tier_of_model(self._ensemble.settings, self._provenance)
        self._from_smiles = self._ensemble.settings.mode == "2d" or self._provenance.geometry in FROM_SMILES
        self.inputs = {_SMILES if self._from_smiles else _STRUCTURE: "string"}
        texts = (_SMILES, "reason", "level")
        names = [_SMILES, *prediction_columns(self._provenance), "level"]
        self.outputs = {name: "string" if name in texts else "double" for name in names}

    def example(self) -> pandas.DataFrame:
        """A table that it can predict."""
        import pandas

        return pandas.DataFrame({name: ["C" if name == _SMILES else _METHANE] for name in self.inputs})

    def predict(self, table: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        """A row for each row, as `alkit predict` writes it, with the level of theory beside it.

        Raises:
            DataError: the column that it needs is not there.
        """
        (column,) = self.inputs
        if column not in table:
            raise DataError(f"The model needs a column {column!r}; the table has {', '.join(table.columns)}.")
        given = [str(one) for one in table[column]]
        if self._from_smiles:
            rows = predict_smiles(self._ensemble, self._provenance, given)
        else:
            molecules: Any = (molecule_of(_structure(one), from_smiles=False) for one in given)
            rows = predict_structures(self._ensemble, self._provenance, molecules)
        return table_of(rows, self._provenance).assign(level=self.level)


def _structure(text: str) -> Any:
    from ase.io import read

    try:
        return read(StringIO(text), format="extxyz")
    except Exception as error:  # ASE raises whatever its parser meets
        raise DataError(f"{text[:40]!r} … is not the text of an XYZ file ({error}).") from error
