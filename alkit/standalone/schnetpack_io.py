"""Models to and from plain schnetpack, as the commands `alkit export` and `alkit import` do it."""

from __future__ import annotations

from pathlib import Path

from ase import units

from alkit.datasets.qm9 import ATOMREFS
from alkit.datasets.qm9 import LEVEL as QM9_LEVEL
from alkit.errors import DataError
from alkit.files import refuse_existing, replace_file
from alkit.models.store import Provenance, load_model, refuse_trained
from alkit.molecules.conformers import CONFORMERS
from alkit.simulators.references import ATOM_ENERGIES

UNITS = {
    "eV": 1.0,
    "Hartree": units.Hartree,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
}
"""eV in each unit that a schnetpack model may have."""


def atom_energies(level: str) -> dict[int, float]:
    """Tabulated energies of the isolated atoms in eV, by atomic number.

    Args:
        level: of a model's labels, such as "GFN2-xTB u0 [eV]".

    Raises:
        DataError: alkit has no table for that level.
    """
    for method, energies in ATOM_ENERGIES.items():
        if level.startswith(f"{method} "):
            return dict(energies)
    if level.startswith(f"{QM9_LEVEL} u0"):
        return dict(ATOMREFS["energy_U0"])
    raise DataError(
        f"There is no table of atom energies for {level}; tables: {', '.join(ATOM_ENERGIES)}, "
        f"{QM9_LEVEL} u0. Export atomization energies instead."
    )


def export_model(model: Path, out: Path, *, member: int, absolute: bool) -> str:
    """Write a member as schnetpack's ``best_model``; returns what its energies (eV) are.

    Raises:
        DataError: the file exists, or ``absolute`` without a table of atom energies or of total ones.
        SurrogateError: a model that plain schnetpack cannot express.
    """
    import torch

    from surrogate import to_schnetpack

    refuse_existing(out)
    ensemble, provenance = load_model(model)
    if absolute and provenance.energy == "total":
        raise DataError(f"The energies of {model} are total ones already; leave out --absolute.")
    energies = atom_energies(provenance.level) if absolute else None
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
        unit, level: of the models' energies.
        energy: ``atomization`` or ``total``; alkit's own are the former, and the two never mix.

    Raises:
        DataError: the folder holds a model, or an unknown unit.
        SurrogateError: files that hold something else.
    """
    from surrogate import from_schnetpack

    if unit not in UNITS:
        raise DataError(f"unit is {unit!r}; it is one of {', '.join(UNITS)}.")
    refuse_trained(out)
    ensemble = from_schnetpack(checkpoints, elements=elements, unit=UNITS[unit])
    out.mkdir(parents=True, exist_ok=True)
    Provenance(geometry, 0, CONFORMERS, f"{level} [eV]", 0, energy).save(out)
    ensemble.save(out)
    return len(ensemble.members)
