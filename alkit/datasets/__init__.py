"""Data sets in and out: QM9 in its published forms, users' own files, downloads.

Names are loaded on first use, so that ``import alkit.datasets`` stays light (neither torch nor RDKit nor ASE;
a test proves it). ``fetch`` is the exception: its module has the same name, and importing that would hide it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from alkit.datasets.fetch import QM9_SOURCES, Download, Source, fetch

if TYPE_CHECKING:
    from alkit.datasets.create import Property, Record, create_database
    from alkit.datasets.files import (
        Entry,
        Labelled,
        is_table,
        read_labelled,
        read_smiles,
        readable_smiles,
        scan_molecules,
        scan_smiles,
        written_smiles,
    )
    from alkit.datasets.importing.options import ImportOptions
    from alkit.datasets.importing.run import FilesReport, import_files
    from alkit.datasets.qm9 import ImportReport, import_qm9
    from alkit.datasets.store import Dataset
    from alkit.datasets.structures import (
        holds_structures,
        may_hold_structures,
        perceived_smiles,
        read_structures,
    )
    from alkit.datasets.tables import Columns

_HOME = {
    "Dataset": "store",
    "Entry": "files",
    "FilesReport": "importing.run",
    "ImportOptions": "importing.options",
    "import_files": "importing.run",
    "ImportReport": "qm9",
    "Labelled": "files",
    "Property": "create",
    "Record": "create",
    "create_database": "create",
    "holds_structures": "structures",
    "may_hold_structures": "structures",
    "perceived_smiles": "structures",
    "import_qm9": "qm9",
    "is_table": "files",
    "read_labelled": "files",
    "read_smiles": "files",
    "scan_smiles": "files",
    "read_structures": "structures",
    "readable_smiles": "files",
    "scan_molecules": "files",
    "Columns": "tables",
    "written_smiles": "files",
}

__all__ = [
    "QM9_SOURCES",
    "Columns",
    "Dataset",
    "Download",
    "Entry",
    "FilesReport",
    "ImportOptions",
    "ImportReport",
    "Labelled",
    "Property",
    "Record",
    "Source",
    "create_database",
    "fetch",
    "holds_structures",
    "import_files",
    "import_qm9",
    "is_table",
    "may_hold_structures",
    "perceived_smiles",
    "read_labelled",
    "read_smiles",
    "read_structures",
    "readable_smiles",
    "scan_molecules",
    "scan_smiles",
    "written_smiles",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
