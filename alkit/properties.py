"""The properties that alkit knows by name: their units, and whether they grow with the molecule.

QM9's (doi:10.1038/sdata.2014.22) by their published names, and the electronic energy. Any other name is a
property of the user's own, of which unit and kind must be stated. Plain values: reading them loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Scalar = Literal["extensive", "intensive"]
Kind = Literal["energy", "extensive", "intensive"]
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_.-]*$"  # it names columns of tables


@dataclass(frozen=True)
class Known:
    """One property.

    Attributes:
        name: QM9's.
        unit: of its values everywhere in alkit.
        kind: ``energy``: extensive, and learnt less the energies of the isolated atoms; ``extensive``: it
            grows with the molecule, a sum over atoms; ``intensive``: it does not, a mean over atoms.
        what: it is, in words.
        full: its name in databases, which is schnetpack's; empty: the same.
        also: other names that are understood.
    """

    name: str
    unit: str
    kind: Kind
    what: str
    full: str = ""
    also: tuple[str, ...] = ()

    @property
    def stored(self) -> str:
        """Its name in databases."""
        return self.full or self.name


# In the order of the second line of QM9's XYZ files.
QM9 = (
    Known("A", "GHz", "intensive", "rotational constant", "rotational_constant_A"),
    Known("B", "GHz", "intensive", "rotational constant", "rotational_constant_B"),
    Known("C", "GHz", "intensive", "rotational constant", "rotational_constant_C"),
    Known("mu", "Debye", "intensive", "dipole moment", "dipole_moment", ("dipole",)),
    Known("alpha", "a0 a0 a0", "extensive", "isotropic polarizability", "isotropic_polarizability"),
    Known("homo", "eV", "intensive", "energy of the highest occupied orbital"),
    Known("lumo", "eV", "intensive", "energy of the lowest empty orbital"),
    Known("gap", "eV", "intensive", "LUMO less HOMO"),
    Known("r2", "a0 a0", "extensive", "electronic spatial extent", "electronic_spatial_extent"),
    Known("zpve", "eV", "extensive", "zero-point vibrational energy"),
    Known("u0", "eV", "energy", "internal energy at 0 K", "energy_U0"),
    Known("u298", "eV", "energy", "internal energy at 298.15 K", "energy_U"),
    Known("h298", "eV", "energy", "enthalpy at 298.15 K", "enthalpy_H"),
    Known("g298", "eV", "energy", "free energy at 298.15 K", "free_energy"),
    Known("cv", "cal/mol/K", "extensive", "heat capacity at 298.15 K", "heat_capacity"),
)
TABLE = (*QM9, Known("energy", "eV", "energy", "electronic energy"))
ENERGIES = tuple(one.name for one in TABLE if one.kind == "energy")
_BY_NAME = {name: one for one in TABLE for name in (one.name, one.stored, *one.also)}


def short_name(name: str) -> str:
    """QM9's name of a property by any of its names; a name of the user's own stays as it is."""
    return _BY_NAME[name].name if name in _BY_NAME else name


def known(name: str) -> Known | None:
    """The property of that name, by any of its names; None for one of the user's own."""
    return _BY_NAME.get(name)


def is_energy(name: str) -> bool:
    """Whether a property is learnt less the energies of the isolated atoms."""
    found = known(name)
    return found is not None and found.kind == "energy"


def usual_unit(name: str) -> str:
    """The unit of a property that alkit knows; empty for one of the user's own."""
    found = known(name)
    return found.unit if found else ""


def kind_of(name: str, stated: str = "") -> Kind | None:
    """Whether a property grows with the molecule; None where nobody says it.

    Args:
        name: of the property, such as ``u0``.
        stated: what its file says: ``atomization``, ``total``, ``extensive``, ``intensive`` or ``scalar``.
    """
    if stated in ("atomization", "total"):
        return "energy"
    if stated in get_args(Scalar):
        return stated  # type: ignore[return-value]
    found = known(name)
    return found.kind if found else None


@dataclass(frozen=True)
class Quantity:
    """The meaning of the numbers of a table, a plot or a sentence.

    Attributes:
        name: of the property.
        unit: of its values and their errors.
        energy: whether it is an atomization energy, of which alone chemical accuracy is said.
    """

    name: str
    unit: str
    energy: bool

    @classmethod
    def of(cls, name: str, unit: str = "") -> Quantity:
        """The property ``name``, in its usual unit where no other is given."""
        return cls(name, unit or usual_unit(name), is_energy(name))

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]"

    def column(self, what: str) -> str:
        """The name of a column of ``what`` in this unit: ``prediction_eV``."""
        return column(what, self.unit)


ENERGY = Quantity.of("u0")


def column(what: str, unit: str) -> str:
    """The name of a column of ``what`` in ``unit``: ``gap_eV``, ``alpha_a0_a0_a0``."""
    return f"{what}_{unit.replace(' ', '_')}" if unit else what
