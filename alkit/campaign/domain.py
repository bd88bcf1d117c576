"""The domain of a campaign: which molecules it is about, and why another one is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from alkit.config.domain import DomainConfig
from alkit.descriptors import descriptor_value
from alkit.errors import ConfigError
from alkit.plugins import load_code

if TYPE_CHECKING:
    from rdkit.Chem import Mol

Outside = tuple[str, str]  # the reason, and a detail that begins with the rule
_TRIED = 3


class Domain:
    """Elements, size, SMARTS, ranges of descriptors and the user's own predicate, in the order of their cost.

    A molecule is judged once; the answer is kept.
    """

    def __init__(self, config: DomainConfig):
        self.config = config
        self._known: dict[str, Outside | None] = {}

    def outside(self, smiles: str) -> Outside | None:
        """Why a molecule is not in the domain; None if it is.

        Args:
            smiles: canonical.

        Returns:
            A reason, ``foreign_element``, ``too_large``, ``missing_pattern``, ``forbidden_pattern``,
            ``outside_range`` or ``not_allowed``, and a detail.

        Raises:
            ConfigError: the user's own predicate fails, or does not answer true or false.
        """
        if smiles not in self._known:
            self._known[smiles] = self._judge(smiles)
        return self._known[smiles]

    def check(self, molecules: Sequence[str]) -> None:
        """Ask the user's own predicate about some molecules, each twice.

        Raises:
            ConfigError: it cannot be loaded, fails, does not answer true or false, or changes its mind.
        """
        for smiles in molecules[:_TRIED] if self.config.allowed else ():
            first, second = (self._asked(smiles) for _ in range(2))
            if first != second:
                raise ConfigError(
                    f"{self._name} answered {first} for {smiles}, and {second} when asked again; a campaign "
                    "that goes on after a stop needs the same answer each time."
                )

    def _judge(self, smiles: str) -> Outside | None:
        from rdkit import Chem

        molecule = Chem.MolFromSmiles(smiles)
        return (
            self._foreign(molecule) or self._pattern(molecule) or self._range(smiles) or self._refused(smiles)
        )

    def _foreign(self, molecule: Mol) -> Outside | None:
        foreign = {atom.GetSymbol() for atom in molecule.GetAtoms()} - set(self.config.elements)
        if foreign:
            return "foreign_element", ", ".join(sorted(foreign))
        if any(atom.GetTotalNumHs() for atom in molecule.GetAtoms()) and "H" not in self.config.elements:
            return "foreign_element", "H"
        if molecule.GetNumHeavyAtoms() > self.config.max_heavy_atoms:
            return "too_large", f"{molecule.GetNumHeavyAtoms()} heavy atoms"
        return None

    def _pattern(self, molecule: Mol) -> Outside | None:
        required, forbidden = self._patterns
        for smarts, pattern in required.items():
            if not molecule.HasSubstructMatch(pattern):
                return "missing_pattern", smarts
        for smarts, pattern in forbidden.items():
            if molecule.HasSubstructMatch(pattern):
                return "forbidden_pattern", smarts
        return None

    def _range(self, smiles: str) -> Outside | None:
        for name, (low, high) in self.config.descriptors.items():
            value = descriptor_value(smiles, name)
            if not np.isfinite(value):
                return "outside_range", f"{name} cannot be computed"
            if low is not None and value < low:
                return "outside_range", f"{name} {value:.6g} is below {low:g}"
            if high is not None and value > high:
                return "outside_range", f"{name} {value:.6g} is above {high:g}"
        return None

    def _refused(self, smiles: str) -> Outside | None:
        if self.config.allowed is None or self._asked(smiles):
            return None
        return "not_allowed", self.config.predicate

    def _asked(self, smiles: str) -> bool:
        predicate = self._predicate
        try:
            answer = predicate(smiles)
        # The user's code may raise anything, also an exit; the message must say that it was theirs.
        except (Exception, SystemExit) as error:
            problem = (str(error).splitlines() or [""])[0]
            raise ConfigError(
                f"{self._name} failed on {smiles}: {type(error).__name__}: {problem}."
            ) from error
        if not isinstance(answer, bool | np.bool_):
            raise ConfigError(
                f"{self._name} returned {type(answer).__name__} for {smiles}; True or False is expected."
            )
        return bool(answer)

    @property
    def _name(self) -> str:
        return f"domain.allowed {self.config.predicate}"

    @cached_property
    def _patterns(self) -> tuple[dict[str, Mol], dict[str, Mol]]:
        """The SMARTS that a molecule must have, and those that it must not have."""
        from rdkit import Chem

        required, forbidden = (
            {smarts: Chem.MolFromSmarts(smarts) for smarts in patterns}
            for patterns in (self.config.require, self.config.forbid)
        )
        return required, forbidden

    @cached_property
    def _predicate(self) -> Callable[[str], Any]:
        function = load_code(self.config.allowed or "")
        if not callable(function):
            raise ConfigError(
                f"{self._name} is of type {type(function).__name__}; a function of a SMILES that returns "
                "True or False is expected."
            )
        return function
