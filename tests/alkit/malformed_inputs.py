"""Malformed inputs of every command that reads a file, and what a command must do with them.

Shared by `test_malformed.py` (a few examples of each command) and `benchmarks/malformed.py` (200 of each). An
input is a folder of files and a command line; none of them is right by accident.
"""

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import os
import pickle
import sqlite3
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Files = Mapping[str, bytes | None]  # None is a folder
_LONGEST = 1500  # characters of a sentence


@dataclass(frozen=True)
class Case:
    """Files of a folder, the command line that is run in it, and what is wrong with it."""

    what: str
    arguments: tuple[str, ...]
    files: Files = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, standard error, the traceback if there was one, the paths that were
    written, changed or lost, and seconds."""

    code: int
    err: str
    traceback: str
    written: tuple[str, ...]
    seconds: float

    @property
    def faults(self) -> list[str]:
        """What is wrong with that; empty if the input was refused as it should be."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        last = lines[-1] if lines else ""
        usage = "Usage:" in self.err and "Error" in self.err  # Typer's own, of options
        said = [line for line in lines if line.startswith("alkit: ")]
        found = []
        if self.traceback or "Traceback" in self.err:
            found.append(f"traceback: {self.traceback or self.err}")
        if self.code != 2:
            found.append(f"exit code {self.code}")
        if self.written:
            found.append(f"written: {', '.join(self.written)}")
        if not usage and not (len(said) == 1 and last == said[0] and len(last) > len("alkit: ") + 10):
            found.append(f"not one sentence at the end: {self.err!r:.500}")
        if not usage and (len(last) > _LONGEST or not last.isprintable()):
            found.append(f"a sentence of {len(last)} characters, or with unprintable ones: {last!r:.500}")
        return found


def run(case: Case) -> Outcome:
    """Run a case in a folder of its own, in this process."""
    from alkit.cli import app

    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for name, content in case.files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if content is None else path.write_bytes(content)
        cache_before = os.environ.get("ALKIT_LABEL_CACHE")
        os.environ["ALKIT_LABEL_CACHE"] = str(Path(scratch, "labels.sqlite"))
        before, err, trace, code = _tree(), io.StringIO(), "", 0
        started = time.perf_counter()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
                app.main(list(case.arguments))
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1 if ending.code else 0
        except Exception:  # whatever escapes is what this is about
            trace, code = traceback.format_exc(), 1
        seconds = time.perf_counter() - started
        if cache_before is None:
            del os.environ["ALKIT_LABEL_CACHE"]
        else:
            os.environ["ALKIT_LABEL_CACHE"] = cache_before
        after = _tree()
    written = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return Outcome(code, err.getvalue(), trace, tuple(written), seconds)


def _tree() -> dict[str, str]:
    return {
        str(path): "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path().rglob("*")
        # SQLite's own: of a damaged ledger in WAL mode it leaves them also where it may only read.
        if not path.name.endswith(("ledger.sqlite-shm", "ledger.sqlite-wal"))
    }


# --- what is right ------------------------------------------------------------------------------------


SMILES = (
    *("CCO", "CCN", "CCC", "CC=O", "C#N", "CO", "CCCO", "CCCN", "CC(C)O", "COC", "CC#N", "C=O", "C1CC1"),
    *("CCCC", "CC(C)C", "C=C", "CC=C", "OCCO", "NCCN", "CC(=O)O", "CC(N)=O", "CNC", "CF", "FCF", "OCF"),
)
_ENERGIES = {1: -13.6, 6: -1029.0, 7: -1485.0, 8: -2042.0, 9: -2713.0}  # eV
_QM9_XYZ = """5
gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t35.3641\t0.044749\t-40.47893\t\
-40.476062\t-40.475117\t-40.498597\t6.469
C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689
H\t 0.002150416\t-0.0060313176\t 0.0019761204\t 0.133921
H\t 1.0117308433\t 1.4637511618\t 0.0002765748\t 0.133922
H\t-0.540815069\t 1.4475266138\t-0.8766437152\t 0.133923
H\t-0.5238136345\t 1.4379326443\t 0.9063972942\t 0.133923
1341.307\t1341.3284\t1341.365\t1562.6731\t1562.7453\t3038.3205\t3151.6034\t3151.6788\t3151.7078
C\tC
InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4
"""


@dataclass(frozen=True)
class Samples:
    """Small inputs of every kind that are right, as the contents of their files."""

    smiles: bytes
    table: bytes  # smiles and energy
    model: Mapping[str, bytes]  # a folder
    structures_model: Mapping[str, bytes]  # one of the data set's own geometries
    generator: bytes
    best_model: bytes  # schnetpack's
    database: bytes
    schnetpack_database: bytes
    campaign: Mapping[str, bytes]  # a folder
    npz: Mapping[str, np.ndarray]
    xyz: str = _QM9_XYZ


