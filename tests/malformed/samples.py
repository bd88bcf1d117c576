"""Files that are right: what malformed ones are made from."""

import contextlib
import json
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SMILES = (
    *("CCO", "CCN", "CCC", "CC=O", "C#N", "CO", "CCCO", "CCCN", "CC(C)O", "COC", "CC#N", "C=O", "C1CC1"),
    *("CCCC", "CC(C)C", "C=C", "CC=C", "OCCO", "NCCN", "CC(=O)O", "CC(N)=O", "CNC", "CF", "FCF", "OCF"),
)
_ENERGIES = {1: -13.6, 6: -1029.0, 7: -1485.0, 8: -2042.0, 9: -2713.0}  # eV
QM9_XYZ = """5
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
    waiting: Mapping[str, bytes]  # one of a campaign that waits for labels by hand
    npz: Mapping[str, np.ndarray]
    xyz: str = QM9_XYZ


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
    foreign = after_sql(database, "UPDATE information SET value = json_remove(value, '$.alkit')")
    _campaign(folder / "run")
    _waiting(folder / "waiting")
    return Samples(
        smiles="\n".join(SMILES).encode(),
        table=table_bytes(zip(SMILES, values, strict=True)),
        model=_folder(folder / "model"),
        structures_model=_folder(folder / "structures"),
        generator=(folder / "generator.pt").read_bytes(),
        best_model=(folder / "best_model").read_bytes(),
        database=database,
        schnetpack_database=foreign,
        campaign=_folder(folder / "run"),
        waiting=_folder(folder / "waiting"),
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


def _waiting(folder: Path) -> None:
    """A campaign by hand that has drawn a molecule of which no other sample knows."""
    from alkit.config.loading import check_config
    from alkit.molecules.conformers import embed
    from alkit.storage.ledger import Ledger

    folder.mkdir()
    (folder / ".lock").touch()
    manual = {"kind": "manual", "settings": {"level": "made up"}}
    given = {"name": "x", "proposer": "pool", "target": "energy", "simulator": manual}
    pentane = embed("CCCCC", geometry="mmff")
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.set_meta("config", json.dumps(check_config(given).as_dict()))
    ledger.add_candidates(0, ["CCCCC"], status="acquired")
    ledger.add_geometry("CCCCC", "mmff", pentane.numbers, pentane.positions)
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


def under(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def table_bytes(rows: Iterable[tuple[Any, Any]], header: str = "smiles,energy", between: str = ",") -> bytes:
    return "\n".join([header, *(f"{one}{between}{value}" for one, value in rows)]).encode()


def after_sql(database: bytes, *statements: str) -> bytes:
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
