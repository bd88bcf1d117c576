"""Malformed inputs of train, label, import and study."""

import io
import tarfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import bad_bytes, place_files
from malformed.cases import Case
from malformed.databases import ONE_SMILES, bad_databases, odd_databases
from malformed.formats import bad_formats
from malformed.samples import QM9_XYZ, after_sql, samples
from malformed.tables import bad_smiles, bad_tables, no_text


def train() -> SearchStrategy[Case]:
    good = samples()

    def table(name: str) -> tuple[str, ...]:
        small = ("--features", "4", "--epochs", "1", "--members", "2")
        target = () if name.endswith(".db") else ("--target", "energy", "--mode", "2d")
        return "train", name, "--strict", "--out", "new/model", *target, *small

    return st.one_of(
        bad_tables(good.table).map(lambda bad: Case(f"{bad!r:.100}", table(bad[0]), {bad[0]: bad[1]})),
        bad_databases(good.database).map(lambda bad: Case(f"{bad!r:.100}", table("a.db"), {"a.db": bad})),
        st.sampled_from(["a.csv", "a.db"]).flatmap(lambda name: place_files(name, table)),
    )


def label() -> SearchStrategy[Case]:
    def arguments(name: str) -> tuple[str, ...]:
        return "label", name, "--strict", "--out", "new/out.csv"

    return st.one_of(
        bad_smiles(samples().smiles).map(
            lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {bad[0]: bad[1]})
        ),
        place_files("a.smi", arguments),
        bad_formats(*arguments("{}")),
    )


def import_models() -> SearchStrategy[Case]:
    good = samples().best_model
    options = (
        "--level",
        "PBE u0",
        "--elements",
        "H,C,N,O,F",
        "--energy",
        "atomization",
        "--out",
        "new/model",
    )

    def arguments(*names: str) -> tuple[str, ...]:
        return "import", *names, *options

    member, gp = samples().model["member_0.pt"], samples().model["gp.pt"]
    bad = bad_bytes(good) | st.sampled_from([member, gp, samples().generator])
    return st.one_of(
        bad.map(lambda bad: Case(f"{bad!r:.100}", arguments("a"), {"a": bad})),
        bad.map(lambda bad: Case(f"second {bad!r:.100}", arguments("a", "b"), {"a": good, "b": bad})),
        place_files("a", arguments),
    )


def _tar(files: Mapping[str, bytes], kind: str = "w:bz2") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=kind) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _bad_xyz() -> SearchStrategy[bytes]:
    lines = QM9_XYZ.split("\n")
    changed = {
        0: ["4", "6", "0", "-5", "five", "", "9" * 5000, "5.0", "99999999"],
        1: [
            "gdb 1",
            "gdb x " + "1 " * 15,
            "qm9 1 " + "1 " * 15,
            "gdb 1 " + "nan " * 15,
            "gdb 1 " + "1e999 " * 15,
        ],
        3: [
            "Qq 0 0 0 0",
            "H 0 0",
            "H a b c 0",
            "H nan 0 0 0",
            "H inf 0 0 0",
            "",
            "6",
            "X 0 0 0 0",
            "He 0 0 0 0",
        ],
        8: ["", "C", "C C C"],
    }
    texts = st.sampled_from([(at, text) for at, options in changed.items() for text in options])
    number = st.sampled_from(["*^", "1.2.3", "--1", "0x1", "1,5", "text", "nan", "inf"])
    first = lines[1].split("\t")
    return st.one_of(
        texts.map(lambda found: "\n".join([*lines[: found[0]], found[1], *lines[found[0] + 1 :]]).encode()),
        st.integers(0, 7).map(lambda n: "\n".join(lines[:n]).encode()),
        st.builds(
            lambda at, bad: "\n".join(
                [lines[0], "\t".join([*first[:at], bad, *first[at + 1 :]]), *lines[2:]]
            ).encode(),
            st.integers(1, 14),
            number,
        ),
        no_text(QM9_XYZ.encode()).filter(lambda content: b"5\ngdb 1\t157" not in content),
    )


def _bad_npz() -> SearchStrategy[bytes]:
    good = samples().npz
    n, m = len(good["n_atoms"]), len(good["Z"])
    everywhere = st.sampled_from(sorted(good)).flatmap(
        lambda name: st.sampled_from(
            [
                {name: None},
                {name: good[name][:-1]},
                {name: good[name][..., None, None]},
                {name: np.array(7)},
                {name: np.array([["a"] * 3] * len(good[name]))},
                {name: np.array([{}] * len(good[name]), dtype=object)},
                {name: np.full(len(good[name]), 1j)},
                {name: np.zeros(0)},
            ]
        )
    )
    odd = st.sampled_from(
        [
            {"n_atoms": np.full(n, -1)},
            {"n_atoms": good["n_atoms"].astype(float) + 0.5},
            {"n_atoms": np.full(n, np.nan)},
            {"n_atoms": np.full(n, 2**62)},
            {"Z": np.full(m, -1)},
            {"Z": np.full(m, 119)},
            {"Z": np.full(m, np.nan)},
            {"Z": np.array(["C"] * m)},
            {"R": np.full((m, 2), 1.0)},
            {"R": np.full((m, 3), np.nan)},
            {"R": np.full((m, 3), np.inf)},
            {"R": np.array([["a", "b", "c"]] * m)},
            {"u0": np.full(n, np.nan)},
            {"u0": np.full(n, np.inf)},
            {"u0": np.array(["text"] * n)},
            {"u0": good["u0"] * 27.2114},
            {"mu": np.full(n, np.nan)},
            {"smiles": np.arange(n)},
            {"smiles": np.array(["C("] * n)},
            {"gdb_id": np.array(["a"] * n)},
            {"gdb_id": np.full(n, np.nan)},
        ]
    )
    return st.one_of(
        (everywhere | odd).map(lambda change: _npz_bytes({**good, **change})),
        bad_bytes(_npz_bytes(good)),
    )


