"""Malformed databases."""

from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import bad_bytes
from malformed.samples import after_sql, samples

ONE_SMILES = """key_value_pairs = '{"smiles": "CCO", "gdb_id": "a"}'"""
_ROWS = (
    "numbers = NULL",
    "numbers = x'01'",
    "numbers = 'text'",
    "numbers = x'ff000000'",
    "numbers = zeroblob(length(numbers))",
    "positions = NULL",
    "positions = x'01'",
    "positions = zeroblob(24)",
    "positions = 7",
    "key_value_pairs = '{}'",
    "key_value_pairs = '[]'",
    "key_value_pairs = '7'",
    "key_value_pairs = 'text'",
    "key_value_pairs = NULL",
    """key_value_pairs = '{"smiles": 7, "gdb_id": 1}'""",
    """key_value_pairs = '{"smiles": "C(", "gdb_id": 1}'""",
    ONE_SMILES,
    "data = NULL",
    "data = x'00'",
    "data = zeroblob(64)",
    "data = 'text'",
    "data = 7",
    "data = x'0800000000000000' || cast('{}' as blob)",
    """data = cast(x'1000000000000000' || x'000000000000f87f' || '{"energy_U0": {"__ndarray__": """
    """[[1], "float64", 8]}}' as blob)""",
)
"""Changes of every row."""


@cache
def odd_databases(good: bytes) -> tuple[bytes, ...]:
    metadata = "UPDATE information SET value = {} WHERE name = 'metadata'"
    changes = [
        ("$.alkit", "'text'"),
        ("$.alkit", "json('[]')"),
        ("$.alkit", "7"),
        ("$.alkit.format", "99"),
        ("$.alkit.level", "7"),
        ("$.alkit.level", "json('[]')"),
        ("$.alkit.geometry", "'none at all'"),
        ("$._property_unit_dict", "json('[]')"),
        ("$._property_unit_dict", "7"),
        ("$._property_unit_dict", "json('{}')"),
        ("$._property_unit_dict.energy_U0", "7"),
        ("$._property_unit_dict.energy_U0", "'furlong'"),
        ("$.atomrefs", "7"),
        ("$.atomrefs.energy_U0", "'text'"),
        ("$.atomrefs.energy_U0", "json('[]')"),
        ("$.atomrefs.energy_U0", """json('["a", "b"]')"""),
        ("$.atomrefs.energy_U0", "json('[1.0, 2.0]')"),
    ]
    whole = ("'7'", "'[]'", "'null'", "'{'", "'\"text\"'", "''", "'{}'", f"'{'[' * 5000}'", "x'ff'", "NULL")
    return (
        *(after_sql(good, metadata.format(f"json_set(value, '{path}', {value})")) for path, value in changes),
        *(after_sql(good, metadata.format(value)) for value in whole),
        *(after_sql(good, f"UPDATE systems SET {change}") for change in _ROWS),
        after_sql(good, "DELETE FROM information"),
        after_sql(good, "DELETE FROM systems"),
        after_sql(good, "DROP TABLE systems"),
        after_sql(good, "DROP TABLE information"),
        after_sql(b"", "CREATE TABLE t (a)"),
        after_sql(b"", "CREATE TABLE information (name, value)", "CREATE TABLE systems (id, numbers)"),
        samples().campaign["ledger.sqlite"],
    )


def bad_databases(good: bytes) -> SearchStrategy[bytes]:
    page = 4096
    return st.one_of(
        bad_bytes(good),
        st.sampled_from(odd_databases(good)),
        st.sampled_from(odd_databases(good)),
        st.integers(1, len(good) // page // 2).map(lambda n: good[: n * page]),
        st.binary(min_size=4, max_size=4).map(
            lambda noise: good[:page] + noise * (len(good) // 4 - page // 4)
        ),
    )
