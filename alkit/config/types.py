"""Types that all sections of the campaign file are made of."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from surrogate.settings import check_device


def no_truth(value: Any) -> Any:
    """Refuse true and false, which Python counts as numbers.

    Raises:
        ValueError: the value is a bool.
    """
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")
    return value


def as_text(value: Any) -> Any:
    """YAML reads 32 as a number."""
    return str(value) if isinstance(value, int) else value


def device(value: str) -> str:
    """Check the name of a device, such as ``auto`` or ``cuda:1``.

    Raises:
        ValueError: there is no such device.
    """
    check_device(value)  # raises a ValueError
    return value


# Python takes `true` for 1. Numbers in quotes are taken for floats alone: YAML reads 1e-3 as text.
NotTruth = BeforeValidator(no_truth)
PositiveInt = Annotated[int, Field(gt=0, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False), NotTruth]
DeviceName = Annotated[str, AfterValidator(device)]


class Section(BaseModel):
    """A section of the campaign file: unknown keys are refused, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
