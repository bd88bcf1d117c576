"""Malformed campaign folders."""

from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import bad_bytes, place_files
from malformed.cases import Case
from malformed.samples import after_sql, samples


@cache
def _odd_ledgers() -> tuple[bytes, ...]:
    good = samples().campaign["ledger.sqlite"]
    config = "UPDATE meta SET value = '{}' WHERE key = 'config'"
    return (
        after_sql(good, "UPDATE meta SET value = '99' WHERE key = 'format'"),
        after_sql(good, "DELETE FROM meta WHERE key = 'format'"),
        after_sql(good, "DELETE FROM meta WHERE key = 'config'"),
        after_sql(good, "DELETE FROM meta"),
        after_sql(good, "DROP TABLE meta"),
        after_sql(good, "DROP TABLE candidates"),
        *(
            after_sql(good, config.format(text))
            for text in ("", "{", "7", "[]", "null", '{"name": 1}', '"a"', "[" * 5000)
        ),
        after_sql(b"", "CREATE TABLE t (a)"),
        after_sql(b"", "CREATE TABLE meta (key, value)"),
        after_sql(b"", "CREATE TABLE meta (key, value)", "INSERT INTO meta VALUES ('format', '1')"),
        after_sql(b"", "CREATE TABLE meta (a, b)", "INSERT INTO meta VALUES ('format', '1')"),
        samples().database,
    )


def _bad_campaigns(arguments: Callable[[str], tuple[str, ...]]) -> SearchStrategy[Case]:
    good = samples().campaign["ledger.sqlite"]
    pages = len(good) // 4096
    ledgers = st.one_of(
        bad_bytes(good),
        st.sampled_from(_odd_ledgers()),
        st.sampled_from(_odd_ledgers()),
        st.binary(min_size=4, max_size=4).map(lambda noise: good[:4096] + noise * 1024 * (pages - 1)),
    )
    return st.one_of(
        ledgers.map(lambda bad: Case(f"{bad!r:.80}", arguments("run"), {"run/ledger.sqlite": bad})),
        ledgers.map(lambda bad: Case(f"{bad!r:.80}", arguments("run"), {"run/ledger.sqlite": bad})),
        st.just(Case("an empty folder", arguments("run"), {"run": None})),
        st.just(Case("ledger is a folder", arguments("run"), {"run/ledger.sqlite": None})),
        st.binary(max_size=20).map(
            lambda noise: Case("no ledger", arguments("run"), {"run/campaign.yaml": noise})
        ),
        place_files("run", arguments),
    )


def campaign_status() -> SearchStrategy[Case]:
    return _bad_campaigns(lambda folder: ("campaign", "status", folder))


def campaign_report() -> SearchStrategy[Case]:
    return _bad_campaigns(lambda folder: ("campaign", "report", folder))


def campaign_ledger() -> SearchStrategy[Case]:
    return st.sampled_from([(), ("--out", "new.csv"), ("--out", "new.db"), ("--out", "new.extxyz")]).flatmap(
        lambda more: _bad_campaigns(lambda folder: ("campaign", "ledger", folder, *more))
    )
