"""Malformed campaign folders."""

from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import bad_bytes, place_files
from malformed.cases import Case
from malformed.formats import bad_formats
from malformed.samples import after_sql, samples
from malformed.tables import bad_tables, no_text


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


def campaign_ask() -> SearchStrategy[Case]:
    return _bad_campaigns(lambda folder: ("campaign", "ask", folder))


def campaign_fork() -> SearchStrategy[Case]:
    return _bad_campaigns(lambda folder: ("campaign", "fork", folder, "new"))


def campaign_tell() -> SearchStrategy[Case]:
    """Labels for a campaign that waits for those of other molecules, or for folders that are no campaign."""
    run = {f"run/{name}": content for name, content in samples().waiting.items()}

    def arguments(name: str) -> tuple[str, ...]:
        return "campaign", "tell", "run", name

    tables = bad_tables(samples().table) | no_text(samples().table).map(lambda content: ("a.csv", content))
    rows = st.sampled_from(
        [
            b"smiles,energy_eV\nCCCCC,nan\n",
            b"smiles,energy_eV\nCCCCC,-1e300\n",
            b"smiles,energy_eV\nCCCCC,-1,5\n",
            b"smiles,energy_eV,reason\nCCCCC,-80,timeout\n",
            b"smiles,energy_eV,energy_eV\nCCCCC,-80,-81\n",
            b"id,energy_eV\n1e999,-80\n",
            b"energy_eV\n-80\n",
            b"smiles\nCCCCC\n",
            b"smiles,energy_hartree\nCCCCC,-3\n",
        ]
    )
    return st.one_of(
        tables.map(lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {**run, bad[0]: bad[1]})),
        rows.map(lambda bad: Case(f"{bad!r:.100}", arguments("a.csv"), {**run, "a.csv": bad})),
        bad_formats(*arguments("{}"), files=run),
        _bad_campaigns(lambda folder: ("campaign", "tell", folder, "a.csv")),
    )


def campaign_report() -> SearchStrategy[Case]:
    return _bad_campaigns(lambda folder: ("campaign", "report", folder))


def campaign_ledger() -> SearchStrategy[Case]:
    return st.sampled_from([(), ("--out", "new.csv"), ("--out", "new.db"), ("--out", "new.extxyz")]).flatmap(
        lambda more: _bad_campaigns(lambda folder: ("campaign", "ledger", folder, *more))
    )
