"""Cross-validation inside an ensemble: members trained on different folds of the labels."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import SurrogateError
from surrogate.last_layer import LastLayerGP
from surrogate.settings import FEWEST_FOLDS, ModelSettings

# The part of a member's squared error that is its own and leaves with a mean over many: where it cannot be
# seen, since one member alone has not seen the molecule. Measured on QM9's molecules 1,000 to 1,999 with five
# members of 1,000 labels, in 3D and 2D: 0.26 in both.
_USUAL_SHARE = 0.25
_LEAST_LEFT = 0.25  # of a mean squared error, however much more members promise to take


def left_out(groups: Sequence[Hashable], members: int) -> NDArray[np.bool_]:
    """``(n, members)``: which members each molecule is left out of.

    From six members on each molecule is left out of two, so that its errors out of fold have a spread; with
    fewer of one. Folds follow the order of ``groups``: labels that come later change no earlier one's fold.

    Args:
        groups: of each molecule; what is of one group, such as stereoisomers, is in one fold.
        members: 3 or more.

    Raises:
        SurrogateError: too few members, or fewer groups than folds.
    """
    folds = folds_of(members)
    places = {group: k for k, group in enumerate(dict.fromkeys(groups))}
    if len(places) < folds:
        raise SurrogateError(f"{len(places)} labelled molecules do not fill {folds} folds.")
    fold = np.array([places[group] % folds for group in groups])
    return fold[:, None] == np.arange(members) % folds


def each_alone(groups: Sequence[Hashable]) -> NDArray[np.bool_]:
    """``(n, folds)``: folds of one molecule each, or of one group, such as stereoisomers."""
    places = {group: k for k, group in enumerate(dict.fromkeys(groups))}
    return np.eye(len(places), dtype=bool)[[places[group] for group in groups]]


def folds_of(members: int) -> int:
    """Number of folds.

    Raises:
        SurrogateError: too few members.
    """
    if members < FEWEST_FOLDS:
        raise SurrogateError(f"members is {members}; without a validation set {FEWEST_FOLDS} are the fewest.")
    return members // (2 if members >= 2 * FEWEST_FOLDS else 1)


def check_left_out(left_out: NDArray, molecules: int, members: int) -> None:
    """Whether every molecule has members that do not see it, and every member molecules of both kinds.

    Raises:
        SurrogateError: not so.
    """
    if left_out.shape != (molecules, members) or left_out.dtype != bool:
        raise SurrogateError(
            f"left_out has shape {left_out.shape} and type {left_out.dtype}; for {molecules} molecules and "
            f"{members} members it is {(molecules, members)}, of true and false."
        )
    if not left_out.any(axis=1).all() or not left_out.any(axis=0).all() or left_out.all(axis=0).any():
        raise SurrogateError(
            "left_out leaves a molecule out of no member, or a member without molecules to learn from or to "
            "validate on."
        )


def check_spread(left_out: NDArray, settings: ModelSettings) -> None:
    """Whether uncertainty can be calibrated out of fold.

    Raises:
        SurrogateError: the members' spread is its only source, and one member alone has not seen a molecule.
    """
    if settings.uncertainty == ("ensemble",) and settings.heads == 1 and left_out.sum(axis=1).min() < 2:
        raise SurrogateError(
            f"uncertainty is the ensemble's spread alone: below {2 * FEWEST_FOLDS} members a label is left "
            f"out of one, which has none; add gp to uncertainty, or give {2 * FEWEST_FOLDS} members."
        )


def unseen(
    samples: NDArray, sources: Mapping[str, NDArray], left_out: NDArray[np.bool_], heads: int = 1
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Predictions of a molecule by the members that have not seen it.

    Args:
        samples: ``(s, n)`` of all members.
        sources: their other sources of uncertainty.
        left_out: ``(n, members)``.
        heads: of each member.

    Returns:
        Samples ``(m, n)``, and sources. A source is ``(m, n)``, or ``(n,)`` of all members as if none had
        seen the molecule.
    """
    fewest = int(left_out.sum(axis=1).min())
    members = np.argsort(~left_out, axis=1, kind="stable")[:, :fewest].T
    others = {
        name: LastLayerGP.without_itself(values) if values.ndim == 1 else _of(members, values)
        for name, values in sources.items()
    }
    rows = (members[:, None] * heads + np.arange(heads)[:, None]).reshape(-1, members.shape[1])
    return _of(rows, samples), others


def joined(sources: Mapping[str, NDArray]) -> dict[str, NDArray[np.float64]]:
    """``(n,)`` deviations, of members that give a variance ``(s, n)`` each the root of its mean."""
    return {
        name: values if values.ndim == 1 else np.sqrt(values.mean(axis=0)) for name, values in sources.items()
    }


def _of(members: NDArray[np.intp], values: NDArray) -> NDArray[np.float64]:
    return np.take_along_axis(values, members, axis=0)


def gain_of_all(errors: NDArray, samples: NDArray, members: int, heads: int = 1) -> float:
    """How much smaller, as a factor, errors of the mean of all members are than those of a few.

    The mean squared error of a mean of ``m`` members with variance ``v`` is ``b + v / m``: more members lower
    it. That of a single one is not known, and taken for a quarter of ``b + v``.

    Args:
        errors: ``(n,)`` of the mean of the few, eV.
        samples: ``(m, n)``, their predictions, eV; ``(m * heads, n)`` of several heads each.
        members: of the whole ensemble.
        heads: of each member.
    """
    samples = samples.reshape(-1, heads, samples.shape[1]).mean(axis=1)
    few, size = len(samples), float(np.mean(np.square(errors)))
    if few >= members or size == 0:
        return 1.0
    variance = _USUAL_SHARE * size if few == 1 else float(samples.var(axis=0, ddof=1).mean())
    return float(np.sqrt(max(1 - variance * (1 / few - 1 / members) / size, _LEAST_LEFT)))