@cache
def samples() -> Samples:
    """Made once in a process, in a few seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        return _samples(Path(scratch))


def _samples(folder: Path) -> Samples:
    from alkit.datasets import Record, create_database
    from alkit.models.store import Provenance
    from alkit.molecules.conformers import embed
    from alkit.standalone import schnetpack_io
    from generator import GeneratorSettings, GraphGAN
    from surrogate import Ensemble, ModelSettings, TrainingSettings, graph_3d

    molecules = [embed(one, geometry="etkdg") for one in SMILES]
    values = np.array([-4.0 * len(one.numbers) for one in molecules])
    graphs = [graph_3d(one.numbers, one.positions, cutoff=4.0) for one in molecules]
    settings = ModelSettings(features=8, interactions=1, gaussians=5, cutoff=4.0)
    ensemble = Ensemble.fit(
        settings,
        TrainingSettings(epochs=1),
        training=(graphs[:15], values[:15]),
        validation=(graphs[15:], values[15:]),
        members=2,
        seed=0,
    )
    for name, geometry in (("model", "etkdg"), ("structures", "dataset")):
        Provenance(geometry, 0, 1, "GFN2-xTB u0 [eV]", len(graphs)).save(folder / name)
        ensemble.save(folder / name)
    schnetpack_io.export_model(folder / "model", folder / "best_model", member=0, absolute=False)
    gan = GraphGAN(GeneratorSettings(max_atoms=4, hidden=8, batch_size=8), seed=0)
    gan.fit(SMILES, steps=1, adversarial_steps=0, seed=0)
    gan.save(folder / "generator.pt")
    records = [
        Record(m.smiles, m.numbers, m.positions, {"energy_U0": sum(_ENERGIES[z] - 4.0 for z in m.numbers)})
        for m in molecules
    ]
    create_database(
        folder / "data.db",
        records,
        units={"energy_U0": "eV"},
        level="made up",
        geometry="dataset",
        source="test",
        atomrefs={"energy_U0": _ENERGIES},
    )
    database = (folder / "data.db").read_bytes()
    foreign = _sql(database, "UPDATE information SET value = json_remove(value, '$.alkit')")
    _campaign(folder / "run")
    return Samples(
        smiles="\n".join(SMILES).encode(),
        table=_table(zip(SMILES, values, strict=True)),
        model=_folder(folder / "model"),
        structures_model=_folder(folder / "structures"),
        generator=(folder / "generator.pt").read_bytes(),
        best_model=(folder / "best_model").read_bytes(),
        database=database,
        schnetpack_database=foreign,
        campaign=_folder(folder / "run"),
        npz=_npz(molecules),
    )


def _campaign(folder: Path) -> None:
    """A folder as `alkit campaign run` leaves it, without the work."""
    from alkit.config.loading import check_config
    from alkit.simulators.base import Level
    from alkit.storage.ledger import Ledger

    folder.mkdir()
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.set_meta("config", json.dumps(check_config({"name": "x", "proposer": "generator"}).as_dict()))
    ledger.level = Level("GFN2-xTB", "u0")
    with ledger.stage(0, "draw"):
        ledger.add_candidates(0, SMILES * 40)
    ledger.close()


def _npz(molecules: list[Any]) -> dict[str, np.ndarray]:
    names = (
        "A",
        "B",
        "C",
        "mu",
        "alpha",
        "homo",
        "lumo",
        "gap",
        "r2",
        "zpve",
        "u0",
        "u298",
        "h298",
        "g298",
        "cv",
    )
    n = len(molecules)
    hartree = {1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.71873}
    energies = np.array([sum(hartree[z] - 0.15 for z in one.numbers.tolist()) for one in molecules])
    return {
        "gdb_id": np.arange(1, n + 1),
        "n_atoms": np.array([len(one.numbers) for one in molecules]),
        "Z": np.concatenate([one.numbers for one in molecules]),
        "R": np.concatenate([one.positions for one in molecules]),
        "smiles": np.array([one.smiles for one in molecules]),
        **{name: energies.copy() for name in names},
    }


def _folder(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def _under(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def _table(rows: Iterable[tuple[Any, Any]], header: str = "smiles,energy", between: str = ",") -> bytes:
    return "\n".join([header, *(f"{one}{between}{value}" for one, value in rows)]).encode()


def _sql(database: bytes, *statements: str) -> bytes:
    """A database after some statements."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "a.db")
        path.write_bytes(database)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return path.read_bytes()


# --- what is wrong with any file ----------------------------------------------------------------------


