"""Cases from the field: what people met with programs of this kind, and the right value or sentence.

    python benchmarks/field_cases.py CASES

CASES is a folder with one folder a case (01-diatomics, 03-closed-shell-ions, 05-schnetpack-painn,
09-own-schnetpack-db, 10-moleculenet-u0, 12-slurm-train, 14-xyz-blank-line, 15-xyz-dialects, 16-sdf,
17-text-dialects, 18-csv-header, 19-one-bad-smiles, 21-water-gbsa). What hostile hands do comes after them: F3
to F5, F7 to F10, F12 and F13; F1, F2, F6 and F11 are tests and `edits.py`. Prints a table: what was asked,
what was right, what came. A case whose folder is missing counts as wrong.
"""

import argparse
import csv
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console
from rich.table import Table

SMALL = {  # eV, relaxed GFN2-xTB: tblite with ASE's BFGS
    "[H][H]": -5.325830,
    "[C-]#[O+]": -15.264142,
    "Cl": -4.811125,
    "N#N": -15.028496,
}


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(self.out.splitlines()))


class Check(NamedTuple):
    """One thing that had to be so."""

    case: str
    wanted: str
    came: str
    right: bool


class Bench:
    """Commands in a folder of their own, with small models to predict with."""

    def __init__(self, cases: Path, work: Path):
        self.cases, self.work = cases, work
        labels = (
            "CCO CCN CCC CO CN CC C=O CC=O C#N CCF OCC=O NCC=O CC#N C1CC1 C1CO1 COC CNC CC(C)C CC(=O)C NC=O"
        )
        (work / "train.smi").write_text("\n".join(labels.split()) + "\nCCCC\nCCCO\nOCCO\n")
        self.run("label", "train.smi", "--target", "energy", "--out", "train.csv")
        small = ["--features", 8, "--epochs", 2, "--members", 2, "--target", "energy_eV"]
        self.run("train", "train.csv", "--out", "model2d", "--mode", "2d", *small)

    def run(self, *arguments: object, **variables: str) -> Ran:
        command = [sys.executable, "-W", "ignore", "-m", "alkit", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.work, env=os.environ | variables, capture_output=True, text=True, check=False
        )
        return Ran(done.returncode, done.stdout, " ".join(done.stderr.split()))

    def checks(self) -> Iterator[Check]:
        tests: dict[str, Callable[[Path], Iterator[Check]]] = {
            "01-diatomics": self._diatomics,
            "03-closed-shell-ions": self._ions,
            "05-schnetpack-painn": self._painn,
            "09-own-schnetpack-db": self._own_geometries,
            "10-moleculenet-u0": self._moleculenet,
            "12-slurm-train": self._slurm,
            "16-sdf": self._sdf,
            "17-text-dialects": self._lists,
            "18-csv-header": self._headers,
            "19-one-bad-smiles": self._bad_line,
            "21-water-gbsa": self._solvent,
        }
        for name, test in tests.items():
            if (self.cases / name).is_dir():
                yield from test(self.cases / name)
            else:
                yield Check(name, "the case's folder", "it is missing", False)
        for name in ("14-xyz-blank-line", "15-xyz-dialects"):
            yield from self._xyz(self.cases / name)
        for hostile in (self._code, self._foreign, self._endless, self._moved, self._paths):
            yield from hostile()

    def _diatomics(self, case: Path) -> Iterator[Check]:
        rows = {
            row["smiles"]: row for row in self.run("label", case / "small.smi", "--target", "energy").rows
        }
        for smiles, value in SMALL.items():
            came = rows.get(smiles, {}).get("energy_eV") or "nothing"
            right = came != "nothing" and abs(float(came) - value) < 5e-6
            yield Check(f"01 {smiles}", f"{value:.6f} eV", came, right)
        without = [row["smiles"] for row in rows.values() if not row["energy_eV"]]
        yield Check("01 HF, HBr, O2, SF6", "a label", ", ".join(without) or "all have one", not without)

    def _own_geometries(self, case: Path) -> Iterator[Check]:
        for name in ("own_md", "own_U0", "own_plain"):
            raw, own = case / f"{name}.db", f"{name}_imported.db"
            said = self.run("train", raw, "--out", "never").err
            right = "`alkit data import" in said
            yield Check(f"09 train {name}.db", "a sentence that leads on", said, right)
            made = self.run("data", "import", raw, "--to", own, "--kind", "total", "--level", "GFN2-xTB")
            right = "40 rows read, 40 written (1 molecules)" in " ".join(made.out.split())
            yield Check(f"09 import {name}.db", "40 geometries of ethanol", made.err or "so", right)
            small = ("--features", 8, "--epochs", 2, "--members", 2)
            trained = self.run("train", own, "--out", f"{name}_model", *small)
            yield Check(f"09 train {own}", "a model", trained.err or "so", trained.code == 0)

    def _painn(self, case: Path) -> Iterator[Check]:
        for name in ("old_best_model", "new_best_model"):
            options = [
                "--level",
                "PBE energy",
                "--energy",
                "total",
                "--unit",
                "kcal/mol",
                "--elements",
                "H,C,O",
            ]
            ran = self.run("import", case / name, "--out", f"imported-{name}", *options)
            yield Check(f"05 {name}", "imported", ran.err or ran.out.strip(), ran.code == 0)

    def _moleculenet(self, case: Path) -> Iterator[Check]:
        table, small = (
            case / "moleculenet_qm9.csv",
            ["--mode", "2d", "--members", 2, "--features", 8, "--epochs", 1],
        )
        ran = self.run("train", table, "--target", "u0", "--out", "wrong", *small)
        right = ran.code == 2 and "total energies in Hartree" in ran.err and "--unit hartree" in ran.err
        yield Check("10 u0 in Hartree", "refused, with the options that convert", ran.err, right)
        options = ["--unit", "hartree", "--kind", "total", "--references", "QM9"]
        ran = self.run("train", table, "--target", "u0", "--out", "right", *small, *options)
        yield Check("10 converted", "trained", ran.err or "trained", ran.code == 0)

    def _slurm(self, case: Path) -> Iterator[Check]:
        job = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "alkit", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
        job |= {"SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NNODES": "1", "SLURM_NODELIST": "localhost"}
        small = ["--mode", "2d", "--members", 2, "--features", 8, "--epochs", 1, "--target", "energy_eV"]
        ran = self.run("train", "train.csv", "--out", "in-a-job", *small, **job)
        yield Check("12 in a job of 4 tasks", "trained", ran.err[-200:] or "trained", ran.code == 0)

    def _xyz(self, case: Path) -> Iterator[Check]:
        from alkit.datasets import perceived_smiles, read_structures
        from alkit.errors import DataError

        for path in sorted(case.glob("*xyz")):
            wanted = {"deuterium.xyz": "deuterium", "ext_lattice.extxyz": "periodic"}.get(path.name, "CCO")
            wanted = {"two_frames.xyz": "CCO, CCO", "dsgdb9nsd_000001.xyz": "C"}.get(path.name, wanted)
            try:
                found = read_structures(path, 0.529177 if path.name == "bohr.xyz" else 1.0)
                came = ", ".join(str(perceived_smiles(m.numbers, m.positions)) for m in found)
            except DataError as error:
                came = str(error)
            yield Check(f"{case.name[:2]} {path.name}", wanted, came, came == wanted or wanted in came)

    def _sdf(self, case: Path) -> Iterator[Check]:
        rows = self.run("predict", "model2d", case / "pubchem_like.sdf").rows
        right = len(rows) == 3 and all(row["name"] for row in rows)
        yield Check("16 predict x.sdf", "3 molecules with names", f"{len(rows)} rows", right)
        ran = self.run("label", case / "ethanol.xyz", "--target", "energy")
        yield Check(
            "16 label x.xyz",
            "CCO",
            ran.out.splitlines()[1] if ran.rows else ran.err,
            ran.out.find("CCO,-") > 0,
        )

    def _lists(self, case: Path) -> Iterator[Check]:
        for path in sorted(case.iterdir()):
            ran = self.run("predict", "model2d", path)
            refused = path.name in ("latin1.csv", "utf16.tsv")
            right = ran.code == 2 and "UTF-8" in ran.err if refused else ran.code == 0
            right = right and (refused or not any("not a SMILES" in row["reason"] for row in ran.rows))
            yield Check(f"17 {path.name}", "not UTF-8" if refused else "read", ran.err[-120:], right)

    def _headers(self, case: Path) -> Iterator[Check]:
        for path in sorted(case.iterdir()):
            ran = self.run("predict", "model2d", path)
            good = [row for row in ran.rows if row["prediction_eV"]]
            yield Check(
                f"18 {path.name}", "predicted", f"{len(good)} of {len(ran.rows)}; {ran.err[-90:]}", bool(good)
            )

    def _bad_line(self, case: Path) -> Iterator[Check]:
        ran = self.run("label", case / "kek.csv", "--target", "energy")
        reasons = [row["reason"] for row in ran.rows if row["reason"]]
        right = ran.code == 0 and bool(reasons) and any(row["energy_eV"] for row in ran.rows)
        yield Check("19 label", "a row with its reason", "; ".join(reasons)[:120] or ran.err, right)
        ran = self.run("label", case / "kek.csv", "--strict")
        yield Check(
            "19 --strict", "exit code 2, the line", ran.err[:120], ran.code == 2 and "line" in ran.err
        )

    def _ions(self, case: Path) -> Iterator[Check]:
        for name, value in (("nh4.smi", -8.574896), ("acetate.smi", -50.719319)):  # tblite's, relaxed
            ran = self.run("label", case / name, "--target", "energy")
            came = ran.rows[0]["energy_eV"] if ran.rows else ran.err
            right = bool(ran.rows) and abs(float(came or 0) - value) < 2e-4
            yield Check(f"03 {name}", f"{value:.4f} eV", came, right)
        ran = self.run("label", case / "nh4.smi", "--target", "energy", "--set", "unpaired=1")
        detail = ran.rows[0]["detail"] if ran.rows else ran.err
        yield Check("03 one unpaired", "10 electrons, true", detail, "10 electrons" in detail)

    def _solvent(self, case: Path) -> Iterator[Check]:
        ran = self.run("label", case / "water.smi", "--target", "energy", "--set", "solvent=water")
        came = ran.rows[0]["energy_eV"] if ran.rows else ran.err
        right = bool(ran.rows) and abs(float(came) + 14.301031) < 1e-4
        yield Check("21 GBSA(water)", "-14.3010 eV", came, right)

    def _campaign(self, name: str, **keys: object) -> Path:
        """A campaign file of its own folder."""
        project = self.work / name
        project.mkdir()
        (project / "pool.smi").write_text("\n".join(f"{'C' * n}{end}" for n in range(1, 6) for end in "CNOF"))
        small = {"mode": "2d", "members": 2, "features": 8, "interactions": 1, "epochs": 1, "batch_size": 8}
        campaign = {
            "name": "small",
            "folder": "run",
            "target": "energy",
            "seeds": "pool.smi",
            "domain": {"max_heavy_atoms": 6},
            "start": {"training": 5, "validation": 5, "test": 5},
            "proposer": {"kind": "pool", "file": "pool.smi"},
            "surrogate": small,
            "acquisition": "lcmd",
            "batch_size": 2,
            "simulator": {"kind": "xtb", "cache": "labels.sqlite"},
            "stop": {"rounds": 1},
        }
        (project / "small.yaml").write_text(yaml.safe_dump(campaign | keys))
        return project

    def _code(self) -> Iterator[Check]:
        settings = {"calculator": "os:system", "arguments": {"command": "touch PWNED"}}
        project = self._campaign("f3", simulator={"kind": "ase", "settings": settings})
        ran = self.run("campaign", "validate", project / "small.yaml")
        right = ran.code == 2 and "os:system" in ran.err and not list(self.work.rglob("PWNED"))
        yield Check("F3 os:system", "refused, not run", ran.err, right)
        (self.work / "lies.py").write_text(_LIAR)
        lies = ("kbd", "huge", "hartree", "complex", "array", "text")
        for lie in lies:
            ran = self.run("label", "train.smi", "--simulator", "./lies.py:Liar", "--set", f"lie={lie}")
            reasons = {row["reason"] for row in ran.rows}
            wanted = {"array": {""}, "huge": {"impossible_energy"}, "hartree": {"impossible_energy"}}
            right = ran.code == 0 and reasons == wanted.get(lie, {"simulator_error"})
            yield Check(f"F4, F7, F10 {lie}", "its reason", ", ".join(sorted(reasons)) or ran.err, right)

    def _foreign(self) -> Iterator[Check]:
        path = self.work / "foreign.db"
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE t (a)")
        before = path.read_bytes()
        ran = self.run("label", path)
        yield Check(
            "F5 foreign.db", "refused, untouched", ran.err, ran.code == 2 and path.read_bytes() == before
        )
        (self.work / "long.csv").write_text("smiles,u0,x" + "x" * 140_000 + "\nC,-40.47893,1\n")
        ran = self.run("data", "import", "qm9", "--from", "long.csv", "--to", "long.db")
        yield Check("F13 a long cell", "exit code 2", ran.err[:120], ran.code == 2)

    def _endless(self) -> Iterator[Check]:
        (self.work / "endless.smi").write_text(f"CCO\n{'C%99CC%99' * 200}\nCCN\n")
        ran = self.run("label", "endless.smi", "--target", "energy", "--timeout", 10)
        reasons = [row["reason"] for row in ran.rows]
        yield Check("F8 an endless embedding", "timeout of one", str(reasons), reasons == ["", "timeout", ""])

    def _moved(self) -> Iterator[Check]:
        project = self._campaign("f9")
        yaml_file = project / "small.yaml"
        text = yaml_file.read_text()
        (project / "mine.py").write_text("def score(pool, context):\n    raise KeyError('not yet')\n")
        yaml_file.write_text(text.replace("acquisition: lcmd", "acquisition: ./mine.py:score"))
        inside = Bench.__new__(Bench)
        inside.work = project
        inside.run("campaign", "run", "small.yaml")
        project.rename(self.work / "f9-moved")
        inside.work = self.work / "f9-moved"
        (inside.work / "mine.py").write_text("def score(pool, context):\n    return pool.std\n")
        ran = inside.run("campaign", "run", "small.yaml")
        right = ran.code == 0 and "finished" in ran.out and not project.exists()
        yield Check("F9 a moved project", "goes on", ran.err[-110:], right)

    def _paths(self) -> Iterator[Check]:
        (self.work / "loop.smi").symlink_to("loop.smi")
        for path in ("loop.smi", "~nobodyatall/x.smi", "x" * 300):
            ran = self.run("label", path)
            yield Check(
                f"F12 {path:.20}", "exit code 2", ran.err[:110], ran.code == 2 and "Traceback" not in ran.err
            )


_LIAR = """
import numpy as np
from alkit.simulators import Label, Level

class Liar:
    level = Level("lies", "energy")

    def __init__(self, lie):
        self.lie = lie

    def label(self, molecule):
        if self.lie == "kbd":
            raise KeyboardInterrupt
        value = -4.0 * len(molecule.numbers)
        value = {
            "huge": 1e300, "hartree": value / 27.2, "complex": complex(value), "array": np.array([value]),
            "text": "x",
        }[self.lie]
        return Label(molecule.smiles, value, self.level, {}, molecule.numbers, molecule.positions, 0.1)
"""


def main() -> None:
    """Print the table; exit code 1 where something is not right."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("cases", type=Path)
    cases = parser.parse_args().cases.resolve()
    shown = Table("case", "right", "came", "")
    wrong = 0
    with tempfile.TemporaryDirectory() as work:
        for check in Bench(cases, Path(work)).checks():
            wrong += not check.right
            shown.add_row(check.case, check.wanted, check.came[:110], "yes" if check.right else "NO")
            print("right" if check.right else "WRONG", check.case, file=sys.stderr, flush=True)
    Console(width=180).print(shown)
    print(f"{wrong} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
