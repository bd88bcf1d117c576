"""Labels that campaigns share: no molecule is computed twice at one level, nor by two campaigns at once.

One SQLite file. Whoever computes a label has a claim on it; a claim holds as long as the process that made
it. A locked file beside the cache shows without a clock that this process lives: the system gives the lock
back however a process ends. The journal is SQLite's oldest, since the write-ahead log does not work on
network file systems. Failures are not kept: another timeout or a larger memory may succeed.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, BinaryIO

from alkit.errors import CampaignError
from alkit.files import lock
from alkit.molecules.identity import stereoisomer
from alkit.molecules.molecule import Molecule
from alkit.simulators.base import Label, Level, Simulator, SimulatorSpec, create_simulator
from alkit.simulators.electrons import FROM_SMILES
from alkit.simulators.simulator import REVISION
from alkit.storage.label_rows import (
    NAMES,
    DamagedRowError,
    declare,
    from_row,
    insert,
    label_hash,
    level_columns,
    pack,
    to_row,
)

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS labels (key TEXT PRIMARY KEY, {declare(*NAMES)});
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL);
COMMIT;
"""
_SELECT = f"SELECT {', '.join(NAMES)} FROM labels WHERE key = ?"
_INSERT = insert("labels", ("key", *NAMES), conflict="IGNORE")  # the first label of a key counts
_PATIENCE = 60.0  # seconds to wait for another campaign's write
_OWNER = re.compile(r"[0-9a-f]{32}")  # uuid4().hex
_VARIABLE = "ALKIT_LABEL_CACHE"


def default_path() -> Path:
    """$ALKIT_LABEL_CACHE, or a file of the user's own."""
    if path := os.environ.get(_VARIABLE):
        return Path(path)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "alkit" / "labels.sqlite"


class LabelCache:
    """Labels of one simulator in the file ``path``, made if need be; for all threads of this process.

    The key of a label is built from the simulator's name and settings and, for user code, a hash of its
    source; from the molecule; and from the starting geometry. Where the simulator's ``any_start`` says that
    its labels depend on nothing else of that geometry, its stereoisomer takes its place. What another package
    has computed counts where the simulator says that its labels are equal (``equal_versions``). Every method
    raises `CampaignError` where the file cannot be used.
    """

    def __init__(self, path: Path, spec: SimulatorSpec):
        self.path, self._lock = path, threading.Lock()
        simulator = create_simulator(spec)
        self._level: Level = simulator.level
        versions = (None, *getattr(simulator, "equal_versions", ()))  # its own first
        self._recipes = [_recipe(spec, simulator, version) for version in versions]
        self._any_start = bool(getattr(simulator, "any_start", False))
        self._owner = uuid.uuid4().hex
        if path.exists() and not path.is_file():
            raise CampaignError(f"{path} cannot be used as a label cache: it is no file.")
        with self._usable():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._owners = path.with_name(f"{path.name}.owners")
            self._owners.mkdir(exist_ok=True)
            # `lock`, not `files.locked`: this lock lives as long as the cache, which is no block of code.
            self._owner_file = lock(self._owners / self._owner)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE, check_same_thread=False)
            self._db.executescript(_SCHEMA)
            with self._writing():
                self._sweep()

    def _sweep(self) -> None:
        """Remove what killed processes have left: their files, and the claims that nobody holds."""
        for path in self._owners.iterdir():
            if _OWNER.fullmatch(path.name) and path.name != self._owner and not path.is_symlink():
                self._clear_if_ended(path.name)

    def close(self) -> None:
        """Release the claims of this process and close the file."""
        try:
            with self._usable(), self._lock:
                self._db.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
        finally:  # without its lock a claim is void, whatever became of its row
            self._db.close()
            self._remove(self._owner, self._owner_file)

    def key(self, molecule: Molecule) -> str:
        """The key of the label that the simulator would give this molecule."""
        return self._keys(molecule)[0]

    def _keys(self, molecule: Molecule) -> list[str]:
        """The simulator's own key, then those under which others keep an equal label."""
        isomer = self._any_start and stereoisomer(molecule.smiles, molecule.numbers, molecule.positions)
        start = isomer.encode() if isomer else pack(molecule.numbers, "<i4") + pack(molecule.positions, "<f8")
        heads = (f"{recipe}\n{molecule.smiles}".encode() for recipe in self._recipes)
        return [hashlib.sha256(head + start).hexdigest() for head in heads]

    def get(self, molecule: Molecule) -> Label | None:
        """The label, if any campaign has computed it.

        Raises:
            CampaignError: it was changed after it was written.
        """
        with self._usable(), self._lock:
            rows = (self._db.execute(_SELECT, (key,)).fetchone() for key in self._keys(molecule))
            row = next(filter(None, rows), None)
        if row is None:
            return None
        changed = CampaignError(
            f"The label of {molecule.smiles} in {self.path} was changed after it was written; remove the "
            "file, or give another simulator.cache."
        )
        try:
            label, written_hash = from_row(row), row[NAMES.index("hash")]
        except DamagedRowError:
            raise changed from None
        if (label.smiles, label.level, label_hash(label)) != (molecule.smiles, self._level, written_hash):
            raise changed
        return label

    def put(self, molecule: Molecule, label: Label) -> None:
        """Keep a label and release the claim on it."""
        key = self.key(molecule)
        with self._usable(), self._writing():
            self._db.execute(_INSERT, (key, *to_row(label)))
            self._db.execute("DELETE FROM claims WHERE key = ?", (key,))

    def claim(self, molecule: Molecule) -> bool:
        """Try to claim the label. False if it exists or a living process (this one included) holds the claim.

        The claim on a late label lasts until the label comes.
        """
        key = self.key(molecule)
        with self._usable(), self._writing():
            if self._db.execute("SELECT 1 FROM labels WHERE key = ?", (key,)).fetchone():
                return False
            row = self._db.execute("SELECT owner FROM claims WHERE key = ?", (key,)).fetchone()
            if row and not self._clear_if_ended(row[0]):
                return False
            self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?)", (key, self._owner))
        return True

    def release(self, molecule: Molecule) -> None:
        """Release this process's claim on a label that was not computed."""
        with self._usable(), self._writing():
            self._db.execute(
                "DELETE FROM claims WHERE key = ? AND owner = ?", (self.key(molecule), self._owner)
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")  # may fail as well, and must not leave the others locked out
            except BaseException:
                if self._db.in_transaction:  # a full disk has ended it already
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Turn errors of the file into the sentence that names it."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CampaignError(
                f"The label cache {self.path} cannot be used ({error}); fix that, or set simulator.cache to "
                "another file or to none."
            ) from None

    def _clear_if_ended(self, owner: str) -> bool:
        """Remove the claims and the file of a process that has ended. False if it lives.

        The name comes from the database and becomes a path. A name that no cache of alkit has is nobody's,
        and no file is looked at for it.
        """
        if not _OWNER.fullmatch(owner):
            self._db.execute("DELETE FROM claims WHERE owner = ?", (owner,))
            return True
        try:
            owner_file = lock(self._owners / owner)
        except BlockingIOError:
            return False
        self._db.execute("DELETE FROM claims WHERE owner = ?", (owner,))
        self._remove(owner, owner_file)
        return True

    def _remove(self, owner: str, owner_file: BinaryIO) -> None:
        """Remove an owner's file, then give its lock back."""
        with suppress(FileNotFoundError):
            (self._owners / owner).unlink()
        owner_file.close()