class _Bomb:
    """Its pickle runs a command that leaves a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


@cache
def _bombs() -> tuple[bytes, ...]:
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


def _binary(good: bytes) -> SearchStrategy[bytes]:
    """In place of a file that is binary: nothing, noise, a part of it, another format, code."""
    return st.one_of(
        st.just(b""),
        st.binary(min_size=1, max_size=300),
        st.integers(1, len(good) // 3).map(lambda n: good[:n]),
        st.binary(min_size=30, max_size=300).map(lambda noise: good[:100] + noise),
        st.just(bytes(len(good))),
        st.text(min_size=1, max_size=50).map(lambda text: json.dumps({"text": text}).encode()),
        st.sampled_from(["utf-16", "utf-8", "latin-1"]).map("<html>not found</html>".encode),
        st.sampled_from(_bombs()),
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


def _place(
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


# --- SMILES and tables --------------------------------------------------------------------------------

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


def _no_text(good: bytes) -> SearchStrategy[bytes]:
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
        st.sampled_from(_bombs()).map(lambda bomb: b"\x80" + bomb),
    )


def _bad_smiles(good: bytes, *, every_line: bool = True) -> SearchStrategy[tuple[str, bytes]]:
    """Name and content of a SMILES file. Without ``every_line`` only what no line of can be read counts."""
    lines = good.decode().split("\n")
    empty = st.text(st.sampled_from(" \n\t"), max_size=20) | st.text(
        st.characters(codec="ascii", exclude_characters="\r\n", exclude_categories=["C"]), max_size=30
    ).map(lambda text: f"# {text}\n\nsmiles\n"[: 40 if text else 3].replace("smiles\n", ""))
    kinds: list[SearchStrategy[tuple[str, bytes]]] = [
        empty.map(lambda text: ("a.smi", text.encode())),
        _no_text(good).map(lambda content: ("a.smi", content)),
        _no_text(good).map(lambda content: ("a.smi.gz", content)),
        st.sampled_from(
            ["molecule,energy", "SMILES;energy", "smiles;energy", "smiles\tenergy", '"smiles']
        ).map(lambda header: ("a.csv", _table(zip(lines, lines, strict=True), header, ";"))),
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
                lambda bad, name: (f"a.{name}", _table([(bad, 1)])), _UNREADABLE, st.sampled_from(["csv"])
            ),
            _UNREADABLE.map(lambda bad: ("a.csv", f'smiles,energy\nCCO,1\n"{bad}\n'.encode())),
        ]
    return st.one_of(kinds)


def _bad_tables(good: bytes) -> SearchStrategy[tuple[str, bytes]]:
    """Name and content of a table of SMILES with energies."""
    lines = good.decode().split("\n")
    value = st.sampled_from(
        ["nan", "inf", "-Infinity", "", "many", "1,5", "1e999", "0x10", "--1", "[1]", "١e"]
    )
    return st.one_of(
        _bad_smiles("\n".join(SMILES).encode()).filter(lambda found: found[0] == "a.csv"),
        _no_text(good).map(lambda content: ("a.csv", content)),
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


# --- campaign files -----------------------------------------------------------------------------------

_TEXTS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
_WHOLE = st.sampled_from(
    [-1, -(10**25), 1.5, float("nan"), float("inf"), "many", True, [1], {"a": 1}, "", "1_"]
)
_REAL = st.sampled_from(
    [-1.0, -1e300, float("nan"), float("-inf"), "many", True, [1.0], {"a": 1}, "", "1.0.0"]
)
_CHOICE = _TEXTS.map(lambda text: f"no {text}") | st.sampled_from([7.5, [1], {"a": 1}, True, ""])
_SECTION = st.sampled_from([7, [1], "text", 1.5, True, [[]], ["a", "b"]])
_KEYS: dict[str, SearchStrategy[Any]] = {
    **dict.fromkeys(("seed", "batch_size", "domain.max_heavy_atoms", "stop.rounds", "stop.labels"), _WHOLE),
    **dict.fromkeys(("start.training", "start.validation", "start.test", "surrogate.members"), _WHOLE),
    **dict.fromkeys(
        ("surrogate.features", "surrogate.epochs", "surrogate.gaussians", "stop.plateau"), _WHOLE
    ),
    **dict.fromkeys(("proposer.per_round", "proposer.steps", "proposer.adversarial_steps"), _WHOLE),
    **dict.fromkeys(("simulator.workers", "simulator.labels_per_worker"), _WHOLE),
    **dict.fromkeys(("surrogate.lr", "surrogate.cutoff", "surrogate.weight_decay", "surrogate.ema"), _REAL),
    **dict.fromkeys(("proposer.steering", "proposer.replay", "simulator.timeout", "stop.hours"), _REAL),
    **dict.fromkeys(("target", "surrogate.mode", "surrogate.geometry", "surrogate.learning"), _CHOICE),
    **dict.fromkeys(("surrogate.device", "surrogate.precision", "proposer.kind", "acquisition"), _CHOICE),
    **dict.fromkeys(("domain", "start", "surrogate", "stop", "tracking"), _SECTION),
    "proposer": _SECTION.filter(lambda value: value != "generator"),
    "simulator": _SECTION,
    "domain.elements": st.sampled_from([[], ["Qq"], ["C", "C"], "C", [6], {"C": 1}, None, ["X"], [["C"]]]),
    "name": st.sampled_from(
        ["", "a/b", "../up", ".hidden", "a b", 7, ["a"], "a\0b", "\u202e", "-x", None, "é"]
    ),
    "folder": st.sampled_from([7, ["a"], {"a": 1}, "a\0b", True]),
    "seeds": st.sampled_from(
        [7, ["a"], "absent.smi", "a\0b", "campaign.yaml/x", "x" * 300, ".", "", "/dev/null/a"]
    ),
    "dataset": st.sampled_from([7, ["a"], "absent.db", "a\0b", "campaign.yaml/x", "x" * 300, ".", ""]),
    "surrogate.uncertainty": st.sampled_from([[], "gp", ["gap"], 7, {"gp": 1}, [7], None]),
    "acquisition.name": st.sampled_from(
        ["./absent.py:score", "./campaign.yaml:x", "lcdm", 7, None, ["lcmd"], ":"]
    ),
    "acquisition.settings": st.sampled_from([7, ["a"], "text", {"no_such": 1}, None]),
    "simulator.kind": st.sampled_from(
        ["./absent.py:Simulator", "xbt", 7, None, ["xtb"], ":", "a.py:", "lookup"]
    ),
    "simulator.settings": st.sampled_from([7, ["a"], {"no_such": 1}, {"method": "DFT"}, {"method": [1]}]),
    "simulator.engine": _CHOICE,
    "simulator.cache": st.sampled_from([7, ["a"], {"a": 1}, "a\0b"]),
    "tracking.uri": st.sampled_from([7, ["a"], None, {"a": 1}]),
}
_QUICKSTART = {
    "name": "quickstart",
    "seed": 7,
    "target": "u0",
    "domain": {"elements": ["H", "C", "N", "O", "F"], "max_heavy_atoms": 7},
    "start": {"training": 80, "validation": 40, "test": 100},
    "proposer": {"kind": "generator", "per_round": 400, "steps": 500, "adversarial_steps": 40},
    "surrogate": {"mode": "3d", "geometry": "mmff", "members": 3, "features": 64},
    "acquisition": {"name": "lcmd"},
    "batch_size": 60,
    "simulator": {"kind": "xtb", "workers": 2, "timeout": 120},
    "stop": {"rounds": 3},
}
_QUICKSTART_TEXT = yaml.safe_dump(_QUICKSTART, sort_keys=False)
_NOT_YAML = (
    "name: [a\n",
    "name: 'a\n",
    "\tname: a\n",
    "name: a\n  seed: 1\n",
    "name: a: b\n",
    "- name: a\n",
    "{name: a",
    "name: &a\nseed: *b\n",
    "%YAML 9.9\n---\nname: a\n",
    "name: a\n---\nname: b\n",
    "name: !!python/object/apply:os.system ['touch executed']\n",
    "!!python/object/new:os.system ['touch executed']\n",
    "name: !!python/name:os.system\n",
    "name: a\nproposer: generator\nseed: !!int many\n",
    "name: a\nproposer: generator\nbatch_size: !!float x\n",
    "name: a\nproposer: generator\nseeds: !!binary '*'\n",
    "name: 2020-13-45\nproposer: generator\n",
    "name: 2020-01-01 99:99:99\nproposer: generator\n",
    f"name: a\nproposer: generator\nseed: {'9' * 5000}\n",
    "name: a\nproposer: generator\nseed: 0b\n",
    "name: a\nproposer: generator\nseed: 1:99:99999999\n",
    'name: "\\ud800"\nproposer: generator\n',
    'name: a\nproposer: "\\ud800"\n',
    "name: a\nproposer: generator\n? [1, 2]\n: 3\n",
    "name: a\nproposer: generator\n? {a: 1}\n: 3\n",
    "name: a\nproposer: generator\n1: 3\n",
    "name: a\nproposer: generator\nnull: 3\n",
    "name: a\nproposer: generator\nstart: {1: 3}\n",
    "name: a\nproposer: generator\n<<: 3\n",
    "name: a\nproposer: generator\nstop: &a {rounds: *a}\n",
    "name: a\nproposer: &a {kind: mix, parts: [*a]}\n",
    "&a [*a]\n",
    "&a name: *a\n",
    "name: a\nproposer: generator\nsimulator: &a {kind: xtb, settings: {a: *a}}\n",
    "name: a\nproposer: generator\nacquisition: &a {name: lcmd, settings: *a}\n",
    "text",
    "7",
    "null",
    "true",
    "[]",
    "{}",
)


def _bomb_of_aliases(key: str, depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, depth)]
    return "\n".join(["name: a", "proposer: generator", *lines, f"{key}: *a{depth - 1}", ""])


def _with(key: str, value: Any) -> str:
    found = json.loads(json.dumps(_QUICKSTART))
    *outer, last = key.split(".")
    place = found
    for name in outer:
        place = place.setdefault(name, {})
    place[last] = value
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)


def _bad_yaml() -> SearchStrategy[bytes]:
    lines = _QUICKSTART_TEXT.split("\n")
    keys = [number for number, line in enumerate(lines) if ":" in line]
    wrong = st.sampled_from(sorted(_KEYS)).flatmap(
        lambda key: _KEYS[key].map(lambda value: _with(key, value))
    )
    deep = st.sampled_from([200, 3_000])
    text = st.one_of(
        wrong,
        wrong,
        st.sampled_from(_NOT_YAML),
        st.builds(
            lambda section, key: _with(f"{section}{key}x", 1),
            st.sampled_from(["", "domain.", "start.", "surrogate.", "proposer.", "stop.", "simulator."]),
            _TEXTS,
        ),
        st.sampled_from(keys).map(lambda at: "\n".join([*lines[: at + 1], *lines[at:]])),  # twice
        st.sampled_from(keys[1:]).map(
            lambda at: "\n".join([*lines[:at], "   " + lines[at], *lines[at + 1 :]])
        ),
        st.sampled_from(keys).map(lambda at: "\n".join([*lines[:at], "\t" + lines[at], *lines[at + 1 :]])),
        st.sampled_from(["name", "proposer"]).map(
            lambda key: yaml.safe_dump({k: v for k, v in _QUICKSTART.items() if k != key})
        ),
        deep.map(lambda n: "name: a\nproposer: generator\nstart: " + "[" * n),
        deep.map(lambda n: "name: a\nproposer: generator\nstart: " + "[" * n + "]" * n),
        deep.map(lambda n: "name: a\nproposer: generator\nstart: " + "{a: " * n + "1" + "}" * n),
        st.builds(_bomb_of_aliases, st.sampled_from(["start", "name", "x"]), st.integers(2, 12)),
        st.text(st.sampled_from(" \n#"), max_size=9).map(lambda blank: f"{blank}\n# nothing\n"),
    )
    return st.one_of(
        text.map(lambda found: found.encode("utf-8", "surrogatepass")),
        st.sampled_from([b"", b"\0", b"\xff\xfe", _QUICKSTART_TEXT.encode("utf-16")]),
        st.integers(0, len(_QUICKSTART_TEXT)).map(
            lambda n: _QUICKSTART_TEXT[:n].encode() + b"\xe9\xff" + _QUICKSTART_TEXT[n:].encode()
        ),
        st.binary(max_size=100).map(lambda noise: b"\x80" + noise),
        st.sampled_from(["\x07", "\x1b[31m", "\x7f", "\0"]).map(
            lambda mark: _QUICKSTART_TEXT.replace("quickstart", f"a{mark}b").encode()
        ),
    )


_BAD_CODE = (
    b"def score(:",
    b"raise ValueError('no')",
    b"raise SystemExit(0)",
    b"x = 1",
    b"score = 7",
    b"import no_such_module",
    b"\xff\xfe",
    b"",
    b"def score(pool, context): return 1 / 0\nraise RuntimeError('two\\nlines')",
)


def _bad_beside(command: str) -> SearchStrategy[Case]:
    """A campaign file that is right, and names a file that is not."""
    good = samples()

    def case(key: str, name: str, content: bytes | None, **more: Any) -> Case:
        small = {"training": 5, "validation": 5, "test": 5}  # what alkit enumerates by itself takes seconds
        told = {"name": "x", "proposer": "generator", "start": small, "seeds": "seeds.smi", **more}
        text = yaml.safe_dump({k: v for k, v in told.items() if v is not None})
        return Case(
            f"{key}: {content!r:.60}",
            ("campaign", command, "x.yaml"),
            {"x.yaml": text.encode(), "seeds.smi": good.smiles, name: content},
        )

    def pool(file: str) -> dict[str, Any]:
        return {"kind": "pool", "file": file}

    smiles = _bad_smiles(good.smiles)
    return st.one_of(
        smiles.map(lambda bad: case("seeds", *bad, seeds=bad[0])),
        smiles.map(lambda bad: case("pool", *bad, proposer=pool(bad[0]))),
        _bad_databases(good.database).map(
            lambda bad: case(
                "dataset", "a.db", bad, dataset="a.db", proposer="pool", simulator="lookup", seeds=None
            )
        ),
        st.sampled_from(_BAD_CODE).map(lambda code: case("code", "a.py", code, acquisition="./a.py:score")),
        st.sampled_from(_BAD_CODE).map(lambda code: case("code", "a.py", code, simulator="./a.py:score")),
        st.sampled_from([b"CCO", b"CCO\nCCN"]).map(lambda few: case("few", "a.smi", few, seeds="a.smi")),
        st.just(case("folder", "runs", b"a file")),
        st.just(case("folder", "runs/x/mine.txt", b"not a campaign's")),
        st.just(case("folder", "runs/x", b"a file")),
    )


def campaign_run() -> SearchStrategy[Case]:
    return _campaign_file("run") | _bad_beside("run")


def campaign_validate() -> SearchStrategy[Case]:
    return _campaign_file("validate") | _bad_beside("validate").filter(lambda case: "folder" not in case.what)


def _campaign_file(command: str) -> SearchStrategy[Case]:
    def arguments(name: str) -> tuple[str, ...]:
        return "campaign", command, name

    good = {"x.yaml": _QUICKSTART_TEXT.encode()}
    override = st.sampled_from(
        ["stop.rounds", "=", "stop.rounds=", "name=[", "a.b.c=1", "stop.rounds.x=1", "x=&a [*b"]
    )
    return st.one_of(
        _bad_yaml().map(lambda text: Case(f"{text!r:.80}", arguments("x.yaml"), {"x.yaml": text})),
        _bad_yaml().map(lambda text: Case(f"{text!r:.80}", arguments("x.yaml"), {"x.yaml": text})),
        _place("x.yaml", arguments),
        override.map(lambda bad: Case(f"--set {bad}", (*arguments("x.yaml"), "--set", bad), good)),
    )


# --- campaign folders ---------------------------------------------------------------------------------


@cache
def _odd_ledgers() -> tuple[bytes, ...]:
    good = samples().campaign["ledger.sqlite"]
    config = "UPDATE meta SET value = '{}' WHERE key = 'config'"
    return (
        _sql(good, "UPDATE meta SET value = '99' WHERE key = 'format'"),
        _sql(good, "DELETE FROM meta WHERE key = 'format'"),
        _sql(good, "DELETE FROM meta WHERE key = 'config'"),
        _sql(good, "DELETE FROM meta"),
        _sql(good, "DROP TABLE meta"),
        _sql(good, "DROP TABLE candidates"),
        *(
            _sql(good, config.format(text))
            for text in ("", "{", "7", "[]", "null", '{"name": 1}', '"a"', "[" * 5000)
        ),
        _sql(b"", "CREATE TABLE t (a)"),
        _sql(b"", "CREATE TABLE meta (key, value)"),
        _sql(b"", "CREATE TABLE meta (key, value)", "INSERT INTO meta VALUES ('format', '1')"),
        _sql(b"", "CREATE TABLE meta (a, b)", "INSERT INTO meta VALUES ('format', '1')"),
        samples().database,
    )


def _bad_campaigns(arguments: Callable[[str], tuple[str, ...]]) -> SearchStrategy[Case]:
    good = samples().campaign["ledger.sqlite"]
    pages = len(good) // 4096
    ledgers = st.one_of(
        _binary(good),
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
        _place("run", arguments),
    )


def campaign_status() -> SearchStrategy[Case]:
    return _bad_campaigns(lambda folder: ("campaign", "status", folder))


def campaign_report() -> SearchStrategy[Case]:
    return _bad_campaigns(lambda folder: ("campaign", "report", folder))


def campaign_ledger() -> SearchStrategy[Case]:
    return st.sampled_from([(), ("--out", "new.csv"), ("--out", "new.db"), ("--out", "new.extxyz")]).flatmap(
        lambda more: _bad_campaigns(lambda folder: ("campaign", "ledger", folder, *more))
    )


# --- databases ----------------------------------------------------------------------------------------


@cache
def _odd_databases(good: bytes) -> tuple[bytes, ...]:
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
    rows = (
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
        """key_value_pairs = '{"smiles": "CCO", "gdb_id": "a"}'""",
        "data = NULL",
        "data = x'00'",
        "data = zeroblob(64)",
        "data = 'text'",
        "data = 7",
        "data = x'0800000000000000' || cast('{}' as blob)",
        """data = cast(x'1000000000000000' || x'000000000000f87f' || '{"energy_U0": {"__ndarray__": """
        """[[1], "float64", 8]}}' as blob)""",
    )
    return (
        *(_sql(good, metadata.format(f"json_set(value, '{path}', {value})")) for path, value in changes),
        *(_sql(good, metadata.format(value)) for value in whole),
        *(_sql(good, f"UPDATE systems SET {change}") for change in rows),
        _sql(good, "DELETE FROM information"),
        _sql(good, "DELETE FROM systems"),
        _sql(good, "DROP TABLE systems"),
        _sql(good, "DROP TABLE information"),
        _sql(b"", "CREATE TABLE t (a)"),
        _sql(b"", "CREATE TABLE information (name, value)", "CREATE TABLE systems (id, numbers)"),
        samples().campaign["ledger.sqlite"],
    )


