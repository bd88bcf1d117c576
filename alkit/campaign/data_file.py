"""The data set of a campaign, from whatever file the user has."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from alkit.config.dataset import DatasetOptions
from alkit.config.schema import CampaignConfig
from alkit.datasets import ImportOptions, import_files
from alkit.datasets.tables import Columns
from alkit.errors import DataError
from alkit.files import digest
from alkit.storage.label_cache import default_path


def database_of(config: CampaignConfig) -> Path:
    """The campaign's database; another file is imported once, beside the label cache.

    Raises:
        DataError: a file that `alkit.datasets.import_files` refuses.
    """
    assert config.dataset is not None
    options = config.dataset_options
    if _is_database(config.dataset):
        if options != DatasetOptions.model_validate({}):
            raise DataError(
                f"dataset: {config.dataset} is a database that says itself what its numbers are; leave out "
                "the options."
            )
        return config.dataset
    changed = config.dataset.stat()
    return _imported(config.dataset, options.model_dump_json(), changed.st_mtime_ns, changed.st_size)


def _is_database(path: Path) -> bool:
    """Whether alkit wrote a file; one that is damaged is refused as if it had."""
    if path.suffix != ".db":
        return False
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT value FROM information WHERE name = 'metadata'").fetchone()
        return row is not None and '"alkit"' in str(row[0])
    except sqlite3.Error:
        return True


@lru_cache(maxsize=8)
def _imported(path: Path, options: str, _changed: int, _size: int) -> Path:
    given = DatasetOptions.model_validate_json(options)
    name = hashlib.sha256(f"{digest(path)}\n{options}".encode()).hexdigest()[:24]
    database = default_path().parent / "datasets" / f"{name}.db"
    if database.exists():
        return database
    database.parent.mkdir(parents=True, exist_ok=True)
    columns = Columns(given.smiles_column, None, given.delimiter)
    how = ImportOptions(
        properties=given.property,
        units=given.unit,
        kinds=given.kind,
        levels=given.level,
        references=given.references,
        length=given.length,
        columns=columns,
        groups=given.groups,
        conformers=given.conformers,
        skip_bad=given.skip_bad,
    )
    try:
        import_files([path], database, how)
    except DataError as error:
        if database.exists():  # another campaign was quicker
            return database
        raise DataError(f"dataset: {error}") from None
    return database
