"""alkit.plugins: the user's own code, and what is said when it cannot be loaded."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkit.errors import ConfigError
from alkit.plugins import Registry, create, is_code_path, load_code, nearest


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


def test_a_missing_file_is_said(tmp_path: Path) -> None:
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


def test_an_installed_plug_in_is_found() -> None:
    command = Registry("command", group="console_scripts").find("pytest")
    assert command.__module__.startswith("_pytest")


def test_a_built_in_is_loaded_when_it_is_asked_for() -> None:
    registry = Registry("thing", {"absent": "no_such_module:x", "path": "pathlib:Path"})
    assert registry.find("path") is Path
    with pytest.raises(ModuleNotFoundError):
        registry.find("absent")


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        (
            Registry("thing", {"lcmd": "a:b"}),
            r"no thing 'lmcd'; the nearest valid name is 'lcmd'\.$",
        ),
        (
            Registry("thing", group="alkit.no.such.group", path="./file.py:Name"),
            r"'lmcd'; \./file\.py:Name\.$",
        ),
        (Registry("thing", {"a": "a:b"}, path="./f.py:x"), r"'lmcd'; valid names: a, or \./f\.py:x\.$"),
    ],
)
def test_a_plug_in_that_is_not_there_is_refused(registry: Registry, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        registry.find("lmcd")


def test_a_class_gets_its_settings_and_a_function_takes_none() -> None:
    assert create(dict, "thing dict", {"a": 1}) == {"a": 1}
    assert create(len, "thing len") is len
    with pytest.raises(ConfigError, match=r"thing len takes no settings, but \['a'\] are given"):
        create(len, "thing len", {"a": 1})
    with pytest.raises(ConfigError, match="thing int: 'a' is an invalid keyword argument"):
        create(int, "thing int", {"a": 1})


def test_nearest() -> None:
    assert nearest("lmcd", ["lcmd", "random"]) == "the nearest valid name is 'lcmd'"
    assert nearest("zzz", ["b", "a"]) == "valid names: a, b"


@given(st.sampled_from(["random", "std", "lcmd", "botorch"]))
def test_a_valid_name_is_nearest_to_itself(name: str) -> None:
    assert nearest(name, ["random", "std", "lcmd", "botorch"]) == f"the nearest valid name is {name!r}"
