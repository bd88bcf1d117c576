"""A trained surrogate on disk, with what its right use needs: geometry source and level of theory."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from alkit.errors import CampaignError, DataError, LabelError
from alkit.files import replace_file
from alkit.inputs import build_graph, needs_single_point
from alkit.molecules.molecule import GEOMETRIES, Molecule, canonical
from alkit.placing import FROM_SMILES, place
from alkit.simulators.single_point import single_point

if TYPE_CHECKING:
    from surrogate import Ensemble, Graph

_FILE = "model.json"
CHUNK = 512  # molecules that are predicted at a time


@dataclass(frozen=True)
class Provenance:
    """How the molecules of a model get their geometry, and what its numbers are.

    Attributes:
        geometry: source of 3D geometries, the same in training and prediction.
        seed: of the embedding.
        conformers: of which ``mmff`` and ``xtb`` take the lowest.
        level: level of theory of the labels.
        labels: how many labels it has seen, validation included.
        energy: ``atomization``, as all of alkit's own; or ``total``, of a model that was imported.
    """

    geometry: str
    seed: int
    conformers: int
    level: str
    labels: int
    energy: str = "atomization"

    def check(self) -> None:
        """Raises ValueError for values that no model has."""
        counts = {"seed": 0, "conformers": 1, "labels": 0}
        for name, least in counts.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value < 2**63:
                raise ValueError(f"{name} is {value!r}")
        if not isinstance(self.level, str) or self.geometry not in GEOMETRIES:
            raise ValueError(f"level is {self.level!r}, geometry {self.geometry!r}")
        if self.energy not in ("atomization", "total"):
            raise ValueError(f"energy is {self.energy!r}")

    def save(self, folder: Path) -> None:
        replace_file(folder / _FILE, lambda path: _dump(path, asdict(self)))


@dataclass(frozen=True)
class PredictionRow:
    """Prediction for one molecule in eV with its 90 % interval, or the reason why there is none."""

    smiles: str
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def load_model(folder: Path) -> "tuple[Ensemble, Provenance]":
    """A model from its folder, or the newest of a campaign's folder.

    Raises:
        SurrogateError, CampaignError: there is none.
    """
    from surrogate import Ensemble

    home = model_home(folder)
    ensemble = Ensemble.load(home)
    try:
        provenance = Provenance(**json.loads((home / _FILE).read_text(encoding="utf-8")))
        provenance.check()
        return ensemble, provenance
    except (OSError, ValueError, TypeError, RecursionError):
        raise CampaignError(
            f"{home / _FILE} is missing or damaged; it says where the model's geometries come from."
        ) from None


def refuse_trained(out: Path) -> None:
    """Raise `DataError` if the folder holds a trained model; called before long work."""
    if (out / "ensemble.json").exists():
        raise DataError(f"{out} holds a trained model already; give another --out.")


def model_home(folder: Path) -> Path:
    """The folder itself, or that of the newest model in a campaign's folder."""
    found = newest(Path(folder), "model/ensemble.json")
    return found.parent if found else Path(folder)


def model_files(home: Path) -> list[Path]:
    """What a model consists of, in one order."""
    parts = [home / "ensemble.json", home / _FILE, *sorted(home.glob("*.pt"))]
    return [path for path in parts if path.is_file()]


def newest(campaign: Path, name: str) -> Path | None:
    """The file of that name in a campaign folder's last round that has one."""
    found = [path for path in campaign.glob(f"rounds/*/{name}") if _round(campaign, path).isdecimal()]
    return max(found, key=lambda path: int(_round(campaign, path)), default=None)


def _round(campaign: Path, path: Path) -> str:
    return path.relative_to(campaign).parts[1]


def predict_smiles(
    ensemble: "Ensemble",
    provenance: Provenance,
    smiles: Iterable[str],
    *,
    on_molecule: Callable[[int], None] | None = None,
) -> Iterator[PredictionRow]:
    """Predictions in the order given, a chunk at a time, so that memory does not grow with the list.

    Raises:
        DataError: the model needs geometries that a SMILES cannot give.
    """
    if ensemble.settings.mode == "3d" and provenance.geometry not in FROM_SMILES:
        raise DataError(
            f"The model was trained on {provenance.geometry} geometries, which a SMILES does not have; give "
            "structures (.xyz, .extxyz, .db), or train one with geometry mmff, etkdg or xtb, or in 2d mode."
        )
    yield from _predict(ensemble, provenance, smiles, on_molecule)


def predict_structures(
    ensemble: "Ensemble",
    provenance: Provenance,
    structures: Iterable[Molecule],
    *,
    on_molecule: Callable[[int], None] | None = None,
) -> Iterator[PredictionRow]:
    """The same in geometries of one's own, which must be of the kind that the model was trained on.

    Raises:
        DataError: the model makes its geometries from SMILES, or sees none.
    """
    if ensemble.settings.mode == "2d" or provenance.geometry in FROM_SMILES:
        seen = "SMILES alone" if ensemble.settings.mode == "2d" else f"{provenance.geometry} geometries"
        raise DataError(f"The model was trained on {seen}; give a file of SMILES, not of structures.")
    yield from _predict(ensemble, provenance, structures, on_molecule)


def _predict(
    ensemble: "Ensemble",
    provenance: Provenance,
    molecules: Iterable[str | Molecule],
    on_molecule: Callable[[int], None] | None,
) -> Iterator[PredictionRow]:
    source = iter(molecules)
    while chunk := list(islice(source, CHUNK)):
        yield from _predict_chunk(ensemble, provenance, chunk, on_molecule)


def _predict_chunk(
    ensemble: "Ensemble",
    provenance: Provenance,
    chunk: list[str | Molecule],
    on_molecule: Callable[[int], None] | None,
) -> list[PredictionRow]:
    from surrogate import SurrogateError

    graphs, rows = [], []
    for one in chunk:
        name = one.smiles if isinstance(one, Molecule) else one
        try:
            name = one.smiles if isinstance(one, Molecule) else canonical(one)
            graph = _graph(ensemble, provenance, one if isinstance(one, Molecule) else name)
            ensemble.references([graph])  # refuses an element that the model was not built for
            graphs.append(graph)
            rows.append(PredictionRow(name))
        except LabelError as error:
            rows.append(PredictionRow(name, reason=error.reason))
        except (DataError, SurrogateError) as error:
            rows.append(PredictionRow(name, reason=str(error)))
        if on_molecule:
            on_molecule(1)
    predicted = ensemble.predict(graphs)
    numbers = (predicted.mean, predicted.std, *predicted.interval(0.9))
    values = iter(zip(*(column.tolist() for column in numbers), strict=True))
    return [row if row.reason else PredictionRow(row.smiles, *next(values)) for row in rows]


def _graph(ensemble: "Ensemble", provenance: Provenance, one: str | Molecule) -> "Graph":
    """Of a molecule in its geometry, or of a canonical SMILES."""
    settings = ensemble.settings
    if isinstance(one, Molecule):
        placed = one
    elif settings.mode == "2d":
        return build_graph(settings, one, None)
    else:
        placed = place(
            one, geometry=provenance.geometry, seed=provenance.seed, conformers=provenance.conformers
        )
    needed = needs_single_point(settings)
    found = single_point(placed.numbers, placed.positions, smiles=placed.smiles) if needed else None
    return build_graph(settings, placed.smiles, placed, found)


def _dump(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2))
