"""Numbers that RDKit computes of a molecule exactly, by name.

Names are RDKit's own (``MolWt``, ``TPSA``, ``NumRotatableBonds`` …) and four usual ones: ``MW`` (g/mol),
``logP`` (Wildman and Crippen, https://doi.org/10.1021/ci990307l), ``QED`` (drug-likeness, 0 to 1; Bickerton
et al., https://doi.org/10.1038/nchem.1243) and ``SA_score`` (synthetic accessibility, 1 is easy and 10 is
hard; Ertl and Schuffenhauer, https://doi.org/10.1186/1758-2946-1-8).
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from alkit.errors import ConfigError

SA_SCORE = "SA_score"
_USUAL = {"MW": "MolWt", "logP": "MolLogP", "QED": "qed"}


def descriptor_names() -> list[str]:
    """Every name that `descriptor` knows, the usual ones first."""
    return [*_USUAL, SA_SCORE, *_of_rdkit()]


def descriptor(name: str) -> Callable[[Any], float]:
    """The function of an RDKit molecule that has this name.

    Raises:
        ConfigError: there is none, or RDKit was installed without it.
    """
    if name == SA_SCORE:
        return _sa_score()
    found = _of_rdkit().get(_USUAL.get(name, name))
    if found is None:
        raise ConfigError(f"there is no descriptor {name!r}; {_hint(name)}")
    return found


@lru_cache(maxsize=2**18)  # a pool is asked about again in every round
def descriptor_value(smiles: str, name: str) -> float:
    """The descriptor of a molecule that RDKit can read; not a number where RDKit cannot compute it.

    Raises:
        ConfigError: as `descriptor`.
    """
    from rdkit import Chem, rdBase

    function = descriptor(name)
    with rdBase.BlockLogs():
        try:
            return float(function(Chem.MolFromSmiles(smiles)))
        except (ArithmeticError, RuntimeError, ValueError, TypeError):  # such as charges that do not converge
            return float("nan")


@lru_cache
def _of_rdkit() -> dict[str, Callable[[Any], float]]:
    from rdkit.Chem import Descriptors

    return dict(Descriptors.descList)


@lru_cache
def _sa_score() -> Callable[[Any], float]:
    try:
        return importlib.import_module("rdkit.Contrib.SA_Score.sascorer").calculateScore
    except ImportError:
        raise ConfigError(
            f"this RDKit has no {SA_SCORE} (rdkit.Contrib.SA_Score); the one of `pip install rdkit` has it"
        ) from None


def _hint(name: str) -> str:
    """The nearest name, in whatever case it was written."""
    known = {one.casefold(): one for one in descriptor_names()}
    folded = name.casefold().replace(" ", "_")
    near = [one for one in known if folded and one.startswith(folded)]
    near = near or difflib.get_close_matches(folded, known, n=1, cutoff=0.5)
    usual = ", ".join([*_USUAL, SA_SCORE])
    return (
        f"the nearest valid name is {known[near[0]]!r}"
        if near
        else f"valid are {usual} and RDKit's own names"
    )
