"""Malformed SD, MOL2 and XYZ files, files of other kinds, and options that do not fit the file."""

from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.cases import Case, Files

_ATOM = "    0.0000    0.0000    0.0000 C   0  0\n"
_FOREIGN = (
    ("a.pdb", b"HETATM    1  C   UNL     1       0.000   0.000   0.000\n"),
    ("a.smi", b"HETATM    1  C   UNL     1       0.000   0.000   0.000\n"),
    ("a.cif", b"data_x\n_cell_length_a 5\n"),
    ("a.json", b'{"smiles": ["CCO"]}'),
    ("a.xlsx", b"PK\x03\x04" + bytes(100)),
    ("a.foo", b"neither this\nnor that\n"),
    ("a.smi", b"InChI=1S/CH4/h1H4\n"),
    ("a.sdf", b""),
    ("a.sdf", b"$$$$\n"),
    ("a.sdf", f"x\n\n\n  2  0  0  0  0  0  0  0  0  0999 V2000\n{_ATOM}M  END\n$$$$\n".encode()),
    ("a.sdf", f"x\n\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n{_ATOM}".encode()),
    ("a.mol2", b"@<TRIPOS>MOLECULE\n"),
    ("a.mol2", b"@<TRIPOS>MOLECULE\nx\n 2 1\nSMALL\n\n@<TRIPOS>ATOM\n 1 C 0 0\n"),
    ("a.mol2", b"CCO\n"),
    ("a.xyz", b"1\n\nD 0 0 0\n"),
    ("a.xyz", b"1\n\nC 0 0 0\n1\n\nC 0 0 0\nC 0 0 0\n"),
    ("a.xyz", b"3\n\nO 0 0 0.1\nH 0 0.7 -0.4\n"),
    ("a.xyz", b"2\n\nH 0 0 0\nH 0 0 0.7\n\nrest\n"),
    ("a.smi", b"C" * 2_000_000),
    ("a.csv", b"smiles,name\nCCO," + b"x" * 200_000),
)
_OPTIONS = (
    ("--smiles-column", "structure"),
    ("--name-column", "label"),
    ("--delimiter", ""),
    ("--delimiter", "ab"),
    ("--length", "yard"),
    ("--workers", "0"),
    ("--timeout", "-1"),
    ("--timeout", "nan"),
)


@cache
def _records() -> dict[str, str]:
    """A right file of two molecules, by ending."""
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    blocks = []
    for smiles in ("CCO", "c1ccncc1"):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        rdDistGeom.EmbedMolecule(mol, randomSeed=1)
        blocks.append(mol)
    sdf = "".join(f"{Chem.MolToMolBlock(mol)}$$$$\n" for mol in blocks)
    return {"sdf": sdf, "xyz": "".join(Chem.MolToXYZBlock(mol) for mol in blocks)}


def _cut(ending: str) -> SearchStrategy[tuple[str, bytes]]:
    """Cut in the middle of a molecule."""
    lines = _records()[ending].splitlines(keepends=True)
    inside = range(5, 12) if ending == "sdf" else range(3, 9)
    return st.sampled_from(inside).map(lambda n: (f"a.{ending}", "".join(lines[:n]).encode()))


def _changed(ending: str) -> SearchStrategy[tuple[str, bytes]]:
    """One coordinate, element or count of a molecule made into what it cannot be."""
    text = _records()[ending]
    number = text.split("\n")[4].split()[0 if ending == "sdf" else 1]
    bad = st.sampled_from(["nan", "x", "", "1e999", "--1", "0.0.0"])
    return bad.map(lambda value: (f"a.{ending}", text.replace(number, value.rjust(len(number)), 1).encode()))


def bad_formats(*command: str, files: Files | None = None) -> SearchStrategy[Case]:
    """Such files in place of ``{}`` in a command line, beside other ``files``."""
    beside = dict(files or {})

    def case(found: tuple[str, bytes]) -> Case:
        name, content = found
        return Case(
            f"{name}: {content!r:.100}", tuple(one.format(name) for one in command), {**beside, name: content}
        )

    def with_option(option: tuple[str, str]) -> Case:
        line = tuple(one.format("a.csv") for one in command)
        return Case(f"{option}", (*line, *option), {**beside, "a.csv": b"smiles,energy\nCCO,1\n"})

    return st.one_of(
        st.sampled_from(_FOREIGN).map(case),
        st.sampled_from(["sdf", "xyz"]).flatmap(_cut).map(case),
        st.sampled_from(["sdf", "xyz"]).flatmap(_changed).map(case),
        st.sampled_from(_OPTIONS).map(with_option),
    )
