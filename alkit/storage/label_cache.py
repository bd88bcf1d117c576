"""Labels that campaigns share: no molecule is computed twice at one level, nor by two campaigns at once.

One SQLite file. Who computes a label has a claim on it; a claim holds as long as the process that made it,
which the file lock beside the cache tells without a clock: the system gives it back however a process ends.
The journal is SQLite's oldest, since the write-ahead log does not work on network file systems. Failures are
not kept: another timeout or a larger memory may succeed.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from alkit.errors import Attempt, CampaignError
from alkit.molecules.molecule import Molecule
from alkit.simulators.base import Label, Level, Simulator, SimulatorSpec, create_simulator
from alkit.simulators.identity import stereoisomer
from alkit.simulators.simulator import REVISION
from alkit.storage.label_rows import label_hash, level_columns, pack, unpack

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS labels (
    key TEXT PRIMARY KEY, smiles TEXT NOT NULL, method TEXT NOT NULL, property TEXT NOT NULL,
    unit TEXT NOT NULL, value REAL NOT NULL, parts TEXT NOT NULL, numbers BLOB NOT NULL,
    positions BLOB NOT NULL, seconds REAL NOT NULL, attempts TEXT NOT NULL, host TEXT NOT NULL,
    version TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL);
COMMIT;
"""
_COLUMNS = (
    "smiles, method, property, unit, value, parts, numbers, positions, seconds, attempts, host, version"
)
_PATIENCE = 60.0  # seconds to wait for another campaign's write
_VARIABLE = "ALKIT_LABEL_CACHE"


def default_path() -> Path:
    """$ALKIT_LABEL_CACHE, or a file of the user's own."""
    if given := os.environ.get(_VARIABLE):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "alkit" / "labels.sqlite"


