"""Common parts of diverse batches: features of equal weight, distances to centres, repeats kept for last."""

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Pool, RoundContext

DIMENSIONS = 128  # at most; the time of a batch grows with them
_ROUNDING = 1e-6  # float32 embeddings: what varies by less than this of its size does not vary
_SAME = 1e-12  # of the squares that a squared distance is the difference of


def standardised(pool: Pool, context: RoundContext) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Embeddings of the pool ``(n, k)`` and of the labelled molecules ``(m, k)``, of mean 0 and variance 1.

    Moments are those of both together; a feature that never changes becomes 0. Above `DIMENSIONS` features,
    the principal components of most variance remain: they change distances least, and need no random numbers.
    """
    both = np.concatenate([context.embeddings, pool.embeddings]).astype(np.float64)
    standardise(both)
    if both.shape[1] > DIMENSIONS:
        both = both @ principal_axes(both, DIMENSIONS)
    known, points = np.split(both, [len(context.embeddings)])
    return points, known


def standardise(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Change ``(n, d)`` rows in place to mean 0 and variance 1; a feature that never changes becomes 0.

    Returns:
        ``(d,)`` means, and ``(d,)`` factors, which make other rows comparable: ``(row - means) * factors``.
    """
    size = np.maximum(rows.max(axis=0), -rows.min(axis=0))
    means = rows.mean(axis=0)
    # Centred first: a feature that never changes would otherwise become a huge constant when it is scaled,
    # and drown all others in rounding errors.
    rows -= means
    spread = rows.std(axis=0)
    factors = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > _ROUNDING * size)
    rows *= factors
    return means, factors


def principal_axes(centred: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The ``count`` axes of most variance of ``(n, d)`` rows, ``(d, count)``, orthonormal."""
    single = centred.astype(np.float32)  # directions need no more digits, and cost half
    _, vectors = np.linalg.eigh((single.T @ single).astype(np.float64))
    return vectors[:, -count:]


class NearestCentre:
    """The nearest centre of every point, while centres are added.

    Args:
        points: ``(n, k)``.
        centres: ``(m, k)``; without any, the origin is one.

    Attributes:
        distances: ``(n,)`` squared; exactly 0 for a repeat of a centre.
        centres: ``(n,)``, of the nearest one, the first of equally near ones.
    """

    def __init__(self, points: NDArray, centres: NDArray):
        self._points, self._squares = points, np.einsum("ij,ij->i", points, points)
        centres = centres if len(centres) else np.zeros((1, points.shape[1]))
        self.distances, self.centres = nearest(points, centres)
        self._count = len(centres)

    def add(self, index: int) -> None:
        """Point ``index`` becomes a centre."""
        squares = self._squares + self._squares[index]
        distances = _exact(squares - 2 * (self._points @ self._points[index]), squares)
        nearer = distances < self.distances
        self.distances[nearer] = distances[nearer]
        self.centres[nearer] = self._count
        self._count += 1


def nearest(points: NDArray, centres: NDArray, chunk: int = 1024) -> tuple[NDArray, NDArray]:
    """Squared distance to, and index of, the nearest centre of every point, in bounded memory."""
    squares = np.einsum("ij,ij->i", centres, centres)
    distances, indices = np.empty(len(points)), np.empty(len(points), dtype=np.int64)
    for start in range(0, len(points), chunk):
        part = points[start : start + chunk]
        own = np.einsum("ij,ij->i", part, part)
        table = part @ centres.T
        table *= -2
        table += squares
        best = table.argmin(axis=1)
        squared = own + table[np.arange(len(part)), best]
        distances[start : start + chunk] = _exact(squared, own + squares[best])
        indices[start : start + chunk] = best
    return distances, indices


def _exact(distances: NDArray, squares: NDArray) -> NDArray:
    """0 for what is 0 but for rounding: a repeat must not look like something new."""
    return np.where(distances > _SAME * squares, distances, 0.0)


class Unchosen:
    """Molecules that may still be chosen; those with a labelled or chosen embedding come last."""

    def __init__(self, pool: Pool, context: RoundContext):
        both = np.concatenate([context.embeddings, pool.embeddings])
        self._kinds, labelled = _kinds(both, len(context.embeddings))
        self.free = np.ones(len(pool), dtype=bool)
        self.new = ~np.isin(self._kinds, labelled)

    def allowed(self) -> NDArray[np.bool_]:
        """``(n,)``, from which the next one is to come."""
        return self.new if self.new.any() else self.free

    def best(self, values: NDArray) -> int:
        """The allowed molecule of the highest value; the earlier of two."""
        return int(np.where(self.allowed(), values, -np.inf).argmax())

    def first_of_each(self) -> NDArray[np.bool_]:
        """``(n,)``, no two of the same embedding, and none that is labelled."""
        first = np.zeros(len(self.new), dtype=bool)
        first[np.unique(self._kinds, return_index=True)[1]] = True
        return first & self.new

    def take(self, index: int) -> None:
        """Molecule ``index`` is chosen."""
        self.free[index] = False
        self.new[self._kinds == self._kinds[index]] = False


def _kinds(embeddings: NDArray, known: int) -> tuple[NDArray, NDArray]:
    """Numbers that only equal embeddings share: those of the pool, and those of the ``known`` first."""
    rows = np.ascontiguousarray(embeddings + np.float32(0.0), dtype=np.float32)  # -0 becomes 0
    if not rows.shape[1]:
        return np.zeros(len(rows) - known, dtype=np.int64), np.zeros(known, dtype=np.int64)
    whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    kinds = np.unique(whole, return_inverse=True)[1]
    return kinds[known:], kinds[:known]
