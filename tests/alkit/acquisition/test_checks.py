"""alkit.acquisition.checks: what passes, and the one sentence for what does not."""

import re
from typing import Any

import numpy as np
import pytest

from alkit.acquisition.checks import flag, number, whole
from alkit.errors import ConfigError


def test_what_is_right_passes_as_a_plain_value() -> None:
    assert number("x", "y", 2, above=0) == 2.0
    assert number("x", "y", np.float32(0.5), least=0.5) == 0.5
    assert whole("x", "y", np.int64(3), least=3) == 3
    assert flag("x", "y", np.bool_(True)) is True


@pytest.mark.parametrize("value", [0, -1, True, None, "1", np.inf, np.nan, [1], 1j])
def test_what_is_no_number_in_bounds_is_said(value: Any) -> None:
    sentence = f"acquisition x: y is {value!r}; it must be a number above 0."
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        number("x", "y", value, above=0)


@pytest.mark.parametrize("value", [2, 3.0, True, None, "3"])
def test_what_is_no_whole_number_is_said(value: Any) -> None:
    sentence = f"acquisition x: y is {value!r}; it must be a whole number, at least 3."
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        whole("x", "y", value, least=3)


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_what_is_no_flag_is_said(value: Any) -> None:
    with pytest.raises(ConfigError, match=f"acquisition x: y is {value!r}; it must be true or false."):
        flag("x", "y", value)
