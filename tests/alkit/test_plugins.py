"""alkit.plugins: the user's own code, and what is said when it cannot be loaded."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkit.errors import ConfigError
from alkit.plugins import is_code_path, load_code, load_entry_point, nearest


@pytest.mark.parametrize("name", ["a.py:f", "./a.py:f", "/x/y.py:Class", "C:/x.py:f"])
def test_code_paths(name: str) -> None:
    assert is_code_path(name)


@pytest.mark.parametrize("name", ["lcmd", "a.py", "a.py:", ":f", "a.txt:f", "module:f", ""])
def test_other_names(name: str) -> None:
    assert not is_code_path(name)


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_the_object_is_loaded(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "import math\ndef area(r):\n    return math.pi * r**2\nhalf = 0.5\n")
    assert load_code(f"{path}:area")(1) == pytest.approx(3.14159, abs=1e-4)
    assert load_code(f"{path}:half") == 0.5


def test_two_files_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    found = []
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        path = write(tmp_path / folder / "mine.py", f"class Mine:\n    value = {value}\n")
        found.append(load_code(f"{path}:Mine"))
    assert [cls.value for cls in found] == [1, 2]
    assert all(vars(sys.modules[cls.__module__])["Mine"] is cls for cls in found)


def test_a_dataclass_with_future_annotations_loads(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass(frozen=True)\nclass Mine:\n    size: int = 3\n    parts: tuple[int, ...] = ()\n"
    )
    assert load_code(write(tmp_path / "mine.py", text) + ":Mine")().size == 3


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nofile\.py:f: there is no file .*nofile\.py\."):
        load_code(f"{tmp_path}/nofile.py:f")


def test_a_missing_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "def score(): ...\ndef _hidden(): ...\n")
    with pytest.raises(ConfigError, match=r"mine\.py has no 'scores'; the nearest valid name is 'score'"):
        load_code(f"{path}:scores")
    with pytest.raises(ConfigError, match=r"has no 'zzzzzz'; valid names: score\."):
        load_code(f"{path}:zzzzzz")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def f(:\n", r"SyntaxError: .*line 1"),
        ("import no_such_module_at_all\n", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(7)\n", "SystemExit: 7"),
    ],
)
def test_a_file_that_fails_is_told_and_leaves_no_module(tmp_path: Path, text: str, why: str) -> None:
    path = write(tmp_path / "mine.py", text)
    before = set(sys.modules)
    with pytest.raises(ConfigError, match=r"mine\.py fails when it is loaded: " + why):
        load_code(f"{path}:f")
    assert not {name for name in set(sys.modules) - before if "alkit_user_code" in name}


def test_an_entry_point_that_is_not_installed_is_none() -> None:
    assert load_entry_point("alkit.acquisition", "no such plug-in") is None


def test_an_installed_entry_point_is_loaded() -> None:
    assert load_entry_point("console_scripts", "pytest") is not None


def test_nearest() -> None:
    assert nearest("lmcd", ["lcmd", "random"]) == "the nearest valid name is 'lcmd'"
    assert nearest("zzz", ["b", "a"]) == "valid names: a, b"


@given(st.sampled_from(["random", "std", "lcmd", "botorch"]))
def test_a_valid_name_is_nearest_to_itself(name: str) -> None:
    assert nearest(name, ["random", "std", "lcmd", "botorch"]) == f"the nearest valid name is {name!r}"
