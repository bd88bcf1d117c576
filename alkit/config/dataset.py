"""The part of a campaign file about a data set that is no database of alkit yet."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from alkit.config.types import Section


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class DatasetOptions(Section):
    """How `dataset: {file: …}` is read: as `alkit data import` reads it, with the same words."""

    property: Texts = Field((), description="COLUMN=NAME: a number of the file, and what it is: E=u0.")
    unit: Texts = Field((), description="Unit of all numbers, or NAME=UNIT of one.")
    kind: Texts = Field((), description="total, atomization, extensive or intensive; or NAME=KIND.")
    level: Texts = Field((), description="Level of theory; or NAME=LEVEL.")
    references: str | None = Field(
        None, description="Atoms of total energies: QM9, GFN2-xTB, a JSON file, or fit."
    )
    length: Literal["angstrom", "bohr"] = Field("angstrom", description="Unit of positions.")
    smiles_column: str | None = Field(None, description="Column of a table.")
    delimiter: str | None = Field(None, description="Delimiter of a table.")
    groups: str = Field("", description="Only groups like this of an HDF5 file.")
    conformers: Literal["all", "lowest"] = Field("lowest", description="Which of a molecule's geometries.")
    skip_bad: bool = Field(False, description="Leave out rows that cannot be used.")


def apart(data: dict[str, Any]) -> dict[str, Any]:
    """`dataset: {file: mine.csv, unit: hartree, …}` as a path and `dataset_options`.

    Raises:
        ValueError: no file, or options in two places.
    """
    given = data.get("dataset")
    if not isinstance(given, dict):
        return data
    if not isinstance(given.get("file"), str) or data.get("dataset_options"):
        raise ValueError("dataset is a database, or {file: mine.csv, property: E=u0, unit: hartree, …}")
    options = {key: value for key, value in given.items() if key != "file"}
    return data | {"dataset": given["file"], "dataset_options": options}
