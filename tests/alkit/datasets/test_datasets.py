"""alkit.datasets as a package: light to import, complete."""

import subprocess
import sys
from pathlib import Path

import pytest

import alkit.datasets

ROOT = Path(__file__).parents[3]


def test_importing_loads_neither_torch_nor_rdkit_nor_ase():
    heavy = ("torch", "rdkit", "ase", "numpy")
    code = f"import sys, alkit.datasets; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"


def test_importing_qm9_does_not_load_torch():
    code = "import sys, alkit.datasets as d; d.import_qm9, d.Dataset; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("name", alkit.datasets.__all__)
def test_every_name_is_there(name):
    assert getattr(alkit.datasets, name) is not None
    assert name in dir(alkit.datasets)


def test_fetch_stays_the_function_after_its_module_is_imported():
    import alkit.datasets.fetch

    assert callable(alkit.datasets.fetch)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nonsense"):
        alkit.datasets.nonsense  # noqa: B018