def _bad_databases(good: bytes) -> SearchStrategy[bytes]:
    page = 4096
    return st.one_of(
        _binary(good),
        st.sampled_from(_odd_databases(good)),
        st.sampled_from(_odd_databases(good)),
        st.integers(1, len(good) // page // 2).map(lambda n: good[: n * page]),
        st.binary(min_size=4, max_size=4).map(
            lambda noise: good[:page] + noise * (len(good) // 4 - page // 4)
        ),
    )


# --- models -------------------------------------------------------------------------------------------


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
    document = json.loads(good)
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
    own = tuple(json.loads(good["model.json"]))[:-1]  # energy has a default: older versions had none
    huge = ("model.features", "model.interactions", "model.gaussians", "members")
    described = json.loads(good["ensemble.json"])
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
            lambda name: _binary(good[name]).map(lambda bad: case(f"{name}: {bad!r:.80}", {name: bad}))
        ),
        st.sampled_from(sorted(good)).map(without),
        st.sampled_from(weights).map(lambda name: case(f"{name} folder", {name: None})),
        st.just(case("gp for a member", {"member_0.pt": good["gp.pt"]})),
        st.just(case("a member for gp", {"gp.pt": good["member_0.pt"]})),
        st.just(Case("an empty folder", arguments("model"), {**files, "model": None})),
        _place("model", arguments, files),
    )


