"""What is wrong with any file."""

import bz2
import gzip
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.cases import Case, Files


class _Bomb:
    """Its pickle runs a command that leaves a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


@cache
def bombs() -> tuple[bytes, ...]:
    import torch

    file = io.BytesIO()
    torch.save({"format": 2, "bomb": _Bomb()}, file)
    return pickle.dumps(_Bomb()), pickle.dumps({"a": _Bomb()}, protocol=2), file.getvalue()


@cache
def _other_torch_files() -> tuple[bytes, ...]:
    import torch

    found = []
    for content in ({}, [], 7, "text", None, torch.zeros(3), {"format": 2}, {"format": "2", "settings": {}}):
        file = io.BytesIO()
        torch.save(content, file)
        found.append(file.getvalue())
    return tuple(found)


def bad_bytes(good: bytes) -> SearchStrategy[bytes]:
    """In place of a file that is binary: nothing, noise, a part of it, another format, code."""
    return st.one_of(
        st.just(b""),
        st.binary(min_size=1, max_size=300),
        st.integers(1, len(good) // 3).map(lambda n: good[:n]),
        st.binary(min_size=30, max_size=300).map(lambda noise: good[:100] + noise),
        st.just(bytes(len(good))),
        st.text(min_size=1, max_size=50).map(lambda text: json.dumps({"text": text}).encode()),
        st.sampled_from(["utf-16", "utf-8", "latin-1"]).map("<html>not found</html>".encode),
        st.sampled_from(bombs()),
        st.sampled_from(_other_torch_files()).filter(lambda other: other != good),
        st.sampled_from([gzip.compress(good), bz2.compress(good)[:50], _zip({"a": b"b"})]),
        st.builds(lambda a, b: _zip({a: b}), st.sampled_from(["data.pkl", "x.npy"]), st.binary(max_size=50)),
    )


def _zip(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def place_files(
    name: str, command: Callable[[str], tuple[str, ...]], files: Files | None = None
) -> SearchStrategy[Case]:
    """The place of a file taken by nothing, a folder, or a path through a file."""
    ending = Path(name).suffix
    return st.sampled_from(
        [
            Case("no such file", command(f"absent{ending}"), {**(files or {})}),
            Case("a folder", command(name), {**(files or {}), name: None}),
            Case("a folder", command(f"folder{ending}"), {**(files or {}), f"folder{ending}/x": b"x"}),
            Case("through a file", command(f"file/x{ending}"), {**(files or {}), "file": b"x"}),
            Case("a long name", command("x" * 300 + ending), {**(files or {})}),
            Case("an empty name", command(""), {**(files or {})}),
        ]
    )
