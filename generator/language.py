"""Molecules as sequences of tokens, of which every prefix is a molecule.

A molecule is written in a depth-first walk over its heavy atoms. The walk keeps a path of atoms from the
first one to the present one. There are V tokens, for E elements and at most N atoms:

- 0: the end;
- 1: one step back along the path;
- 2 + 3 e + o - 1: a new atom of element e, bound to the present one with order o. It becomes the present one.
  For the first atom, o is 1;
- 2 + 3 E + 3 (r - 3) + o - 1: a bond of order o that closes a ring of r atoms with the path.

In such a walk every bond that is not walked leads back to the path, so all molecules can be written. A token
is allowed while valences, the number of atoms and the path have room for it; hydrogens fill what is left. So
every sequence of allowed tokens is a connected molecule with intact valences: nothing has to be thrown away.
SELFIES (https://doi.org/10.1088/2632-2153/aba947) has similar words.

Beside the tokens a network sees what there is of the molecule so far (`Language.width` numbers). That is
element, free valence and bond of every atom on the path, and counts of atoms, elements and pi bonds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

END = 0
_BACK, _ATOMS, _ORDERS, _SMALLEST_RING = 1, 2, 3, 3
NOTHING = -1  # in place of a token, behind the end


def _compiled(function: Any) -> Any:
    """The loop compiled by numba when it is first called, and kept on disk."""
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # nowhere to keep it on this machine: compiled again in each process
        return numba.njit(function)


@dataclass(frozen=True)
class Language:
    """The tokens for molecules of at most `max_atoms` heavy atoms.

    Each element has a valence; 0 keeps the element out.
    """

    max_atoms: int
    valences: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """V, how many different tokens there are."""
        return _ATOMS + _ORDERS * (len(self.valences) + max(self.max_atoms - _SMALLEST_RING + 1, 0))

    @property
    def width(self) -> int:
        """Numbers that describe a molecule so far."""
        elements = len(self.valences)
        return self.max_atoms * (elements + 2) + elements + 2

    def write(
        self, nodes: np.ndarray, bonds: np.ndarray, sizes: np.ndarray, uniform: np.ndarray
    ) -> np.ndarray:
        """Tokens `(B, L)` of B graphs, each walked in a random order; `NOTHING` behind the end.

        `nodes` `(B, N)` and `bonds` `(B, N, N)` as in `generator.graphs`; `uniform` `(B, N)` random numbers
        from 0 to 1.
        """
        rings = bonds.astype(bool).sum(axis=(1, 2)) // 2 - sizes + 1
        longest = int((2 * sizes + rings).max())
        tokens = np.full((len(nodes), longest), NOTHING, dtype=np.int64)
        _write(nodes.astype(np.int64), bonds.astype(np.int64), sizes, uniform, len(self.valences), tokens)
        return tokens[:, : int((tokens != NOTHING).sum(axis=1).max())]

    def read(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read what each token could have been, and the molecule before it.

        Args:
            tokens: `(B, L)`.

        Returns:
            The allowed tokens `(B, L, V)`, bool, and the molecules `(B, L, width)`, float32.
        """
        allowed = np.zeros((*tokens.shape, self.tokens), dtype=bool)
        seen = np.zeros((*tokens.shape, self.width), dtype=np.float32)
        _read(tokens, *self._limits(), allowed, seen)
        return allowed, seen

    def _limits(self) -> tuple[np.ndarray, int]:
        return np.array(self.valences, dtype=np.int64), self.max_atoms