def predict_models() -> SearchStrategy[Case]:
    good = samples()
    return _bad_models(
        good.model, lambda folder: ("predict", folder, "a.smi", "--out", "new/out.csv"), {"a.smi": b"CCO\n"}
    )


def export_models() -> SearchStrategy[Case]:
    return _bad_models(samples().model, lambda folder: ("export", folder, "--out", "new/best_model"), {})


# --- molecules with geometries ------------------------------------------------------------------------

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
        st.tuples(names, _no_text(_EXTXYZ.encode())),
        st.tuples(names, st.sampled_from([b"", b"\n\n", b"CCO\nCCN\n", b"{}"])),
        st.tuples(st.just("a.db"), _binary(good.database)),
        st.tuples(st.just("a.db"), st.sampled_from(_structureless(good.database))),
        st.tuples(st.just("a.traj"), _binary(b"- of Ulm" + bytes(400))),
    )


@cache
def _structureless(good: bytes) -> tuple[bytes, ...]:
    return (
        _sql(good, "DELETE FROM systems"),
        _sql(good, "DROP TABLE systems"),
        _sql(good, "DROP TABLE information"),
        _sql(b"", "CREATE TABLE t (a)"),
        *(
            _sql(good, f"UPDATE systems SET {change}")
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

    model, own = _under("model", good.model), _under("model", good.structures_model)
    return st.one_of(
        _bad_smiles(good.smiles, every_line=False).map(
            lambda bad: Case(f"{bad!r:.100}", smiles(bad[0]), {**model, bad[0]: bad[1]})
        ),
        _bad_structures().map(lambda bad: Case(f"{bad!r:.200}", smiles(bad[0]), {**own, bad[0]: bad[1]})),
        st.sampled_from(["a.smi", "a.csv", "a.extxyz"]).flatmap(lambda name: _place(name, smiles, model)),
        st.just(Case("SMILES for structures", smiles("a.smi"), {**own, "a.smi": good.smiles})),
        st.just(Case("structures for SMILES", smiles("a.xyz"), {**model, "a.xyz": _EXTXYZ.encode()})),
    )


# --- train, label, import, study ----------------------------------------------------------------------


def train() -> SearchStrategy[Case]:
    good = samples()

    def table(name: str) -> tuple[str, ...]:
        small = ("--features", "4", "--epochs", "1", "--members", "2")
        target = () if name.endswith(".db") else ("--target", "energy", "--mode", "2d")
        return "train", name, "--out", "new/model", *target, *small

    return st.one_of(
        _bad_tables(good.table).map(lambda bad: Case(f"{bad!r:.100}", table(bad[0]), {bad[0]: bad[1]})),
        _bad_databases(good.database).map(lambda bad: Case(f"{bad!r:.100}", table("a.db"), {"a.db": bad})),
        st.sampled_from(["a.csv", "a.db"]).flatmap(lambda name: _place(name, table)),
    )


def label() -> SearchStrategy[Case]:
    def arguments(name: str) -> tuple[str, ...]:
        return "label", name, "--out", "new/out.csv"

    return st.one_of(
        _bad_smiles(samples().smiles).map(
            lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {bad[0]: bad[1]})
        ),
        _place("a.smi", arguments),
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
    bad = _binary(good) | st.sampled_from([member, gp, samples().generator])
    return st.one_of(
        bad.map(lambda bad: Case(f"{bad!r:.100}", arguments("a"), {"a": bad})),
        bad.map(lambda bad: Case(f"second {bad!r:.100}", arguments("a", "b"), {"a": good, "b": bad})),
        _place("a", arguments),
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
    lines = _QM9_XYZ.split("\n")
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
        _no_text(_QM9_XYZ.encode()).filter(lambda content: b"5\ngdb 1\t157" not in content),
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
        _binary(_npz_bytes(good)),
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

    archive = _tar({"a.xyz": _QM9_XYZ.encode()})
    # Of a schnetpack database no SMILES are read, and its numbers count for themselves.
    odd = [bad for bad in _odd_databases(good.schnetpack_database) if b"C(" not in bad[-1:]]
    header = "mol_id,smiles,u0"
    listed = ("--uncharacterized", "list.txt")
    lists = st.sampled_from([b"", b"x", b"0", b"-1", b"133886", b"\xff", b"9" * 5000, b"1.5\n", b"\0"])
    return st.one_of(
        _bad_xyz().map(lambda bad: case("a.xyz", bad)),
        _bad_xyz().map(lambda bad: case("folder/a.xyz", bad)),
        _bad_xyz().map(lambda bad: case("a.tar.bz2", _tar({"a.xyz": bad}))),
        st.binary(max_size=50).map(lambda noise: case("a.tar", _tar({"b.txt": noise}, "w"))),
        st.integers(1, len(archive) - 20).map(lambda n: case("a.tar.bz2", archive[:n])),
        _binary(archive).map(lambda bad: case("a.tar.bz2", bad)),
        _bad_npz().map(lambda bad: case("a.npz", bad)),
        (_binary(good.database) | st.sampled_from(odd)).map(lambda bad: case("a.db", bad)),
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
        _no_text(f"{header}\ngdb_1,C,-40.47893\n".encode()).map(lambda bad: case("a.csv", bad)),
        lists.map(lambda bad: case("a.xyz", _QM9_XYZ.encode(), *listed, **{"list.txt": bad})),
        st.sampled_from([b"1\n", b"1"]).map(  # leaves nothing
            lambda ids: case("a.xyz", _QM9_XYZ.encode(), *listed, **{"list.txt": ids})
        ),
        st.just(case("a.xyz", _QM9_XYZ.encode(), *listed)),
        _place("a.tar.bz2", arguments),
    )


def study() -> SearchStrategy[Case]:
    good = samples().database
    small = ("--sizes", "20", "--seeds", "1", "--test", "10", "--epochs", "1", "--noise-floor", "0")

    def arguments(name: str) -> tuple[str, ...]:
        return "study", "2d-vs-3d", name, "--out", "new/study", *small

    damaged = st.sampled_from([b"", b"{", b"7", b"[]", b"null", b"{}", b"\xff", b"[1, 2]", b"[" * 50_000])
    noise = st.binary(max_size=50).map(lambda text: b"\x80" + text)
    return st.one_of(
        _bad_databases(good).map(lambda bad: Case(f"{bad!r:.100}", arguments("a.db"), {"a.db": bad})),
        _bad_databases(good).map(
            lambda bad: Case(f"{bad!r:.100}", (*arguments("a.db")[:5], "--original"), {"a.db": bad})
        ),
        (damaged | noise).map(
            lambda bad: Case(f"{bad!r:.100}", arguments("a.db"), {"a.db": good, "new/study/study.json": bad})
        ),
        st.just(Case("too few", arguments("a.db"), {"a.db": good})),
        _place("a.db", arguments),
    )


# --- the generator ------------------------------------------------------------------------------------

_QUICK = ("--steps", "1", "--adversarial-steps", "0", "--max-atoms", "4")


def _bad_generators() -> SearchStrategy[bytes]:
    good = samples().generator
    return _binary(good) | st.sampled_from(_odd_generators())


@cache
def _odd_generators() -> tuple[bytes, ...]:
    import torch

    good = torch.load(io.BytesIO(samples().generator), weights_only=True)
    settings = good["settings"]
    changes: list[dict[str, Any]] = [{name: None} for name in good]
    changes += [{name: 7} for name in good]
    changes += [{name: "text"} for name in good]
    changes += [
        {"settings": {**settings, name: value}} for name in settings for value in ("text", -1, None, [])
    ]
    changes += [{"settings": {**settings, "hidden": 4096}}, {"settings": {**settings, "max_atoms": 64}}]
    changes += [
        {"settings": {**settings, "unknown": 1}},
        {"known": [7]},
        {"valences": [4, 4]},
        {"familiar": [[]]},
    ]
    changes += [{"valences": [-1] * 4}, {"valences": ["a"] * 4}, {"valences": [1e9] * 4}, {"total_steps": -1}]
    changes += [{"valences": [99] * 4}]
    found = [samples().model["member_0.pt"], samples().best_model]
    for change in changes:
        file = io.BytesIO()
        torch.save({**good, **change}, file)
        found.append(file.getvalue())
    for name in good:
        file = io.BytesIO()
        torch.save({key: value for key, value in good.items() if key != name}, file)
        found.append(file.getvalue())
    return tuple(found)


def generate() -> SearchStrategy[Case]:
    good = samples()

    def arguments(name: str) -> tuple[str, ...]:
        return "generate", name, "-n", "3", "--out", "new/out.smi", *_QUICK

    return st.one_of(
        _bad_generators().map(lambda bad: Case(f"{bad!r:.100}", arguments("a.pt"), {"a.pt": bad})),
        _bad_smiles(good.smiles).map(lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {bad[0]: bad[1]})),
        _bad_smiles(good.smiles).map(
            lambda bad: Case(
                f"novel {bad!r:.100}",
                (*arguments("g.pt"), "--novel-against", bad[0]),
                {"g.pt": good.generator, bad[0]: bad[1]},
            )
        ),
        st.sampled_from([b"CCO\nCCN", b"\n".join(b"C" * k + b"S" for k in range(1, 30))]).map(
            lambda few: Case("few", arguments("a.smi"), {"a.smi": few})
        ),
        _bad_generators().map(
            lambda bad: Case(f"{bad!r:.100}", arguments("run"), {"run/rounds/00/generator.pt": bad})
        ),
        st.just(Case("no generator", arguments("run"), {"run": None})),
        st.just(Case("odd rounds", arguments("run"), {"run/rounds/last/generator.pt": good.generator})),
        st.sampled_from(["a.pt", "a.smi", "a"]).flatmap(lambda name: _place(name, arguments)),
    )


def generator_train() -> SearchStrategy[Case]:
    good = samples()

    def arguments(name: str, out: str = "new/g.pt") -> tuple[str, ...]:
        return "generator", "train", name, "--out", out, *_QUICK

    return st.one_of(
        _bad_smiles(good.smiles).map(lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {bad[0]: bad[1]})),
        st.sampled_from([b"CCO\nCCN", b"\n".join(b"C" * k + b"S" for k in range(1, 30))]).map(
            lambda few: Case("few", arguments("a.smi"), {"a.smi": few})
        ),
        _bad_generators().map(
            lambda bad: Case(
                f"go on {bad!r:.100}",
                (*arguments("a.smi", "g.pt"), "--go-on"),
                {"a.smi": good.smiles, "g.pt": bad},
            )
        ),
        st.just(Case("exists", arguments("a.smi", "g.pt"), {"a.smi": good.smiles, "g.pt": good.generator})),
        st.just(Case("nothing to go on", (*arguments("a.smi"), "--go-on"), {"a.smi": good.smiles})),
        _place("a.smi", arguments),
    )


def generator_evaluate() -> SearchStrategy[Case]:
    good = samples()

    def arguments(name: str, training: str = "t.smi") -> tuple[str, ...]:
        return "generator", "evaluate", name, "--training", training, "-n", "5", "--figure", "new/figure.png"

    right = {"t.smi": good.smiles}
    return st.one_of(
        _bad_generators().map(lambda bad: Case(f"{bad!r:.100}", arguments("a.pt"), {**right, "a.pt": bad})),
        _bad_smiles(good.smiles, every_line=False).map(
            lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {**right, bad[0]: bad[1]})
        ),
        _bad_smiles(good.smiles).map(
            lambda bad: Case(f"training {bad!r:.100}", arguments("t.smi", bad[0]), {**right, bad[0]: bad[1]})
        ),
        _bad_smiles(good.smiles).map(
            lambda bad: Case(
                f"novel {bad!r:.100}",
                (*arguments("t.smi"), "--novel-against", bad[0]),
                {**right, bad[0]: bad[1]},
            )
        ),
        st.sampled_from(["a.pt", "a.smi", "a"]).flatmap(lambda name: _place(name, arguments, right)),
    )


COMMANDS: dict[str, Callable[[], SearchStrategy[Case]]] = {
    "campaign run": campaign_run,
    "campaign validate": campaign_validate,
    "campaign status": campaign_status,
    "campaign report": campaign_report,
    "campaign ledger": campaign_ledger,
    "train": train,
    "predict (models)": predict_models,
    "predict (molecules)": predict_molecules,
    "label": label,
    "export": export_models,
    "import": import_models,
    "data import": data_import,
    "study 2d-vs-3d": study,
    "generate": generate,
    "generator train": generator_train,
    "generator evaluate": generator_evaluate,
}
