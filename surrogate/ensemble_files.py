"""The description and weights of a saved ensemble: what is read, and what is refused as damaged."""

import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from surrogate.calibration import SPREAD, Calibration
from surrogate.errors import SurrogateError
from surrogate.files import read_whole, write_whole
from surrogate.sealing import sealed, unsealed
from surrogate.settings import ModelSettings
from surrogate.targets import AtomReferences

Model = TypeVar("Model")
FORMAT = 3
READABLE = (1, 2, 3)


def check_description(
    settings: ModelSettings,
    references: AtomReferences,
    calibration: Calibration,
    members: int,
    scale: float,
    has_gp: bool,
) -> None:
    """Check a description before anything fails, or predicts nonsense, because of it.

    Raises:
        ValueError: a value that cannot be.
    """
    if members < 1 or not math.isfinite(scale):
        raise ValueError(f"{members} members of scale {scale}")
    if sorted(references.numbers) != element_numbers(settings) or len(references.energies) != len(
        references.numbers
    ):
        raise ValueError("the references are not one energy for each of the model's elements")
    at_hand = {SPREAD, *["gp"] * has_gp, *["variance"] * ("variance" in settings.uncertainty)}
    check_calibration(calibration, references, at_hand)


def check_calibration(calibration: Calibration, references: AtomReferences, at_hand: set[str]) -> None:
    """Check the numbers of a calibration.

    Raises:
        ValueError: numbers that cannot be, or a source of uncertainty that is not ``at_hand``.
    """
    if set(calibration.typical) != set(calibration.exponents):
        raise ValueError("the calibration's typical values and exponents are of different sources")
    if strange := set(calibration.typical) - at_hand:
        raise ValueError(f"the calibration has {min(strange)!r}, which the model does not tell")
    numbers = [*references.energies, *calibration.typical.values(), *calibration.exponents.values()]
    numbers += [calibration.scale, calibration.weight, calibration.freedom, calibration.width]
    for number in [*numbers, *calibration.scores]:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise ValueError(f"{number!r:.40} where a finite number belongs")


def read_calibration(description: dict[str, Any], form: int) -> Calibration:
    """Read the calibration of ``ensemble.json``, also in the older ``form`` with the spread alone."""
    if form < FORMAT:  # there was the spread alone, and no scores of the validation molecules
        typical = float(np.sqrt(description["typical"])) or 1.0  # 0: never calibrated
        return Calibration(description["scale"] * typical, {SPREAD: typical}, weight=description["weight"])
    return Calibration(**{**description, "scores": tuple(description["scores"])})


def write_described(folder: Path, description: dict[str, Any]) -> None:
    """Write ``ensemble.json`` with its seal, the last of a model's files: a folder with it is complete."""
    write_whole(folder / "ensemble.json", json.dumps(sealed(description), indent=2).encode())


def read_described(folder: Path, readers: Mapping[str, Callable[..., Model]]) -> Model:
    """The model in a folder, by the reader of its representation.

    Raises:
        SurrogateError: no model in the folder, one of another format, or one that cannot be read.
    """
    folder = Path(folder)
    path = folder / "ensemble.json"
    if not path.is_file():
        raise SurrogateError(f"{folder} holds no trained model: there is no ensemble.json in it.")
    try:
        description = unsealed(json.loads(path.read_text(encoding="utf-8")))
        version = description["format"]
        if version in READABLE:
            settings = ModelSettings(**description["model"])
            if settings.representation not in readers:
                raise ValueError(f"representation {settings.representation} cannot be used here")
            return readers[settings.representation](folder, description, settings)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise SurrogateError(f"{path} is damaged ({type(error).__name__}: {error}).") from None
    raise SurrogateError(f"{path} has format {version}; this version reads up to format {FORMAT}.")


def read_arrays(path: Path, digest: str) -> dict[str, NDArray]:
    """The arrays that a description with this hash was written beside."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SurrogateError(f"{path} is missing; the model is not complete.") from None
    except OSError as error:
        raise SurrogateError(f"{path} cannot be read ({error.strerror}).") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise SurrogateError(f"{path} is damaged: it is not what was written with its ensemble.json.")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def element_numbers(settings: ModelSettings) -> list[int]:
    """Atomic numbers of the model's elements."""
    from ase.data import atomic_numbers

    unknown = [symbol for symbol in settings.elements if symbol not in atomic_numbers]
    if unknown:
        raise SurrogateError(f"{unknown[0]!r} is not the symbol of an element.")
    return sorted({atomic_numbers[symbol] for symbol in settings.elements})


def read_weights(path: Path, use: Callable[[Any], Any]) -> Any:
    """Weights as data: ``weights_only`` refuses whatever a pickle could run."""
    try:
        return use(read_whole(path))
    except FileNotFoundError:
        raise SurrogateError(f"{path} is missing; the model is not complete.") from None
    except OSError as error:
        raise SurrogateError(f"{path} cannot be read ({error.strerror}).") from None
    except Exception as error:  # a damaged or foreign file can break torch's reader anywhere
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SurrogateError(f"{path} does not hold the weights of this model ({reason}).") from error