class Writer:
    """B molecules that are written side by side, token by token."""

    def __init__(self, language: Language, count: int) -> None:
        atoms = language.max_atoms
        self._language = language
        self._kinds = np.zeros((count, atoms), dtype=np.int64)
        self._bonds = np.zeros((count, atoms, atoms), dtype=np.int64)
        self._free = np.zeros((count, atoms), dtype=np.int64)
        self._path = np.zeros((count, atoms), dtype=np.int64)
        self._reach = np.zeros((count, 2), dtype=np.int64)  # atoms on the path, atoms in all
        self._done = np.zeros(count, dtype=bool)
        self.allowed = np.zeros((count, language.tokens), dtype=bool)
        self.seen = np.zeros((count, language.width), dtype=np.float32)
        self.add(np.full(count, NOTHING))

    @property
    def done(self) -> bool:
        """Whether all molecules have ended."""
        return bool(self._done.all())

    def add(self, tokens: np.ndarray) -> None:
        """Append an allowed token to each molecule, and find what is allowed next."""
        state = (self._kinds, self._bonds, self._free, self._path, self._reach, self._done)
        _add(tokens, *state, *self._language._limits(), self.allowed, self.seen)

    def graphs(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes `(B, N)` and bonds `(B, N, N)` as in `generator.graphs`."""
        present = np.arange(self._kinds.shape[1]) < self._reach[:, 1:]
        return np.where(present, self._kinds + 1, 0).astype(np.int8), self._bonds.astype(np.int8)


@_compiled
def _allow(kinds, bonds, free, path, reach, valences, most, allowed):
    allowed[:] = False
    depth, count = reach[0], reach[1]
    if count == 0:
        for element in range(len(valences)):
            allowed[_ATOMS + _ORDERS * element] = valences[element] > 0
        return
    present = path[depth - 1]
    allowed[END] = True
    allowed[_BACK] = depth > 1
    if count < most:
        for element in range(len(valences)):
            for order in range(1, min(free[present], valences[element], _ORDERS) + 1):
                allowed[_ATOMS + _ORDERS * element + order - 1] = True
    rings = _ATOMS + _ORDERS * len(valences)
    for size in range(_SMALLEST_RING, depth + 1):
        other = path[depth - size]
        if bonds[present, other] == 0:
            for order in range(1, min(free[present], free[other], _ORDERS) + 1):
                allowed[rings + _ORDERS * (size - _SMALLEST_RING) + order - 1] = True


@_compiled
def _describe(kinds, bonds, free, path, reach, elements, most, seen):
    seen[:] = 0
    depth, count = reach[0], reach[1]
    each = elements + 2
    for back in range(depth):
        atom = path[depth - 1 - back]
        seen[back * each + kinds[atom]] = 1
        seen[back * each + elements] = free[atom] / 4
        if back + 1 < depth:
            seen[back * each + elements + 1] = bonds[atom, path[depth - 2 - back]] / 3
    last = most * each
    seen[last] = count / most
    for atom in range(count):
        seen[last + 1 + kinds[atom]] += 0.2
        for other in range(atom):
            seen[last + 1 + elements] += 0.25 * max(bonds[atom, other] - 1, 0)


@_compiled
def _apply(token, kinds, bonds, free, path, reach, valences):
    rings = _ATOMS + _ORDERS * len(valences)
    depth, count = reach[0], reach[1]
    if token == _BACK:
        reach[0] = depth - 1
    elif _ATOMS <= token < rings:
        element, order = (token - _ATOMS) // _ORDERS, (token - _ATOMS) % _ORDERS + 1
        kinds[count], free[count], path[depth] = element, valences[element], count
        if count > 0:
            _bind(path[depth - 1], count, order, bonds, free)
        reach[0], reach[1] = depth + 1, count + 1
    elif token >= rings:
        size, order = (token - rings) // _ORDERS + _SMALLEST_RING, (token - rings) % _ORDERS + 1
        _bind(path[depth - 1], path[depth - size], order, bonds, free)


@_compiled
def _bind(one, other, order, bonds, free):
    bonds[one, other] = bonds[other, one] = order
    free[one] -= order
    free[other] -= order


@_compiled
def _add(tokens, kinds, bonds, free, path, reach, done, valences, most, allowed, seen):
    for b in range(len(tokens)):
        if done[b]:
            continue
        if tokens[b] == END:
            done[b] = True
            allowed[b] = False
            allowed[b, END] = True
            continue
        if tokens[b] != NOTHING:
            _apply(tokens[b], kinds[b], bonds[b], free[b], path[b], reach[b], valences)
        _allow(kinds[b], bonds[b], free[b], path[b], reach[b], valences, most, allowed[b])
        _describe(kinds[b], bonds[b], free[b], path[b], reach[b], len(valences), most, seen[b])


@_compiled
def _read(tokens, valences, most, allowed, seen):
    for b in range(len(tokens)):
        kinds, free = np.zeros(most, np.int64), np.zeros(most, np.int64)
        bonds, path = np.zeros((most, most), np.int64), np.zeros(most, np.int64)
        reach = np.zeros(2, np.int64)
        for k in range(tokens.shape[1]):
            if tokens[b, k] == NOTHING:
                allowed[b, k, END] = True
                continue
            _allow(kinds, bonds, free, path, reach, valences, most, allowed[b, k])
            _describe(kinds, bonds, free, path, reach, len(valences), most, seen[b, k])
            _apply(tokens[b, k], kinds, bonds, free, path, reach, valences)


@_compiled
def _write(nodes, bonds, sizes, uniform, elements, tokens):
    rings = _ATOMS + _ORDERS * elements
    for b in range(len(nodes)):
        size = sizes[b]
        visited, path = np.zeros(size, np.bool_), np.zeros(size, np.int64)
        atom = int(uniform[b, 0] * size)
        visited[atom] = True
        path[0], depth, written, placed = atom, 1, 1, 1
        tokens[b, 0] = _ATOMS + _ORDERS * (nodes[b, atom] - 1)
        while placed < size:
            present = path[depth - 1]
            choices = 0
            for other in range(size):
                choices += bonds[b, present, other] > 0 and not visited[other]
            if choices == 0:
                depth -= 1
                tokens[b, written] = _BACK
                written += 1
                continue
            skip = int(uniform[b, placed] * choices)
            atom = 0
            while skip > 0 or bonds[b, present, atom] == 0 or visited[atom]:
                skip -= bonds[b, present, atom] > 0 and not visited[atom]
                atom += 1
            visited[atom] = True
            path[depth] = atom
            depth += 1
            placed += 1
            tokens[b, written] = _ATOMS + _ORDERS * (nodes[b, atom] - 1) + bonds[b, present, atom] - 1
            written += 1
            for ring in range(_SMALLEST_RING, depth + 1):
                order = bonds[b, atom, path[depth - ring]]
                if order > 0:
                    tokens[b, written] = rings + _ORDERS * (ring - _SMALLEST_RING) + order - 1
                    written += 1
        tokens[b, written] = END
