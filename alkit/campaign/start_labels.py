"""A start from labels that exist: the file `start.labels` of a campaign is its round 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from alkit.campaign.by_hand import RefusalError, check_level, label_of, level_in
from alkit.campaign.candidates import examine
from alkit.campaign.label_files import LabelRow, is_empty, read_label_rows, text_of, value_column
from alkit.campaign.round_state import RoundState
from alkit.config.start import StartLabelsConfig
from alkit.datasets.splits import grouped_order, grouped_split, stereo_groups
from alkit.datasets.structures import perceived_smiles
from alkit.datasets.tables import parse_number
from alkit.errors import ConfigError, DataError, LabelError, words_of
from alkit.molecules.energies import Reading, check_energies
from alkit.molecules.molecule import with_hydrogens
from alkit.molecules.scalars import check_values
from alkit.simulators.base import Label, Level, create_simulator
from alkit.simulators.manual import LabelReading, ManualSimulator
from alkit.storage.ledger import Role

_FEWEST = 20  # molecules of three sets
_SHARE = {"test": 5, "validation": 10}  # one in so many, where the campaign file does not say
_CHUNK = 200


class _Row(NamedTuple):
    """A molecule of the file with its number, or why it is not used."""

    row: LabelRow
    smiles: str
    number: float
    reason: str = ""
    detail: str = ""


def check_start_labels(state: RoundState) -> None:
    """Read the file once, before work begins.

    Raises:
        ConfigError: it cannot start the campaign.
    """
    usable = [one for one in _rows(state) if not one.reason]
    _sizes(state, len(usable))


def take_start_labels(state: RoundState) -> None:
    """Split the labelled molecules into test, validation and training set, and keep them with their labels.

    Stereoisomers share a set. What is outside of the domain or has no geometry is rejected with the reason.

    Raises:
        ConfigError: as `check_start_labels`; or a label that cannot be, or of another molecule's geometry.
    """
    rows = _rows(state)
    usable = {one.smiles: one for one in rows if not one.reason}
    failed = _place(state, list(usable))
    labels = _labels(state, {smiles: one for smiles, one in usable.items() if smiles not in failed})
    sizes = _sizes(state, len(labels))
    smiles = list(labels)
    order = grouped_order(list(stereo_groups(smiles).values()), state.rng("start labels"))
    groups = stereo_groups(smiles, order).values()
    roles: tuple[Role, ...] = ("test", "validation", "training")
    sets = grouped_split(groups, (sizes["test"], sizes["validation"]))
    level, ledger = create_simulator(state.labels.simulator).level, state.ledger
    ledger.level = level
    for role, members in zip(roles, sets, strict=True):
        names = [smiles[index] for index in members]
        ids = ledger.add_candidates(0, names, status="acquired", role=role, origin="given")
        for candidate, name in zip(ids, names, strict=True):
            ledger.add_label(labels[name])
            ledger.mark(candidate, "labelled")
            ledger.add_outcome(candidate, labels[name], level, "given")
    _reject(state, [one for one in rows if one.reason] + [_failed(one, failed) for one in usable.values()])
    counts = ", ".join(f"{len(members)} to {role}" for role, members in zip(roles, sets, strict=True))
    rejected = Counter(c.reason for c in ledger.candidates(round_=0, status=("rejected",)))
    left = "; rejected: " + ", ".join(f"{n} {why}" for why, n in rejected.most_common()) if rejected else ""
    state.progress.say(f"start.labels: {len(labels)} molecules, {counts}{left}")


def _section(state: RoundState) -> StartLabelsConfig:
    section = state.config.start.labels
    assert section is not None
    return section


def _reading(state: RoundState) -> LabelReading:
    """How the numbers become labels: as the section says, or as the labels by hand that follow."""
    section, simulator = _section(state), create_simulator(state.labels.simulator)
    given = (section.unit, section.kind, section.references)
    if isinstance(simulator, ManualSimulator) and given == (None, None, None):
        return simulator.reading
    try:
        return LabelReading(state.config.target, section.unit or "", section.kind, section.references)
    except ConfigError as error:
        raise ConfigError(f"start.labels: {error}") from None


def _rows(state: RoundState) -> list[_Row]:
    """Every molecule of the file, once.

    Raises:
        ConfigError: no such column, another level, a value that is no number, or two for one molecule.
    """
    section, reading = _section(state), _reading(state)
    simulator = create_simulator(state.labels.simulator)
    try:
        listed = list(read_label_rows(section.file))
        if not listed:
            raise DataError(f"{section.file} holds no labels.")
        names = list(dict.fromkeys(name for row in listed for name in row.cells))
        target, what = state.config.target, str(section.file)
        column = value_column(names, target, reading.unit, section.column, what)
        # What has no label failed, or was never computed.
        listed = [row for row in listed if not is_empty(row.cells.get(column))]
        _check_levels(section, listed, simulator.level, by_hand=isinstance(simulator, ManualSimulator))
        rows, first = list[_Row](), dict[str, _Row]()
        for one in _read(state, listed, column):
            if one.smiles in first and not one.reason:
                if first[one.smiles].number != one.number:
                    raise DataError(
                        f"{one.row.where}: {one.smiles} has the value {one.number}, and "
                        f"{first[one.smiles].number} in {first[one.smiles].row.where}; keep one of the two."
                    )
                continue
            first.setdefault(one.smiles, one)
            rows.append(one)
        _check_values(what, [one for one in rows if not one.reason], reading)
    except (DataError, RefusalError) as error:
        raise ConfigError(f"start.labels: {error}") from None
    return rows


def _check_values(what: str, rows: list[_Row], reading: LabelReading) -> None:
    """Raise `DataError` or `RefusalError` for values that molecules cannot have."""
    atoms = [
        np.array([atom.GetAtomicNum() for atom in with_hydrogens(one.smiles).GetAtoms()]) for one in rows
    ]
    try:
        values = np.array([reading.label_value(one.number, z) for one, z in zip(rows, atoms, strict=True)])
    except LabelError as error:
        raise RefusalError(f"{error.detail}.") from None

    def advice(looks: Reading) -> str:
        total = ", kind: total and the references of that level" if looks.kind == "total" else ""
        return f" Give unit: {looks.unit}{total}." if reading.factor == 1 else ""

    names = [one.smiles for one in rows]
    if reading.kind is None:
        check_values(reading.target, values, atoms, what, names=names, factor=reading.factor)
    else:
        check_energies(values, atoms, what, names=names, advice=advice)


def _check_levels(section: StartLabelsConfig, listed: list[LabelRow], level: Level, *, by_hand: bool) -> None:
    if section.level not in (None, level.method, str(level)):
        raise RefusalError(f"they are of {section.level}, the campaign's of {level}; levels never mix.")
    for row in listed:
        try:
            check_level(row, level)
        except RefusalError as error:
            raise RefusalError(f"{row.where} {error}; levels never mix.") from None
    if section.level is None and not by_hand and not all(level_in(row) for row in listed):
        raise RefusalError(
            f"{section.file} does not say at which level its labels are, and the simulator computes {level}; "
            f"if they are of that level, say so: start.labels.level: {level.method}."
        )


def _read(state: RoundState, listed: list[LabelRow], column: str) -> Iterator[_Row]:
    for row in listed:
        value = row.cells.get(column)
        if row.problem:
            raise DataError(f"{row.where}: {row.problem}.")
        number = parse_number(str(value), f"{row.where}, {column}", decimal_comma=row.decimal_comma)
        smiles = text_of(row.cells.get("smiles"))
        if not smiles and row.numbers is not None and row.positions is not None:
            smiles = perceived_smiles(row.numbers, row.positions) or ""
        if not smiles:
            raise DataError(f"{row.where}: it names no molecule; a column of SMILES is expected.")
        verdict = examine(smiles, state.molecules.domain, {}, set())
        yield _Row(row, verdict.smiles, number, verdict.reason, verdict.detail)


def _sizes(state: RoundState, count: int) -> dict[str, int]:
    """Molecules of the test and validation sets: as the campaign file says, or a share of a small file.

    Raises:
        ConfigError: too few are left.
    """
    start = state.config.start
    sizes = {"test": start.test, "validation": start.validation}
    for name, share in _SHARE.items():
        if name not in start.model_fields_set and sizes[name]:
            sizes[name] = min(sizes[name], max(5, count // share))
    wanted = sum(sizes.values())
    if count < max(_FEWEST, wanted + 2):
        raise ConfigError(
            f"start.labels: {_section(state).file} has {count} molecules that can be used; {_FEWEST} are the "
            f"least, of which {sizes['test']} are for the test set, {sizes['validation']} for validation, "
            "and the others train."
        )
    members, training = state.config.surrogate.members, count - wanted
    if not start.validation and members > training:
        raise ConfigError(
            f"start.labels: {training} molecules are left to train {members} members, each of which leaves "
            "out a part; give more labels or fewer members."
        )
    return sizes


def _place(state: RoundState, smiles: list[str]) -> dict[str, Any]:
    """Geometries of molecules, kept as they come; those that have none."""
    failed: dict[str, Any] = {}
    with state.progress.steps("geometries of labelled molecules", len(smiles)) as advance:
        for begin in range(0, len(smiles), _CHUNK):
            failed |= state.molecules.place(smiles[begin : begin + _CHUNK], advance)
            state.ledger.commit()
    return failed


def _labels(state: RoundState, usable: dict[str, _Row]) -> dict[str, Label]:
    """Checked labels by SMILES.

    Raises:
        ConfigError: one that cannot be, with what the numbers look like.
    """
    level, reading = create_simulator(state.labels.simulator).level, _reading(state)
    labels: dict[str, Label] = {}
    for smiles, one in usable.items():
        try:
            molecule = state.molecules.molecule(smiles)
            labels[smiles] = label_of(one.row, molecule, one.number, level, reading)
        except (RefusalError, DataError) as error:
            raise ConfigError(f"start.labels: {one.row.where}: {error}.") from None
    return labels


def _failed(one: _Row, failed: dict[str, Any]) -> _Row:
    if one.smiles not in failed:
        return one
    reason, detail = words_of(failed[one.smiles])
    return one._replace(reason=reason, detail=detail)


def _reject(state: RoundState, rows: list[_Row]) -> None:
    rejected = [one for one in rows if one.reason]
    ids = state.ledger.add_candidates(0, [one.smiles for one in rejected], origin="given")
    for candidate, one in zip(ids, rejected, strict=True):
        state.ledger.mark(candidate, "rejected", reason=one.reason, detail=one.detail)
