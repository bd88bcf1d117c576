"""A saved surrogate with the metadata needed to use it: geometry source and level of theory."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alkit.baselines.base import BaselineSpec, specs_of
from alkit.errors import CampaignError, DataError
from alkit.files import replace_file
from alkit.molecules.molecule import GEOMETRIES
from alkit.properties import ENERGY, Quantity
from surrogate.sealing import sealed, unsealed

if TYPE_CHECKING:
    from surrogate import Surrogate

FORCES_UNIT = "eV/Å"
_FILE = "model.json"


@dataclass(frozen=True)
class Provenance:
    """How the molecules of a model get their geometry, and what its numbers are.

    Attributes:
        geometry: source of 3D geometries, the same in training and prediction.
        seed: of the embedding.
        conformers: of which ``mmff``, ``xtb`` and ``gfn2`` take the lowest.
        level: level of theory of the labels.
        labels: how many labels it has seen, validation included.
        energy: ``atomization``, as all of alkit's own energies; ``total``, of a model that was imported; or
            ``scalar``: a property that is no energy.
        target: property that it predicts; models of earlier revisions do not name it.
        unit: of its predictions.
        baselines: that it learns on top of or sees, where its settings name any.
        unseen: elements that it is built for and no label has, see `alkit.models.graphs.unseen_elements`.
        atoms: atomic numbers and eV of the isolated atoms that its labels count from, where they are known.
        tier: what it knows beside its labels, see `alkit.models.tiers`; empty: as settings and baselines say.
        forces: unit of the forces that it learned, eV/Å; empty: it learned energies alone.
    """

    geometry: str
    seed: int
    conformers: int
    level: str
    labels: int
    energy: str = "atomization"
    baselines: tuple[BaselineSpec, ...] = (BaselineSpec.of("gfn2"),)
    unseen: tuple[str, ...] = ()
    atoms: tuple[tuple[int, float], ...] = ()
    tier: str = ""
    target: str = ""
    unit: str = "eV"
    forces: str = ""

    @property
    def quantity(self) -> Quantity:
        """The meaning of its predictions, for tables and sentences."""
        return Quantity(self.target or ENERGY.name, self.unit, self.energy != "scalar")

    def check(self) -> None:
        """Check the values of a file.

        Raises:
            ValueError: values that no model has.
        """
        counts = {"seed": 0, "conformers": 1, "labels": 0}
        for name, least in counts.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value < 2**63:
                raise ValueError(f"{name} is {value!r}")
        if not isinstance(self.tier, str):
            raise ValueError(f"tier is {self.tier!r}")
        if self.forces not in ("", FORCES_UNIT):
            raise ValueError(f"forces is {self.forces!r}")
        if not isinstance(self.level, str) or self.geometry not in GEOMETRIES:
            raise ValueError(f"level is {self.level!r}, geometry {self.geometry!r}")
        if not isinstance(self.target, str) or not isinstance(self.unit, str):
            raise ValueError(f"target is {self.target!r:.60}, unit {self.unit!r:.60}")
        if self.energy not in ("atomization", "total", "scalar"):
            raise ValueError(f"energy is {self.energy!r}")
        if not all(isinstance(symbol, str) for symbol in self.unseen):
            raise ValueError(f"unseen is {self.unseen!r}")
        if not all(type(z) is int and 0 < z < 120 and math.isfinite(energy) for z, energy in self.atoms):
            raise ValueError(f"atoms are {self.atoms!r:.60}")

    @property
    def warning(self) -> str:
        """A sentence on the limits of the labels; empty if there are none."""
        if not self.unseen:
            return ""
        names = ", ".join(self.unseen)
        what = "energy" if self.energy != "scalar" else self.target
        return f"No label has {names}: the {what} of a molecule with it is a guess, its interval too narrow."

    def save(self, folder: Path) -> None:
        """Write the model's provenance into its folder, with a check sum."""
        replace_file(folder / _FILE, lambda path: _dump(path, sealed(self._as_dict())))

    def _as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"baselines": [spec.as_dict() for spec in self.baselines]}

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Provenance":
        """Read the file of `save`; models of earlier revisions know GFN2-xTB alone, and do not name it."""
        if "baselines" in values:
            values = values | {"baselines": specs_of(values["baselines"])}
        if "atoms" in values:
            values = values | {"atoms": tuple((z, float(energy)) for z, energy in values["atoms"])}
        return cls(**values | {"unseen": tuple(values.get("unseen", ()))})


def load_model(folder: Path) -> "tuple[Surrogate, Provenance]":
    """A model from its folder, or the newest of a campaign's folder.

    Raises:
        SurrogateError, CampaignError: there is none.
    """
    from surrogate import load_surrogate

    home = model_home(folder)
    ensemble = load_surrogate(home)
    try:
        provenance = Provenance.of(unsealed(json.loads((home / _FILE).read_text(encoding="utf-8"))))
        provenance.check()
        return ensemble, provenance
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise CampaignError(
            f"{home / _FILE} is missing or damaged; it says where the model's geometries come from."
        ) from None


def refuse_trained(out: Path) -> None:
    """Raise `DataError` if the folder holds a trained model; called before long work."""
    if (out / "ensemble.json").exists():
        raise DataError(f"{out} holds a trained model already; give another --out.")


def model_home(folder: Path) -> Path:
    """The folder itself, or that of the newest model in a campaign's folder."""
    description = newest(Path(folder), "model/ensemble.json")
    return description.parent if description else Path(folder)


def model_files(home: Path) -> list[Path]:
    """The files of a model, in one order."""
    parts = [home / "ensemble.json", home / _FILE, *sorted(home.rglob("*.pt")), *sorted(home.rglob("*.npz"))]
    return [path for path in parts if path.is_file()]


def newest(campaign: Path, name: str) -> Path | None:
    """The file of that name in a campaign folder's last round that has one."""
    paths = [path for path in campaign.glob(f"rounds/*/{name}") if _round(campaign, path).isdecimal()]
    return max(paths, key=lambda path: int(_round(campaign, path)), default=None)


def _round(campaign: Path, path: Path) -> str:
    return path.relative_to(campaign).parts[1]


def _dump(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2))
