"""Settings that would take labels off a campaign's way to chemical accuracy, and those that would not."""

from collections.abc import Mapping, Sequence
from typing import Any

from alkit.config.schema import CampaignConfig
from alkit.properties import is_energy
from alkit.units import CHEMICAL_ACCURACY

_METHODS = {"GFN1-xTB": "gfn1", "GFN2-xTB": "gfn2"}
_OWN = {"xtb": "GFN2-xTB", "tblite": "GFN2-xTB"}  # method of a simulator that does not name one
_KERNEL_UP_TO = 1000  # labels


def label_method(config: CampaignConfig) -> str:
    """The baseline that is the labels' own method, by name; empty if none is."""
    section = config.simulator
    method = section.settings.get("method", _OWN.get(section.kind, ""))
    return _METHODS.get(str(method), "")


def near_label(config: CampaignConfig) -> str:
    """Says that a baseline, or what is learned first, is the labels' own method; empty otherwise."""
    own, surrogate = label_method(config), config.surrogate
    used = {str(one["kind"]) for one in surrogate.baseline} if surrogate.learning == "delta" else set()
    if surrogate.pretraining is not None:
        used |= {str(one["kind"]) for one in surrogate.pretraining.level}
    if own in used:
        return f"{own} is the labels' own method, at another geometry: it is nearly the label itself"
    return ""


def missing_lever(config: CampaignConfig, metrics: Sequence[Mapping[str, Any]]) -> str:
    """The setting that would lower the campaign's error most and is not used, in a sentence.

    Empty where the campaign has reached its aim, uses all, or learns something else than energies. Measured
    in docs/decisions/024.
    """
    surrogate = config.surrogate
    aim = config.stop.target_mae or CHEMICAL_ACCURACY
    if not metrics or metrics[-1]["mae"] <= aim or not is_energy(config.target):
        return ""
    if surrogate.mode == "2d":
        return "What is missing: a geometry (surrogate.mode: 3d), and a baseline on it."
    keys: dict[str, str] = {}
    if surrogate.learning != "delta":
        keys |= {"surrogate.learning": "delta", "surrogate.baseline": _cheaper_than(label_method(config))}
    if not surrogate.baseline_inputs:
        keys |= {"surrogate.baseline_inputs": "true"}
    if surrogate.representation in ("schnet", "painn") and metrics[-1]["labels"] <= _KERNEL_UP_TO:
        keys |= {"surrogate.representation": "kernel"}
        if surrogate.pretraining is not None:
            keys |= {"surrogate.pretraining": "null"}  # a kernel has no weights to go on from
        if config.start.validation:
            keys |= {"start.validation": "0"}  # a kernel sets no labels apart
    if not keys:
        return ""
    said = " ".join(f"--set {key}={value}" for key, value in keys.items())
    why = "a baseline" if "surrogate.learning" in keys else "more of what the baseline says"
    return f"What is missing: {why}. In a new folder, try {said} (docs/how_to/delta_and_baselines.md)."


def _cheaper_than(own: str) -> str:
    """A baseline for labels of one's own level: never the labels' method itself."""
    return {"gfn2": "gfn1", "gfn1": "gfn2"}.get(own, "[gfn1,gfn2]")
