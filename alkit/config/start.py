"""The start of a campaign: the section `start` of the campaign file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from alkit.config.types import PositiveInt, Section
from alkit.config.words import Energy

_FEWEST_VALIDATION = 5


class StartLabelsConfig(Section):
    """Labels that exist already: all of them together are round 0."""

    file: Path = Field(description="Molecules with labels: .csv, .tsv, .sdf, .xyz or .extxyz.")
    column: str | None = Field(None, description="Column or property that holds them.")
    level: str | None = Field(None, description="Level of theory, where neither file nor simulator says it.")
    unit: str | None = Field(None, description="Unit of the labels, such as hartree, kcal/mol or Debye.")
    kind: Energy | None = Field(None, description="Kind of energies: atomization or total.")
    references: str | dict[str, float] | None = Field(
        None, description="Energies of isolated atoms, for total ones: a table of alkit's, or {H: -0.5}."
    )


class StartConfig(Section):
    """Molecules labelled before the first round, drawn once from the seed.

    They are random unless ``choice`` says otherwise.
    """

    training: PositiveInt = Field(100, description="Labels of the first training set.")
    validation: Annotated[int, Field(ge=0, strict=True)] = Field(
        40,
        description="Labels for early stopping and calibration; they count. 0: members leave out folds.",
    )
    test: Annotated[int, Field(ge=5, strict=True)] = Field(
        100, description="Labels of the fixed test set; never acquired from."
    )

    choice: Literal["random", "kmeans++", "integrated_variance"] = Field(
        "random",
        description="kmeans++: training molecules far from one another; integrated_variance: those that say "
        "most of all others, by the kernel.",
    )

    labels: StartLabelsConfig | None = Field(
        None,
        description="File of existing labels, in place of drawn molecules; test and validation are drawn "
        "from it, the rest trains.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        """`labels: mine.csv` is short for its `file`."""
        if isinstance(data, dict) and isinstance(data.get("labels"), str | Path):
            data = data | {"labels": {"file": data["labels"]}}
        return data

    @model_validator(mode="after")
    def _enough(self) -> "StartConfig":
        if 0 < self.validation < _FEWEST_VALIDATION:
            raise ValueError(
                f"validation is {self.validation}; give {_FEWEST_VALIDATION} or more, or 0 for members that "
                "each leave out a part of the training labels"
            )
        if self.labels and self.choice != "random":
            raise ValueError("choice says what to label, and labels are there already; leave out one of them")
        return self
