"""Cases from the field: what people met with programs of this kind, and the right value or sentence.

    python benchmarks/field_cases.py CASES

CASES is a folder with one folder a case (01-diatomics, 05-schnetpack-painn, 10-moleculenet-u0,
12-slurm-train, 14-xyz-blank-line, 15-xyz-dialects, 16-sdf, 17-text-dialects, 18-csv-header,
19-one-bad-smiles). Prints a table: what was asked, what was right, what came. A case whose folder is missing
counts as wrong.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

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
            "05-schnetpack-painn": self._painn,
            "10-moleculenet-u0": self._moleculenet,
            "12-slurm-train": self._slurm,
            "16-sdf": self._sdf,
            "17-text-dialects": self._lists,
            "18-csv-header": self._headers,
            "19-one-bad-smiles": self._bad_line,
        }
        for name, test in tests.items():
            if (self.cases / name).is_dir():
                yield from test(self.cases / name)
            else:
                yield Check(name, "the case's folder", "it is missing", False)
        for name in ("14-xyz-blank-line", "15-xyz-dialects"):
            yield from self._xyz(self.cases / name)

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
    Console(width=180).print(shown)
    print(f"{wrong} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
