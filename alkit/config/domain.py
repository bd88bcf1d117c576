"""The `domain` section of the campaign file: which molecules a campaign is about."""

import math
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from alkit.config.types import PositiveInt, Section
from alkit.errors import ConfigError

Bounds = tuple[float | None, float | None]


class DomainConfig(Section):
    """Which molecules the campaign is about; anything else is rejected with the reason."""

    elements: list[str] = Field(
        ["H", "C", "N", "O", "F"], min_length=1, description="Symbols allowed, H included."
    )
    max_heavy_atoms: PositiveInt = Field(9, description="Most atoms other than hydrogen.")
    require: list[str] = Field([], description="SMARTS, in quotes; a molecule must have all of them.")
    forbid: list[str] = Field([], description="SMARTS, in quotes; a molecule must have none of them.")
    descriptors: dict[str, Bounds] = Field(
        {}, description="Ranges, such as {MW: [null, 150], QED: [0.3, 1]}; logP, SA_score, all of RDKit's."
    )
    allowed: str | None = Field(
        None, description="Own predicate, ./file.py:function: SMILES to True or False."
    )

    @model_validator(mode="after")
    def _known_elements(self) -> "DomainConfig":
        from ase.data import atomic_numbers

        if len(set(self.elements)) < len(self.elements):
            raise ValueError(f"elements {self.elements} names one twice")
        for symbol in self.elements:
            if symbol not in atomic_numbers or atomic_numbers[symbol] == 0:
                raise ValueError(f"{symbol!r} is not the symbol of an element")
        return self

    @field_validator("require", "forbid", mode="before")
    @classmethod
    def _patterns(cls, given: Any) -> Any:
        """One SMARTS, or a list of them."""
        patterns = [given] if isinstance(given, str) else given
        if not isinstance(patterns, list | tuple):
            raise ValueError(f"{given!r:.60} is no list of SMARTS")
        return [_checked_smarts(one) for one in patterns]

    @field_validator("descriptors", mode="before")
    @classmethod
    def _ranges(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError(f"{given!r:.60} is no mapping of names to [lowest, highest]")
        return {name: _checked_range(name, bounds) for name, bounds in given.items()}

    @field_validator("allowed")
    @classmethod
    def _code(cls, given: str | None) -> str | None:
        from alkit.plugins import is_code_path

        if given is not None and not is_code_path(given):
            raise ValueError("the predicate is a function in a file of yours, as ./file.py:function")
        return given

    @property
    def constrained(self) -> bool:
        """Whether more is asked for than elements and a size."""
        return bool(self.require or self.forbid or self.descriptors or self.allowed)

    @property
    def predicate(self) -> str:
        """The user's own predicate as messages name it: a word without blanks."""
        return "_".join(Path(self.allowed or "").name.split())

    def __str__(self) -> str:
        said = [", ".join(self.elements), f"up to {self.max_heavy_atoms} heavy atoms"]
        said += [f"with {one}" for one in self.require] + [f"without {one}" for one in self.forbid]
        said += [_range_as_words(name, bounds) for name, bounds in self.descriptors.items()]
        return "; ".join([*said, *([f"allowed by {self.predicate}"] if self.allowed else [])])


def _range_as_words(name: str, bounds: Bounds) -> str:
    low, high = bounds
    if low is None or high is None:
        return f"{name} ≤ {high:g}" if low is None else f"{name} ≥ {low:g}"
    return f"{name} {low:g} to {high:g}"


def _checked_smarts(given: Any) -> str:
    from rdkit import Chem, rdBase

    if not isinstance(given, str):
        hint = f"; YAML reads [ ] as a list, so put it in quotes: '[{given[0]}]'" if _listed(given) else ""
        raise ValueError(f"{given!r:.60} is no SMARTS{hint}")
    with rdBase.BlockLogs():
        pattern = None if given.split() != [given] else Chem.MolFromSmarts(given)
    if pattern is not None and pattern.GetNumAtoms():
        return given
    with rdBase.BlockLogs():
        bracketed = Chem.MolFromSmarts(f"[{given}]") if given.strip() else None
    hint = f"; YAML reads [ ] as a list, so put it in quotes: '[{given}]'" if bracketed is not None else ""
    raise ValueError(f"{given!r:.80} is not a SMARTS that RDKit can read{hint}")


def _listed(given: Any) -> bool:
    return isinstance(given, list) and len(given) == 1 and isinstance(given[0], str)


def _checked_range(name: Any, bounds: Any) -> Bounds:
    from alkit.descriptors import descriptor

    try:
        descriptor(str(name))
    except ConfigError as error:
        raise ValueError(str(error)) from None
    form = "give [lowest, highest], with null where there is no bound"
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise ValueError(f"the range of {name} is {bounds!r:.60}; {form}")
    low, high = (_bound(name, one, form) for one in bounds)
    if low is None and high is None:
        raise ValueError(f"the range of {name} has no bound; give one at least, such as [null, 5]")
    if low is not None and high is not None and low > high:
        raise ValueError(f"the range of {name} is [{low:g}, {high:g}], in which nothing lies; {form}")
    return low, high


def _bound(name: Any, given: Any, form: str) -> float | None:
    if given is None:
        return None
    try:
        number = math.nan if isinstance(given, bool) else float(given)  # YAML reads 1e-3 as text
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"the range of {name} has the bound {given!r:.40}, which is no number; {form}")
    return number
