"""Malformed SMILES files and tables."""

import gzip

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import bombs
from malformed.samples import SMILES, table_bytes

_UNREADABLE = st.one_of(
    st.sampled_from(
        ["C(C", "C1CC", "Xx", "[C", "c1cc", "CC)", "C(=O", "C==C", "[Zz]", "F(C)C", "%", "C[", "--"]
    ),
    st.integers(1, 400).map(lambda n: "C" * n + "("),
    st.sampled_from([2_000, 20_000, 60_000]).map(lambda n: "C(" * n),
    st.sampled_from([60_000, 200_000]).map(lambda n: "C" * n),  # RDKit reads it, and dies of writing it
    st.text(st.sampled_from("CNO()[]=#%@/\\123"), max_size=12).map(lambda text: f"C({text}]"),
    st.text(st.characters(categories=["L", "So", "Sc"]), min_size=1, max_size=8).map(lambda text: f"é{text}"),
)


def no_text(good: bytes) -> SearchStrategy[bytes]:
    """In place of a text file: what is no text in UTF-8."""
    text = good.decode()
    return st.one_of(
        st.binary(max_size=200).map(lambda noise: b"\xff" + noise),
        st.binary(min_size=1, max_size=40).map(lambda noise: good + b"\n\xc3\x28" + noise),
        st.sampled_from(["utf-16", "utf-16-be", "utf-16-le", "utf-32"]).map(lambda name: text.encode(name)),
        st.integers(1, 300).map(bytes),
        st.integers(0, len(text)).map(lambda n: f"{text[:n]}\0{text[n:]}".encode()),
        st.integers(5, 30).map(lambda n: gzip.compress(good)[:-n]),
        st.binary(min_size=10, max_size=50).map(lambda noise: b"\x1f\x8b\x08\0" + noise),
        st.integers(20, 60).map(lambda n: gzip.compress(good)[:-8][:n] + b"\0" * 20),
        st.sampled_from(bombs()).map(lambda bomb: b"\x80" + bomb),
    )


def bad_smiles(good: bytes, *, every_line: bool = True) -> SearchStrategy[tuple[str, bytes]]:
    """Name and content of a SMILES file. Without ``every_line`` only what no line of can be read counts."""
    lines = good.decode().split("\n")
    empty = st.text(st.sampled_from(" \n\t"), max_size=20) | st.text(
        st.characters(codec="ascii", exclude_characters="\r\n", exclude_categories=["C"]), max_size=30
    ).map(lambda text: f"# {text}\n\nsmiles\n"[: 40 if text else 3].replace("smiles\n", ""))
    kinds: list[SearchStrategy[tuple[str, bytes]]] = [
        empty.map(lambda text: ("a.smi", text.encode())),
        no_text(good).map(lambda content: ("a.smi", content)),
        no_text(good).map(lambda content: ("a.smi.gz", content)),
        st.sampled_from(["molecule,energy", "molecule;energy", '"smiles']).map(
            lambda header: ("a.csv", table_bytes(zip(lines, lines, strict=True), header, ";"))
        ),
        st.sampled_from(["", "\n\n", "smiles,energy\n"]).map(lambda text: ("a.csv", text.encode())),
        st.integers(132_000, 140_000).map(lambda n: ("a.csv", b"x" * n + b",smiles\nCCO,1")),
    ]
    if every_line:
        kinds += [
            st.builds(
                lambda at, bad: ("a.smi", "\n".join([*lines[:at], bad, *lines[at:]]).encode()),
                st.integers(0, len(lines)),
                _UNREADABLE,
            ),
            st.lists(_UNREADABLE, min_size=1, max_size=5).map(lambda bad: ("a.smi", "\n".join(bad).encode())),
            st.builds(
                lambda bad, name: (f"a.{name}", table_bytes([(bad, 1)])),
                _UNREADABLE,
                st.sampled_from(["csv"]),
            ),
            _UNREADABLE.map(lambda bad: ("a.csv", f'smiles,energy\nCCO,1\n"{bad}\n'.encode())),
        ]
    return st.one_of(kinds)


def bad_tables(good: bytes) -> SearchStrategy[tuple[str, bytes]]:
    """Name and content of a table of SMILES with energies."""
    lines = good.decode().split("\n")
    value = st.sampled_from(
        ["nan", "inf", "-Infinity", "", "many", "1,5", "1e999", "0x10", "--1", "[1]", "١e"]
    )
    return st.one_of(
        bad_smiles("\n".join(SMILES).encode()).filter(lambda found: found[0] == "a.csv"),
        no_text(good).map(lambda content: ("a.csv", content)),
        st.builds(
            lambda at, bad: (
                "a.csv",
                "\n".join([*lines[:at], f'CCCCC,"{bad}"', *lines[at:]]).encode(),
            ),
            st.integers(1, len(lines)),
            value,
        ),
        st.builds(
            lambda at, bad: ("a.csv", "\n".join([*lines[:at], f"{bad},1.0", *lines[at:]]).encode()),
            st.integers(1, len(lines)),
            _UNREADABLE,
        ),
        st.integers(1, 18).map(lambda n: ("a.csv", "\n".join(lines[:n]).encode())),  # too few
        st.floats(-50, -1).map(lambda v: ("a.csv", "\n".join([*lines, f"OCC,{v!r}"]).encode())),  # another
        st.sampled_from(["smiles", "energy", "smiles,Energy", "energy;smiles", "smiles\tenergy"]).map(
            lambda header: ("a.csv", "\n".join([header, *lines[1:]]).encode())
        ),
        st.just(("a.tsv", good)),
    )
