"""Files that tests of whole campaigns begin with."""

import csv
from pathlib import Path

from alkit.molecules.enumeration import seed_molecules


def small_seeds(folder: Path) -> Path:
    """A SMILES file of alkit's own enumeration, three to five heavy atoms each."""
    path = folder / "seeds.smi"
    path.write_text("\n".join(s for s in seed_molecules() if 3 <= sum(c.isalpha() for c in s) <= 5))
    return path


def write_table(path: Path, rows: list[dict]) -> Path:
    """A CSV whose columns are the keys of the first row."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path
