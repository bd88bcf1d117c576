"""The baselines that there are, as a table."""

from __future__ import annotations

from rich.table import Table

from alkit.baselines.base import BASELINES, GROUPS, REGISTRY, Baseline, BaselineSpec, create_baseline
from alkit.errors import ConfigError

_MANY = 10  # inputs that are counted and not named
_ASKED = {"ase": "calculator: 'module:Class'", "dataset": "property: name"}


def baselines_table() -> Table:
    """Names, tiers, what they say of atoms, and whether they can be computed here."""
    table = Table(title="baselines")
    for column in ("name", "tier", "inputs", "here"):
        table.add_column(column, overflow="fold")
    for group, parts in GROUPS.items():
        table.add_row(group, "", "", f"{' and '.join(parts)}, their mean")
    for name in BASELINES:
        cls: type[Baseline] = REGISTRY.find(name)
        seen = ", ".join((*cls.atom_inputs, *cls.pair_inputs, *_shortened(cls.whole_inputs)))
        tier = f"{cls.tier} ({cls.learned_from})" if cls.learned_from else cls.tier
        table.add_row(name, tier, seen, _here(name))
    return table


def _shortened(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, or how many there are of one kind."""
    return (f"{len(names)} {names[0].split()[0]} numbers",) if len(names) > _MANY else names


def _here(name: str) -> str:
    if name in _ASKED:
        return f"{{kind: {name}, {_ASKED[name]}}}"
    try:
        return f"yes; {create_baseline(BaselineSpec.of(name)).version}"
    except ConfigError as error:
        return f"no: {error}"