class LabelCache:
    """Labels of one simulator in the file ``path``, made if need be; for all threads of this process.

    What is computed is told by the simulator's name, settings and, of the user's own, code; by the molecule;
    and by the starting geometry: where the simulator's ``any_start`` says that its labels depend on nothing
    else of it, by its stereoisomer alone. Every method raises `CampaignError` where the file cannot be used.
    """

    def __init__(self, path: Path, spec: SimulatorSpec):
        self.path, self._lock = path, threading.Lock()
        simulator = create_simulator(spec)
        self._level: Level = simulator.level
        self._recipe = _recipe(spec, simulator)
        self._any_start = bool(getattr(simulator, "any_start", False))
        self._owner = uuid.uuid4().hex
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._owners = path.with_name(f"{path.name}.owners")
            self._owners.mkdir(exist_ok=True)
            self._held = self._own(self._owner)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE, check_same_thread=False)
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Give back what was claimed and not labelled."""
        try:
            with self._told(), self._lock:
                self._db.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
        finally:  # without its lock a claim is void, whatever became of its row
            self._db.close()
            self._release(self._owner, self._held)

    def key(self, molecule: Molecule) -> str:
        """Of the label that the simulator would give this molecule."""
        digest = hashlib.sha256(f"{self._recipe}\n{molecule.smiles}".encode())
        isomer = self._any_start and stereoisomer(molecule.smiles, molecule.numbers, molecule.positions)
        if isomer:
            digest.update(isomer.encode())
        else:
            digest.update(pack(molecule.numbers, "<i4") + pack(molecule.positions, "<f8"))
        return digest.hexdigest()

    def get(self, molecule: Molecule) -> Label | None:
        """The label, if anybody has computed it."""
        with self._told(), self._lock:
            row = self._db.execute(
                f"SELECT {_COLUMNS}, hash FROM labels WHERE key = ?", (self.key(molecule),)
            ).fetchone()
        if row is None:
            return None
        *_, value, parts, numbers, positions, seconds, attempts, host, version, digest = row
        label = Label(
            molecule.smiles,
            value,
            self._level,
            json.loads(parts),
            *unpack(numbers, positions),
            seconds,
            tuple(Attempt(*attempt) for attempt in json.loads(attempts)),
            host,
            version,
        )
        if label_hash(label) != digest:
            raise CampaignError(
                f"The label of {molecule.smiles} in {self.path} was changed after it was written; remove the "
                "file, or give another simulator.cache."
            )
        return label

    def put(self, molecule: Molecule, label: Label) -> None:
        """Keep a label, and give up the claim on it."""
        row = (
            self.key(molecule),
            label.smiles,
            *level_columns(label.level),
            float(label.value),
            json.dumps({name: float(part) for name, part in label.parts.items()}),
            pack(label.numbers, "<i4"),
            pack(label.positions, "<f8"),
            float(label.seconds),
            json.dumps(label.attempts),
            label.host,
            label.version,
            label_hash(label),
        )
        with self._told(), self._writing():
            self._db.execute(
                f"INSERT OR IGNORE INTO labels (key, {_COLUMNS}, hash) VALUES ({', '.join('?' * 14)})", row
            )
            self._db.execute("DELETE FROM claims WHERE key = ?", (row[0],))

    def claim(self, molecule: Molecule) -> bool:
        """Whether the label is now the caller's to compute: nobody has it, and nobody alive is at it, not
        even the caller, whose own claims on late labels last until these come."""
        key = self.key(molecule)
        with self._told(), self._writing():
            if self._db.execute("SELECT 1 FROM labels WHERE key = ?", (key,)).fetchone():
                return False
            row = self._db.execute("SELECT owner FROM claims WHERE key = ?", (key,)).fetchone()
            if row and not self._ended(row[0]):
                return False
            self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?)", (key, self._owner))
        return True

    def give_up(self, molecule: Molecule) -> None:
        """No label came of a claim."""
        with self._told(), self._writing():
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
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CampaignError(
                f"The label cache {self.path} cannot be used ({error}); mend that, or set simulator.cache to "
                "another file or to none."
            ) from None

    def _own(self, owner: str) -> int:
        """A file of that name, locked as long as this process lives."""
        held = os.open(self._owners / owner, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(held)
            raise
        return held

    def _ended(self, owner: str) -> bool:
        """Whether the process that has this name is no more; its file is then removed."""
        try:
            held = self._own(owner)
        except BlockingIOError:
            return False
        self._db.execute("DELETE FROM claims WHERE owner = ?", (owner,))
        self._release(owner, held)
        return True

    def _release(self, owner: str, held: int) -> None:
        with suppress(FileNotFoundError):
            (self._owners / owner).unlink()
        os.close(held)


def _recipe(spec: SimulatorSpec, simulator: Simulator) -> str:
    """All that a label depends on besides the molecule."""
    settings: dict[str, Any] = dict(spec.settings)
    if is_dataclass(simulator) and not isinstance(simulator, type):
        settings |= asdict(simulator)  # defaults too
    version = getattr(simulator, "version", "")
    parts = [spec.kind, *level_columns(simulator.level), version, settings, REVISION]
    return json.dumps([*parts, *_sources(simulator), *_files(settings)], sort_keys=True, default=str)


def _sources(simulator: Simulator) -> list[str]:
    """Hashes of the code that is neither alkit's nor Python's: of its classes, and of its calculator's."""
    classes = [*type(simulator).__mro__, *getattr(simulator, "calculator_class", object).__mro__]
    hashes = []
    for one in classes:
        if one.__module__.partition(".")[0] in ("alkit", "builtins", "typing", "abc"):
            continue
        with suppress(TypeError, OSError):  # compiled code: its version has to say
            hashes.append(hashlib.sha256(Path(inspect.getfile(one)).read_bytes()).hexdigest())
    return hashes


def _files(settings: Any) -> list[str]:
    """Hashes of the files that settings name, such as the weights of a potential."""
    if isinstance(settings, dict):
        return [found for _, value in sorted(settings.items()) for found in _files(value)]
    if isinstance(settings, list | tuple):
        return [found for value in settings for found in _files(value)]
    if isinstance(settings, str | Path) and len(str(settings)) < 4096 and Path(settings).is_file():
        return [hashlib.sha256(Path(settings).read_bytes()).hexdigest()]
    return []
