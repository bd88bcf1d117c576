"""Models to and from plain schnetpack, as the commands `alkit export` and `alkit import` do it."""

from __future__ import annotations

from pathlib import Path

from alkit.datasets.references import atom_energies
from alkit.errors import DataError
from alkit.files import refuse_existing, replace_file
from alkit.models.store import Provenance, load_model, refuse_trained
from alkit.molecules.conformers import CONFORMERS
from alkit.molecules.energies import unit_of


def export_model(model: Path, out: Path, *, member: int, absolute: bool) -> str:
    """Write a member as schnetpack's ``best_model``; returns what its energies (eV) are.

    Raises:
        DataError: the file exists, or ``absolute`` without a table of atom energies or of total ones.
        SurrogateError: a model that plain schnetpack cannot express.
    """
    import torch

    from surrogate import Ensemble, to_schnetpack

    refuse_existing(out)
    ensemble, provenance = load_model(model)
    if absolute and provenance.energy == "total":
        raise DataError(f"The energies of {model} are total ones already; leave out --absolute.")
    if not provenance.quantity.energy:
        raise DataError(
            f"{model} predicts {provenance.quantity}; only energies are written for schnetpack, whose models "
            "have forces."
        )
    if not isinstance(ensemble, Ensemble):
        raise DataError(
            f"{model} is a {ensemble.settings.representation}; only networks can be written for schnetpack."
        )
    atoms = dict(provenance.atoms) or (atom_energies(provenance.level) if absolute else {})
    energies = atoms if absolute else None
    potential = to_schnetpack(ensemble, member=member, atom_energies=energies)
    replace_file(out, lambda path: torch.save(potential, path))
    kind = "total" if absolute else provenance.energy
    return f"{kind} energy in eV ({provenance.level})"


def import_models(
    checkpoints: list[Path],
    out: Path,
    *,
    unit: str,
    level: str,
    energy: str,
    elements: list[str],
    geometry: str,
) -> int:
    """Write plain schnetpack models as an ensemble of alkit; returns the number of its members.

    Args:
        checkpoints: schnetpack's ``best_model`` files, one a member.
        out: folder for the model; it must not hold one.
        unit: of the models' energies.
        level: of theory of the models' energies.
        energy: ``atomization`` or ``total``; alkit's own are the former, and the two never mix.
        elements: symbols of the elements that the models know.
        geometry: that the models see, such as mmff.

    Raises:
        DataError: the folder holds a model, or an unknown unit.
        SurrogateError: files that hold something else.
    """
    from surrogate import from_schnetpack

    factor = unit_of(unit)
    refuse_trained(out)
    ensemble = from_schnetpack(checkpoints, elements=elements, unit=factor)
    out.mkdir(parents=True, exist_ok=True)
    Provenance(geometry, 0, CONFORMERS, f"{level} [eV]", 0, energy).save(out)
    ensemble.save(out)
    return len(ensemble.members)