def _npz_bytes(arrays: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    return file.getvalue()


def data_import() -> SearchStrategy[Case]:
    good = samples()

    def arguments(name: str) -> tuple[str, ...]:
        return "data", "import", "qm9", "--from", name, "--to", "new/qm9.db"

    def case(name: str, content: bytes | None, *more: str, **files: bytes) -> Case:
        given = name.split("/")[0]
        return Case(f"{name}: {content!r:.100}", (*arguments(given), *more), {name: content, **files})

    archive = _tar({"a.xyz": QM9_XYZ.encode()})
    # A schnetpack database's own SMILES are not read: those of the geometries count.
    harmless = after_sql(good.schnetpack_database, f"UPDATE systems SET {ONE_SMILES}")
    odd = [bad for bad in odd_databases(good.schnetpack_database) if bad != harmless]
    header = "mol_id,smiles,u0"
    listed = ("--uncharacterized", "list.txt")
    lists = st.sampled_from([b"", b"x", b"0", b"-1", b"133886", b"\xff", b"9" * 5000, b"1.5\n", b"\0"])
    return st.one_of(
        _bad_xyz().map(lambda bad: case("a.xyz", bad)),
        _bad_xyz().map(lambda bad: case("folder/a.xyz", bad)),
        _bad_xyz().map(lambda bad: case("a.tar.bz2", _tar({"a.xyz": bad}))),
        st.binary(max_size=50).map(lambda noise: case("a.tar", _tar({"b.txt": noise}, "w"))),
        st.integers(1, len(archive) - 20).map(lambda n: case("a.tar.bz2", archive[:n])),
        bad_bytes(archive).map(lambda bad: case("a.tar.bz2", bad)),
        _bad_npz().map(lambda bad: case("a.npz", bad)),
        (bad_bytes(good.database) | st.sampled_from(odd)).map(lambda bad: case("a.db", bad)),
        st.just(case("a.db", good.database)),
        st.sampled_from(
            [
                *(f"{header}\ngdb_1,C,{value}" for value in ("nan", "", "text", "inf", "-1.0", "1e999")),
                *(f"{header}\ngdb_1,{smiles},-40.47893" for smiles in ("C(", "", "Qq", "C" * 60_000)),
                *(
                    "smiles,u0",
                    "smiles;u0\nC;1",
                    "",
                    "u0\n1",
                    header,
                    f"{header}\ngdb_1",
                    "\0",
                    f'"{header}\n"',
                ),
                "smiles,u0,x" + "x" * 140_000 + "\nC,-40.47893,1",
                "smiles,u0\nC," + "1" * 140_000,
            ]
        ).map(lambda text: case("a.csv", text.encode())),
        no_text(f"{header}\ngdb_1,C,-40.47893\n".encode()).map(lambda bad: case("a.csv", bad)),
        lists.map(lambda bad: case("a.xyz", QM9_XYZ.encode(), *listed, **{"list.txt": bad})),
        st.sampled_from([b"1\n", b"1"]).map(  # leaves nothing
            lambda ids: case("a.xyz", QM9_XYZ.encode(), *listed, **{"list.txt": ids})
        ),
        st.just(case("a.xyz", QM9_XYZ.encode(), *listed)),
        place_files("a.tar.bz2", arguments),
    )


def import_files() -> SearchStrategy[Case]:
    good = samples()

    def arguments(name: str) -> tuple[str, ...]:
        said = ("--property", "energy", "--unit", "eV", "--kind", "atomization", "--level", "X")
        return "data", "import", name, "--to", "new/own.db", *said

    return st.one_of(
        bad_tables(good.table)
        .filter(lambda bad: not good.table.startswith(bad[1]))  # fewer rows are no fault
        .map(lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {bad[0]: bad[1]})),
        bad_databases(good.database).map(lambda bad: Case(f"{bad!r:.100}", arguments("a.db"), {"a.db": bad})),
        st.sampled_from(["a.csv", "a.db", "a.npz", "a.h5", "a.parquet"]).flatmap(
            lambda name: place_files(name, arguments)
        ),
        bad_formats(*arguments("{}")),
    )


def study() -> SearchStrategy[Case]:
    good = samples().database
    small = ("--sizes", "20", "--seeds", "1", "--test", "10", "--epochs", "1", "--noise-floor", "0")

    def arguments(name: str) -> tuple[str, ...]:
        return "study", "2d-vs-3d", name, "--out", "new/study", *small

    damaged = st.sampled_from([b"", b"{", b"7", b"[]", b"null", b"{}", b"\xff", b"[1, 2]", b"[" * 50_000])
    noise = st.binary(max_size=50).map(lambda text: b"\x80" + text)
    return st.one_of(
        bad_databases(good).map(lambda bad: Case(f"{bad!r:.100}", arguments("a.db"), {"a.db": bad})),
        bad_databases(good).map(
            lambda bad: Case(f"{bad!r:.100}", (*arguments("a.db")[:5], "--original"), {"a.db": bad})
        ),
        (damaged | noise).map(
            lambda bad: Case(f"{bad!r:.100}", arguments("a.db"), {"a.db": good, "new/study/study.json": bad})
        ),
        st.just(Case("too few", arguments("a.db"), {"a.db": good})),
        place_files("a.db", arguments),
    )
