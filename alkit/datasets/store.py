"""A database of `alkit.datasets.create`, opened for reading."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from alkit.datasets.create import ALIASES, FORMAT, GEOMETRIES, READABLE, Property
from alkit.datasets.database_rows import FORCES, check_rows, decode_forces, decode_labels, read_rows
from alkit.errors import DataError
from alkit.molecules.energies import ATOMIZATION_ENERGIES, check_energies
from alkit.molecules.molecule import canonical_of_any
from alkit.molecules.scalars import check_values
from alkit.properties import known as property_named
from alkit.properties import short_name, usual_unit


class Dataset:
    """A database opened for reading.

    All of it is in memory and never changes: safe in threads, cheap to pickle.

    Use :meth:`open`. Rows are numbered from 0 in the order of the file. A molecule has one row, or several
    with a geometry each: conformers, or steps of a simulation.

    Attributes:
        path: the file.
        smiles: canonical SMILES of each row.
        gdb_ids: (N,) QM9's indices, 0 where unknown.
        level: level of theory of the labels, such as "B3LYP/6-31G(2df,p)".
        geometry: "dataset" if the file holds geometries, "none" if it holds labels only.
        units: property -> unit.
        properties: property -> what it is.
        forces_of: the energy that :meth:`forces` belong to; empty where the file has none.
        atomrefs: property -> (100,) values of the isolated atoms by atomic number.

    Raises:
        ValueError: rows or metadata that no data set can have.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any], rows: Sequence[tuple[Any, ...]]):
        self.path = path
        self.units: dict[str, str] = dict(metadata["_property_unit_dict"])
        self.units.pop(FORCES, None)
        self.level: str = metadata["alkit"]["level"]
        self.geometry: str = metadata["alkit"]["geometry"]
        self.source: str = metadata["alkit"]["source"]
        self._atomization: bool = metadata["alkit"].get("atomization", False)
        self.forces_of: str = metadata["alkit"].get("forces_of", "")
        if not isinstance(self.level, str) or self.geometry not in GEOMETRIES:
            raise ValueError(f"its level is {self.level!r} and its geometry {self.geometry!r}")
        self.atomrefs = {
            name: np.array(values, dtype=np.float64) for name, values in metadata["atomrefs"].items()
        }
        self.properties = self._described(metadata["alkit"].get("properties", {}))
        pairs = [json.loads(row[2]) for row in rows]
        self.smiles: list[str] = [pair["smiles"] for pair in pairs]
        self.gdb_ids = np.array([pair["gdb_id"] for pair in pairs], dtype=np.int64)
        self._index: dict[str, int] = {}
        for i, smiles in enumerate(self.smiles):
            self._index.setdefault(smiles, i)
        self._numbers = np.frombuffer(b"".join(row[0] for row in rows), dtype="<i4").astype(np.int64)
        self._positions = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f8").reshape(-1, 3)
        self._ends = np.cumsum([len(row[0]) // 4 for row in rows], dtype=np.int64)
        self._labels = decode_labels([row[3] for row in rows], list(self.units))
        check_rows(rows)
        self._forces = (
            decode_forces([row[3] for row in rows], self._ends) if self.forces_of else np.empty((0, 3))
        )
        if not all(isinstance(smiles, str) for smiles in self.smiles):
            raise ValueError("a SMILES is no text")
        if any(len(values) <= self._numbers.max() for values in self.atomrefs.values()):
            raise ValueError(f"there is no energy of the isolated atom {self._numbers.max()}")
        if self.geometry != "none" and not np.isfinite(self._positions).all():
            raise ValueError("a position is not a finite number")
        if not np.isfinite(self._labels).all():
            raise ValueError(f"the label of {self.smiles[_first_bad(self._labels)]} is not a finite number")
        if not np.isfinite(self._forces).all():
            raise ValueError("a force is not a finite number")
        for array in (self._numbers, self._labels, self._forces, self.gdb_ids, *self.atomrefs.values()):
            array.flags.writeable = False

    def _described(self, properties: Mapping[str, Mapping[str, str]]) -> dict[str, Property]:
        """The meaning of each property; databases of the first format say it of all together."""
        found = {name: Property(**properties[name]) for name in self.units if name in properties}
        for name, unit in self.units.items():
            if name not in found:
                kind = "atomization" if self._atomization else "total"
                atoms = name in self.atomrefs and self.atomrefs[name].any()
                known = unit == "eV" and (_named_energy(name) or self._atomization or atoms)
                origin = "the data set's own" if known and atoms else ""
                named = property_named(name)
                other = named.kind if named is not None and named.kind != "energy" else "scalar"
                found[name] = Property(unit, kind if known else other, self.level, origin)
        return found

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """Read a database that :func:`create_database` or :func:`alkit.datasets.import_qm9` wrote.

        Raises:
            DataError: no such file, not such a database, or damaged.
        """
        path = Path(path)
        metadata, rows = read_rows(path)
        if not isinstance(metadata.get("alkit"), dict):
            raise DataError(
                f"{path} is an ASE database without SMILES and level of theory; `alkit data import "
                f"{path.name} --to NEW.db` makes one that has them."
            )
        if metadata["alkit"].get("format") not in READABLE:
            raise DataError(
                f"{path} has format {metadata['alkit'].get('format')}; this alkit reads {FORMAT}."
            )
        if not rows:
            raise DataError(f"{path} holds no molecules.")
        try:
            return cls(path, metadata, rows)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise DataError(f"{path} is damaged ({error}); import the data set again.") from error

    def __len__(self) -> int:
        return len(self.smiles)

    def __contains__(self, smiles: object) -> bool:
        return isinstance(smiles, str) and self._find(smiles) is not None

    def __repr__(self) -> str:
        return f"<Dataset {self.path.name}: {len(self)} molecules, {self.level}, geometry {self.geometry}>"

    def index(self, smiles: str) -> int:
        """Number of the molecule's first row; any SMILES of it will do. KeyError if it is not there."""
        position = self._find(smiles)
        if position is None:
            raise KeyError(smiles)
        return position

    def _find(self, smiles: str) -> int | None:
        if smiles in self._index:
            return self._index[smiles]
        canonical = canonical_of_any(smiles)
        return None if canonical is None else self._index.get(canonical)

    def _atoms(self, i: int) -> slice:
        i = range(len(self))[i]  # negative from the end; IndexError beyond
        return slice(int(self._ends[i - 1]) if i else 0, int(self._ends[i]))

    def numbers(self, i: int) -> np.ndarray:
        """(n,) int64 atomic numbers, in the order of :meth:`positions`."""
        return self._numbers[self._atoms(i)]

    def positions(self, i: int) -> np.ndarray:
        """(n, 3) float64 Å: the data set's own geometry. Raises DataError if it has none."""
        if self.geometry == "none":
            raise DataError(
                f"{self.path} holds labels without geometries, so the geometry 'dataset' is not available; "
                "choose one that is made from the SMILES: etkdg, mmff or xtb."
            )
        return self._positions[self._atoms(i)]

    def forces(self, i: int) -> np.ndarray:
        """(n, 3) float64 eV/Å: minus the gradient of ``forces_of``. Raises DataError if there are none."""
        if not self.forces_of:
            raise DataError(f"{self.path} holds no forces.")
        return self._forces[self._atoms(i)]

    @property
    def several_geometries(self) -> bool:
        """Whether a molecule has more than one row."""
        return len(self._index) < len(self.smiles)

    def one_row_each(self, why: str) -> Dataset:
        """This data set, where each molecule has one row.

        Args:
            why: what needs it, at the start of a sentence.

        Raises:
            DataError: a molecule has several.
        """
        if self.several_geometries:
            twice = next(s for i, s in enumerate(self.smiles) if self._index[s] != i)
            raise DataError(
                f"{why} one row a molecule, and {self.path} has several geometries of {twice}; `alkit data "
                "import --conformers lowest` keeps the lowest of each."
            )
        return self

    def level_of(self, name: str) -> str:
        """Level of theory of a property."""
        return self.properties[self.property_name(name)].full_level

    def atom_energies(self, name: str) -> dict[int, float]:
        """Atom energies (eV) by atomic number: the zero of a property's total energies; empty if unknown."""
        found = self.atomrefs.get(self.property_name(name), np.zeros(0))
        return {int(z): float(found[z]) for z in np.flatnonzero(found)}

    def property_name(self, name: str) -> str:
        """The property's full name; DataError if the database does not have it."""
        full = name if name in self.units else ALIASES.get(name, name)
        if full not in self.units:
            raise DataError(f"{self.path} has no property {name!r}; it has {', '.join(self.units)}.")
        return full

    @overload
    def target(self, name: str) -> np.ndarray: ...
    @overload
    def target(self, name: str, i: int) -> float: ...
    @overload
    def target(self, name: str, i: Sequence[int] | np.ndarray) -> np.ndarray: ...
    def target(self, name: str, i: int | Sequence[int] | np.ndarray | None = None) -> float | np.ndarray:
        """Labels in the property's unit (energies: eV): one float, or (len(i),), or (N,) without ``i``.

        Raises DataError if the database does not have the property.
        """
        values = self._labels[:, list(self.units).index(self.property_name(name))]
        if i is None:
            return values
        return float(values[i]) if isinstance(i, int | np.integer) else values[np.asarray(i, dtype=np.int64)]

    def atomization(self, name: str = "u0") -> np.ndarray:
        """(N,) eV: the energy minus that of the isolated atoms at the same level; negative means bound.

        Raises:
            DataError: the database has no isolated atoms' values of the property, or of one of its elements;
                or an energy that no molecule has.
        """
        full = self.property_name(name)
        energies = self._atomized(full, name)
        if _named_energy(full) or self.properties[full].is_energy:
            compositions = [self.numbers(i) for i in range(len(self))]
            check_energies(
                energies, compositions, f"{self.path}, {full}", names=self.smiles, charges=self._charges()
            )
        return energies

    def labels(self, name: str = "u0") -> tuple[np.ndarray, str]:
        """``(n,)`` labels of a property to learn, and their unit.

        They are atomization energies (eV) of an energy, and the numbers themselves of any other property.

        Raises:
            DataError: as `atomization`; values that molecules cannot have, or in another unit than alkit's.
        """
        full = self.property_name(name)
        if _named_energy(full) or self.properties[full].is_energy:
            return self.atomization(name), "eV"
        short, unit = short_name(full), self.units[full]
        if (usual := usual_unit(short)) not in ("", unit):
            raise DataError(
                f"{self.path}: {short} is in {unit}, and alkit has it in {usual}; import it again."
            )
        values = self.target(full)
        check_values(
            short, values, [self.numbers(i) for i in range(len(self))], f"{self.path}, {short}",
            names=self.smiles,
        )  # fmt: skip
        return values, unit

    def _charges(self) -> np.ndarray:
        """(N,) of the SMILES."""
        from rdkit import Chem

        marked = [any(mark in smiles for mark in ("+", "-")) for smiles in self.smiles]
        return np.array(
            [
                Chem.GetFormalCharge(Chem.MolFromSmiles(smiles)) if mark else 0
                for smiles, mark in zip(self.smiles, marked, strict=True)
            ]
        )

    def _atomized(self, full: str, name: str) -> np.ndarray:
        if self.properties[full].kind == "atomization":
            return self.target(full)
        references = self.atomrefs.get(full)
        if references is None or self.units[full] != "eV" or not references.any():
            raise DataError(f"{self.path} has no energies of isolated atoms for {name!r}.")
        if unknown := sorted(set(self._numbers[references[self._numbers] == 0.0].tolist())):
            raise DataError(f"{self.path} has no energy of the isolated atom for atomic number(s) {unknown}.")
        starts = np.concatenate([[0], self._ends[:-1]])
        return self.target(full) - np.add.reduceat(references[self._numbers], starts)


def _named_energy(name: str) -> bool:
    """Whether a property's name says that molecules have bounds of it."""
    return name.removeprefix("energy_").lower() in ATOMIZATION_ENERGIES


def _first_bad(values: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