def _recipe(spec: SimulatorSpec, simulator: Simulator, version: str | None = None) -> str:
    """All that a label depends on besides the molecule.

    Args:
        spec: of the simulator.
        simulator: made from it.
        version: of the package that computes; another one may give the same labels.
    """
    settings: dict[str, Any] = dict(spec.settings)
    if is_dataclass(simulator) and not isinstance(simulator, type):
        settings |= asdict(simulator)  # defaults too
        # The default of earlier revisions was 0, which is what a neutral closed-shell SMILES states; that of
        # an ion is in the other half of the key.
        settings |= {key: 0 for key in ("charge", "unpaired") if settings.get(key) == FROM_SMILES}
        if spec.kind == "ase" and not settings["unit"]:  # a setting that came later; the level names it too
            settings.pop("unit")
    version = getattr(simulator, "version", "") if version is None else version
    parts = [spec.kind, *level_columns(simulator.level), version, settings, REVISION]
    return json.dumps([*parts, *_sources(simulator), *_files(settings)], sort_keys=True, default=str)


def _sources(simulator: Simulator) -> list[str]:
    """Hashes of the sources of user code: the classes of the simulator and of its calculator."""
    classes = [*type(simulator).__mro__, *getattr(simulator, "calculator_class", object).__mro__]
    hashes = []
    for class_ in classes:
        if class_.__module__.partition(".")[0] in ("alkit", "builtins", "typing", "abc"):
            continue
        with suppress(TypeError, OSError):  # compiled code: its version has to say
            hashes.append(hashlib.sha256(Path(inspect.getfile(class_)).read_bytes()).hexdigest())
    return hashes


def _files(settings: Any) -> list[str]:
    """Hashes of the files that settings name, such as the weights of a potential."""
    if isinstance(settings, dict):
        return [digest for _, value in sorted(settings.items()) for digest in _files(value)]
    if isinstance(settings, list | tuple):
        return [digest for value in settings for digest in _files(value)]
    if isinstance(settings, str | Path) and len(str(settings)) < 4096 and Path(settings).is_file():
        return [hashlib.sha256(Path(settings).read_bytes()).hexdigest()]
    return []
