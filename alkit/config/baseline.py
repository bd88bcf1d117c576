"""Baselines as a campaign file names them, and the pretraining on such cheap energies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from alkit.config.types import PositiveInt, Section
from surrogate.settings import TrainingSettings

EARLIER, EARLIER_MOLECULES = "pretrain", "pretrain_molecules"
"""A value of `surrogate.learning` and a key beside it in earlier revisions."""
_FEWEST = 10


def listed(given: Any) -> Any:
    """A list of mappings with a ``kind`` each; a name, or a list of names, is short for that."""
    parts = given if isinstance(given, list | tuple) else [given]
    found = [{"kind": one} if isinstance(one, str) else one for one in parts]
    if not found or not all(isinstance(one, dict) and isinstance(one.get("kind"), str) for one in found):
        raise ValueError(
            f"the baseline is {given!r:.60}; it is a name such as gfn2, {{kind: ase, calculator: "
            "'module:Class'}, or a list of such"
        )
    return tuple(found)


Baselines = Annotated[tuple[dict[str, Any], ...], BeforeValidator(listed)]


class PretrainingConfig(Section):
    """Cheap energies that networks learn before the labels: a level of theory, or a difference of two.

    They are no labels and are not counted as such.
    """

    level: Baselines = Field(
        description="Learned first: gfn2, aimnet2 or another baseline; a list: their mean."
    )
    minus: Baselines | None = Field(
        None,
        description="Less this; null: less the baseline of learning: delta, if any.",
    )
    molecules: Annotated[int, Field(ge=_FEWEST, strict=True)] = Field(
        1000, description="Molecules, at most, drawn at random; none that tests, validates or calibrates."
    )
    file: Path | None = Field(None, description="SMILES file they are drawn from; null: seeds and pools.")
    epochs: Annotated[PositiveInt, Field(le=10**6)] = Field(50, description="Epochs, at most.")

    @model_validator(mode="after")
    def _something(self) -> PretrainingConfig:
        if self.minus is not None and _same(self.level, self.minus):
            raise ValueError("level and minus are the same, whose difference is 0; give two levels")
        return self

    def check_surrogate(self, mode: str, representation: str, baseline: Sequence[dict[str, Any]]) -> None:
        """Check that the surrogate can learn from cheap energies.

        Args:
            mode: 2d or 3d.
            representation: of the surrogate.
            baseline: that it learns on top of; empty: none.

        Raises:
            ValueError: it cannot.
        """
        if representation not in ("schnet", "painn"):
            raise ValueError(f"pretraining is for schnet and painn; {representation} is no network alone")
        if mode == "2d":
            raise ValueError("pretraining takes its cheap energies at a geometry; use mode: 3d")
        if self.minus is None and _same(self.level, baseline):
            raise ValueError(
                "pretraining.level is the baseline itself, on top of which nothing of it is left to learn; "
                "give another level, or pretraining.minus"
            )


def _same(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> bool:
    return all(part in other for part in one) and all(part in one for part in other)


def pretraining_of(given: Any) -> Any:
    """``pretraining: gfn2``, or a list of names, is short for its ``level``."""
    if isinstance(given, str | list | tuple):
        return {"level": given}
    if given is not None and not isinstance(given, dict | PretrainingConfig):
        raise ValueError(f"pretraining is {given!r:.40}; it is a level such as gfn2, or {{level: gfn2, …}}")
    return given


def renamed(section: dict[str, Any]) -> dict[str, Any]:
    """Read a ``surrogate`` section of earlier revisions.

    ``learning: pretrain`` and ``pretrain_molecules`` become the ``pretraining`` that they stand for.
    """
    section = dict(section)
    molecules = section.pop(EARLIER_MOLECULES, 1000)
    if isinstance(molecules, bool) or not isinstance(molecules, int) or molecules < _FEWEST:
        raise ValueError(f"{EARLIER_MOLECULES} is {molecules!r:.40}; give a whole number, {_FEWEST} or more")
    if section.get("learning") != EARLIER:
        return section
    if section.get("pretraining") is not None:
        raise ValueError("learning: pretrain is the earlier name of pretraining: gfn2; give one of them")
    meant = {"level": [{"kind": "gfn2"}], "minus": None, "molecules": molecules, "file": None}
    meant["epochs"] = section.get("epochs", TrainingSettings().epochs)
    return section | {"learning": "direct", "pretraining": meant}
