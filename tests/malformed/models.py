"""Malformed models."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import bad_bytes, place_files
from malformed.cases import Case, Files
from malformed.samples import samples
from surrogate.sealing import unsealed


def _leaves(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    for key, value in document.items() if isinstance(document, dict) else ():
        found += _leaves(value, (*at, key))
    return found


def _replaced(document: Any, at: tuple[Any, ...], value: Any) -> bytes:
    copy = json.loads(json.dumps(document))
    place = copy
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    return json.dumps(copy).encode()


def _of_another_type(value: Any) -> SearchStrategy[Any]:
    options: list[Any] = [None, [[]], {"a": 1}]
    if isinstance(value, str | dict | list):
        options += [7, -1.5, True]
    if isinstance(value, int | float):
        options += ["text", "7", float("nan"), float("inf"), float("-inf"), -(10**30), 10**400]
    if isinstance(value, list | dict):
        options += ["text", [None], [{}]]
    return st.sampled_from(options)


def _bad_json(good: bytes, required: tuple[str, ...]) -> SearchStrategy[bytes]:
    document = unsealed(json.loads(good))  # what is wrong with it is found by its seal otherwise
    return st.one_of(
        st.sampled_from(_leaves(document)).flatmap(
            lambda at: _of_another_type(_value(document, at)).map(
                lambda value: _replaced(document, at, value)
            )
        ),
        st.sampled_from(required).map(
            lambda key: json.dumps({k: v for k, v in document.items() if k != key}).encode()
        ),
        st.integers(0, len(good) - 2).map(lambda n: good[:n]),
        st.sampled_from([b"", b"7", b"[]", b"null", b'"text"', b"\xff", b"[" * 50_000, b"{}", b"\0"]),
        st.sampled_from(["utf-16", "utf-32"]).map(lambda name: good.decode().encode(name)),
        st.just(b"9" * 5000),
    )


def _value(document: Any, at: tuple[Any, ...]) -> Any:
    for key in at:
        document = document[key]
    return document


def _bad_models(
    good: Mapping[str, bytes], arguments: Callable[[str], tuple[str, ...]], files: Files
) -> SearchStrategy[Case]:
    def case(what: str, changed: Mapping[str, bytes | None]) -> Case:
        kept = {name: content for name, content in {**good, **changed}.items() if name not in lost}
        lost.clear()
        return Case(what, arguments("model"), {**files, **{f"model/{k}": v for k, v in kept.items()}})

    lost: set[str] = set()

    def without(name: str) -> Case:
        kept = {f"model/{k}": v for k, v in good.items() if k != name}
        return Case(f"no {name}", arguments("model"), {**files, **kept})

    required = ("format", "model", "members", "references", "calibration")
    weights = sorted(name for name in good if name.endswith(".pt"))
    own = tuple(unsealed(json.loads(good["model.json"])))[
        :-1
    ]  # energy has a default: older versions had none
    huge = ("model.features", "model.interactions", "model.gaussians", "members")
    described = unsealed(json.loads(good["ensemble.json"]))
    return st.one_of(
        _bad_json(good["ensemble.json"], required).map(
            lambda bad: case(f"{bad!r:.300}", {"ensemble.json": bad})
        ),
        st.builds(
            lambda key, power: case(
                f"{key} 10^{power}",
                {"ensemble.json": _replaced(described, tuple(key.split(".")), 10**power)},
            ),
            st.sampled_from(huge),
            st.integers(4, 30),
        ),
        _bad_json(good["model.json"], own).map(lambda bad: case(f"{bad!r:.300}", {"model.json": bad})),
        st.sampled_from(weights).flatmap(
            lambda name: bad_bytes(good[name]).map(lambda bad: case(f"{name}: {bad!r:.80}", {name: bad}))
        ),
        st.sampled_from(sorted(good)).map(without),
        st.sampled_from(weights).map(lambda name: case(f"{name} folder", {name: None})),
        st.just(case("gp for a member", {"member_0.pt": good["gp.pt"]})),
        st.just(case("a member for gp", {"gp.pt": good["member_0.pt"]})),
        st.just(Case("an empty folder", arguments("model"), {**files, "model": None})),
        place_files("model", arguments, files),
    )


def predict_models() -> SearchStrategy[Case]:
    good = samples()
    return _bad_models(
        good.model, lambda folder: ("predict", folder, "a.smi", "--out", "new/out.csv"), {"a.smi": b"CCO\n"}
    )


def export_models() -> SearchStrategy[Case]:
    return _bad_models(samples().model, lambda folder: ("export", folder, "--out", "new/best_model"), {})
