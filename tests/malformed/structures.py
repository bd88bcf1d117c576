"""Malformed files of molecules with geometries."""

from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import bad_bytes, place_files
from malformed.cases import Case
from malformed.formats import bad_formats
from malformed.samples import after_sql, samples, under
from malformed.tables import bad_smiles, no_text

_EXTXYZ = '3\nProperties=species:S:1:pos:R:3 smiles="O" pbc="F F F"\nO 0 0 0.1\nH 0 0.7 -0.4\nH 0 -0.7 -0.4\n'
_BAD_STRUCTURES = (
    *(_EXTXYZ.replace("0.7", value, 1) for value in ("nan", "inf", "text", "", "1e999", "--1", "0.7.1")),
    *(_EXTXYZ.replace("3", value, 1) for value in ("4", "-1", "0", "x", "99999999", "1e3", "9" * 5000, "")),
    *(_EXTXYZ.replace("O 0", f"{value} 0", 1) for value in ("Qq", "999", "", "O O O")),
    _EXTXYZ.replace("F F F", "T T T"),
    _EXTXYZ.replace('smiles="O"', "charge=1"),
    _EXTXYZ.replace("species:S:1:pos:R:3", "species:S:1:pos:R:9"),
    _EXTXYZ.replace("species:S:1:pos:R:3", "pos:R:3"),
    _EXTXYZ.replace("species:S:1:pos:R:3", "::::"),
    _EXTXYZ.replace('pbc="F F F"', 'pbc="F F'),
    _EXTXYZ.replace('pbc="F F F"', 'Lattice="1 2"'),
)


def _bad_structures() -> SearchStrategy[tuple[str, bytes]]:
    good = samples()
    names = st.sampled_from(["a.xyz", "a.extxyz"])
    return st.one_of(
        st.tuples(st.just("a.extxyz"), st.sampled_from(_BAD_STRUCTURES).map(str.encode)),
        st.tuples(names, st.integers(1, len(_EXTXYZ) - 12).map(lambda n: _EXTXYZ[:n].encode())),
        st.tuples(names, no_text(_EXTXYZ.encode())),
        st.tuples(names, st.sampled_from([b"", b"\n\n", b"CCO\nCCN\n", b"{}"])),
        st.tuples(st.just("a.db"), bad_bytes(good.database)),
        st.tuples(st.just("a.db"), st.sampled_from(_structureless(good.database))),
        st.tuples(st.just("a.traj"), bad_bytes(b"- of Ulm" + bytes(400))),
    )


@cache
def _structureless(good: bytes) -> tuple[bytes, ...]:
    return (
        after_sql(good, "DELETE FROM systems"),
        after_sql(good, "DROP TABLE systems"),
        after_sql(good, "DROP TABLE information"),
        after_sql(b"", "CREATE TABLE t (a)"),
        *(
            after_sql(good, f"UPDATE systems SET {change}")
            for change in (
                *(
                    "numbers = NULL",
                    "numbers = x'01'",
                    "numbers = 'text'",
                    "positions = NULL",
                    "positions = 7",
                ),
                *("positions = x'01'", "key_value_pairs = '7'", "key_value_pairs = 'text'"),
                "positions = x'000000000000f87f000000000000f87f000000000000f87f', numbers = x'01000000'",
            )
        ),
    )


def predict_molecules() -> SearchStrategy[Case]:
    good = samples()

    def smiles(name: str) -> tuple[str, ...]:
        return "predict", "model", name, "--out", "new/out.csv"

    model, own = under("model", good.model), under("model", good.structures_model)
    return st.one_of(
        bad_smiles(good.smiles, every_line=False).map(
            lambda bad: Case(f"{bad!r:.100}", smiles(bad[0]), {**model, bad[0]: bad[1]})
        ),
        _bad_structures().map(lambda bad: Case(f"{bad!r:.200}", smiles(bad[0]), {**own, bad[0]: bad[1]})),
        st.sampled_from(["a.smi", "a.csv", "a.extxyz"]).flatmap(
            lambda name: place_files(name, smiles, model)
        ),
        bad_formats(*smiles("{}"), files=own),
        st.just(Case("SMILES for structures", smiles("a.smi"), {**own, "a.smi": good.smiles})),
        st.just(Case("structures for SMILES", smiles("a.xyz"), {**model, "a.xyz": _EXTXYZ.encode()})),
    )
