"""The tier of a model: what it knows beside its labels, in words that every verdict begins with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alkit.baselines.base import BaselineSpec, create_baseline, specs_of, tier_of
from alkit.models.geometries import RELAXED_BY
from alkit.models.graphs import model_settings
from alkit.models.pretraining import Pretraining

if TYPE_CHECKING:
    from alkit.config.schema import CampaignConfig
    from alkit.models.store import Provenance
    from surrogate.settings import ModelSettings


def tier(
    settings: ModelSettings,
    baselines: Sequence[BaselineSpec],
    pretraining: Pretraining | None = None,
    geometry: str = "",
) -> str:
    """The tier of a model of these settings: that of all cheap levels it has met, and how.

    Args:
        settings: inputs, representation and baseline.
        baselines: that it learns on top of, or sees.
        pretraining: what its networks have learned first.
        geometry: where its molecules' positions come from; a method that relaxes them is one it has met.
    """
    seen = settings.baseline or set(settings.inputs) - {"chemistry", "xtb"}
    how, specs = _of_baselines(settings, baselines), list(baselines) if seen else []
    if pretraining is not None:
        less = f" less {_names(pretraining.minus)}" if pretraining.minus else ""
        how = [*how, f"learned {_names(pretraining.level)}{less} first"]
        specs += pretraining.needed
    if "xtb" in settings.inputs:
        specs.append(BaselineSpec.of("gfn2"))
    if settings.mode == "3d" and (relaxer := RELAXED_BY.get(geometry)) is not None:
        how, specs = [*how, f"sees geometries relaxed by {_names([relaxer])}"], [*specs, relaxer]
    return f"{tier_of(specs)}: {', '.join(how)}" if how else "no baseline"


def tier_of_config(config: CampaignConfig) -> str:
    """The tier of the models of a campaign."""
    section = config.surrogate
    first = Pretraining.of(section.pretraining) if section.pretraining else None
    return tier(model_settings(config), specs_of(section.baseline), first, section.geometry)


def tier_of_model(settings: ModelSettings, provenance: Provenance) -> str:
    """The tier of a saved model; those of earlier revisions do not name it."""
    return provenance.tier or tier(settings, provenance.baselines, geometry=provenance.geometry)


def _of_baselines(settings: ModelSettings, baselines: Sequence[BaselineSpec]) -> list[str]:
    if settings.baseline:
        return [f"learns on top of {_names(baselines)}"]
    if set(settings.inputs) - {"chemistry", "xtb"}:
        return [f"sees what {_names(baselines)} say of atoms"]
    return ["GFN2-xTB charges and bond orders are inputs"] if "xtb" in settings.inputs else []


def _names(specs: Sequence[BaselineSpec]) -> str:
    return " and ".join(create_baseline(spec).level.method.removesuffix(" (unrelaxed)") for spec in specs)
