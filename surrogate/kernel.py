"""A Gaussian process for few labels: no label is set apart, and no network is trained.

The energy beyond references and baseline is a sum of three parts: of atoms (`surrogate.atom_kernel`), of
elements, and linear in numbers of the molecule. Every label is learned from. The marginal likelihood gives
sizes; leaving out each label in turn gives errors, in closed form.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from surrogate.atom_kernel import (
    AtomsOf,
    Described,
    Descriptor,
    Lengths,
    atom_sums,
    input_sums,
    kernel,
    place_sums,
    self_kernel,
    sizes_of,
)
from surrogate.calibration import Calibration
from surrogate.checks import check_inputs
from surrogate.ensemble_files import (
    FORMAT,
    check_calibration,
    element_numbers,
    read_arrays,
    read_calibration,
    write_described,
)
from surrogate.errors import SurrogateError
from surrogate.files import write_whole
from surrogate.inputs import Graph, input_widths
from surrogate.kernel_lengths import choose_lengths
from surrogate.kernel_prior import prior_columns
from surrogate.likelihood import ATOM_PRIOR, CHOSEN_NOISE, covariance, fit_sizes, leave_out, optimism
from surrogate.linear_part import Linear
from surrogate.low_rank import Covariance, factorised
from surrogate.prediction import Prediction
from surrogate.settings import ModelSettings, TrainingSettings
from surrogate.standard import Standard
from surrogate.targets import AtomReferences, baselines, checked_labels

MOST_LABELS = 5000  # the work grows with their third power
_WAVES, _PAIRS = 512, 8  # random waves of an element, and pairs of joint draws
_SEED = 0


@dataclass(eq=False, repr=False)
class KernelModel:
    """A fitted process; `fit`, `predict`, `save` and `load` as `surrogate.Ensemble` has them."""

    settings: ModelSettings
    references: AtomReferences
    descriptor: Descriptor
    linear: Linear
    lengths: Lengths
    unit: float  # mean of the kernel of a training molecule with itself
    size: float  # eV, deviation of the sum over atoms
    noise: float  # eV
    training: Described
    numbers: NDArray[np.float64]  # (n, j) eV, linear columns of the training molecules
    rests: NDArray[np.float64]  # (n,) eV
    calibration: Calibration = field(default_factory=Calibration)
    histories: list[Any] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"KernelModel({len(self.rests)} labels)"

    def __post_init__(self) -> None:
        n, mean = len(self.rests), self.settings.intensive
        atoms = kernel(self.training, n, self.training, n, self.lengths, mean=mean) / self.unit
        counts = atom_sums(self.training, n, mean=mean)
        matrix = covariance(atoms, self.numbers @ self.numbers.T, counts @ counts.T, size=self.size)
        matrix[np.diag_indices(n)] += self.noise**2
        self._inverse = cho_solve(cho_factor(matrix, lower=True), np.eye(n))
        self._weights = self._inverse @ self.rests
        self._counts = counts

    @classmethod
    def fit(
        cls,
        settings: ModelSettings,
        training_settings: TrainingSettings,
        *,
        training: tuple[Sequence[Graph], NDArray],
        left_out: NDArray[np.bool_] | None = None,
        drawn: NDArray[np.bool_] | None = None,
    ) -> KernelModel:
        """Fit to all labels; calibrate on those that are left out in turn.

        Args:
            settings: inputs, baseline and elements.
            training_settings: a kernel takes the kind of atom references from them.
            training: graphs and ``(n,)`` labels, eV.
            left_out: ``(n, folds)``, which fold each molecule leaves with; each by itself by default.
            drawn: ``(n,)``, the molecules that were drawn at random; they alone calibrate. Where not all are,
                the noise on a baseline is bounded.

        Raises:
            SurrogateError: too many labels or none, inputs that are missing, or labels that are not finite.
        """
        graphs, labels = training
        if len(graphs) > MOST_LABELS:
            raise SurrogateError(
                f"representation is kernel, which takes {MOST_LABELS} labels at most; with {len(graphs)} use "
                "schnet or painn."
            )
        check_inputs(settings, graphs)
        numbers, n, mean = element_numbers(settings), len(graphs), settings.intensive
        labels, below = checked_labels(graphs, labels), baselines(graphs, settings.baseline)
        descriptor = Descriptor.fit(numbers, graphs)
        described = descriptor(graphs)
        counts = atom_sums(described, n, mean=mean)
        linear = Linear.fit(graphs, counts, labels if settings.baseline else None)
        rests = labels - below - linear.offset(graphs)
        references = AtomReferences.fit(numbers, graphs, rests, kind=training_settings.references, mean=mean)
        rests = rests - references(graphs)
        judging = np.ones(n, dtype=bool) if drawn is None else drawn
        chosen = settings.baseline and not settings.intensive and not judging.all()
        most_noise = CHOSEN_NOISE if chosen else np.inf
        lines = linear.parts(graphs)
        lengths = choose_lengths(described, lines, rests, mean=mean, most_noise=most_noise)
        atoms = kernel(described, n, described, n, lengths, mean=mean)
        unit = float(np.diag(atoms).mean())
        products = [part @ part.T for part in (*lines, counts)]
        _, sizes = fit_sizes(rests, atoms / unit, *products, most_noise=most_noise)
        widths = [part.shape[1] for part in lines]
        linear = linear.sized(np.repeat([sizes.whole, sizes.levels], widths))
        model = cls(
            settings, references, descriptor, linear, lengths, unit, sizes.atoms, sizes.noise, described,
            linear(graphs), rests,
        )  # fmt: skip
        errors, deviations = model._left_out(left_out)
        found = Calibration.fit(
            errors[judging], np.zeros((1, int(judging.sum()))), {"gp": deviations[judging]}
        )
        kernels = (atoms / unit, *products)
        factor = optimism(rests, kernels, sizes, np.abs(errors).mean(), most_noise=most_noise)
        model.calibration = replace(found, scale=found.scale * factor)
        return model

    members = ()  # nothing is averaged

    def predict(
        self,
        graphs: Sequence[Graph],
        *,
        device: str = "auto",
        on_batch: Callable[[int], None] | None = None,
    ) -> Prediction:
        """Energies in eV; ``samples`` are joint draws in pairs about the mean.

        Args:
            graphs: ``n`` molecules with positions.
            device: for the sake of one signature; a kernel runs on the processor.
            on_batch: called with the number of molecules that are done.

        Raises:
            SurrogateError: an element that the model was not built for, or a baseline of another level.
        """
        check_inputs(self.settings, graphs)
        offsets = self._offsets(graphs)
        n = len(graphs)
        described, raw, cross = self._compared(graphs)
        variance = self._prior(described, raw, n) - np.einsum("ij,jk,ik->i", cross, self._inverse, cross)
        deviations = np.sqrt(np.maximum(variance, 0) + self.noise**2)
        samples = cross @ self._weights + offsets + self._draws(described, raw, cross, n)
        if on_batch:
            on_batch(n)
        return self._prediction(samples, deviations, self._embeddings(described, raw, n))

    def covariance(self, graphs: Sequence[Graph]) -> Covariance:
        """How the energies of molecules vary together, given the labels.

        Raises:
            SurrogateError: see `predict`.
        """
        check_inputs(self.settings, graphs)
        n = len(graphs)
        described, raw, cross = self._compared(graphs)
        seen = cross @ self._inverse
        mean = self.settings.intensive
        prior = prior_columns(described, raw, self.lengths, self.unit, self.size, mean=mean)
        variances = self._prior(described, raw, n) - np.einsum("ij,ij->i", seen, cross)
        return factorised(lambda chosen: prior(chosen) - seen @ cross[chosen].T, variances, self.noise)

    def out_of_fold(
        self, graphs: Sequence[Graph], left_out: NDArray[np.bool_], *, device: str = "auto"
    ) -> Prediction:
        """Energies of the training molecules in eV, each by a process that has not seen its fold.

        Args:
            graphs: the training molecules of `fit`.
            left_out: ``(n, folds)``.
            device: not used.

        Raises:
            SurrogateError: they are others.
        """
        if len(graphs) != len(self.rests) or len(left_out) != len(graphs):
            raise SurrogateError(
                f"The model was fitted to {len(self.rests)} molecules; {len(graphs)} are given to leave out."
            )
        errors, deviations = self._left_out(left_out)
        means = self.rests + errors + self._offsets(graphs)
        embeddings = self._embeddings(self.training, self.numbers, len(graphs))
        return self._prediction(means[None], deviations, embeddings)

    def _offsets(self, graphs: Sequence[Graph]) -> NDArray[np.float64]:
        """``(n,)`` eV: references and the weighted mean of the baselines."""
        below = baselines(graphs, self.settings.baseline)
        return below + self.linear.offset(graphs) + self.references(graphs)

    def gain(self, errors: NDArray, samples: NDArray) -> float:
        """1: what is left out is missed by one label of many, see `Ensemble.gain`."""
        return 1.0

    def _prediction(self, samples: NDArray, deviations: NDArray, embeddings: NDArray) -> Prediction:
        return Prediction(
            samples, self.calibration(samples, {"gp": deviations}), embeddings, self.calibration
        )

    def _left_out(self, left_out: NDArray[np.bool_] | None) -> tuple[NDArray, NDArray]:
        n = len(self.rests)
        if left_out is None:
            folds = [np.array([i]) for i in range(n)]
        else:
            _, fold = np.unique(left_out, axis=0, return_inverse=True)
            folds = [np.flatnonzero(fold == k) for k in range(int(fold.max()) + 1)]
        return leave_out(self._inverse, self._weights, folds)

    def _compared(self, graphs: Sequence[Graph]) -> tuple[Described, NDArray, NDArray]:
        """Molecules as the kernel sees them, and their covariance ``(n, labels)`` with the labelled ones."""
        described = self.descriptor(graphs)
        raw = self.linear(graphs) if len(graphs) else np.zeros((0, self.numbers.shape[1]))
        return described, raw, self._cross(described, raw, len(graphs))

    def _cross(self, described: Described, raw: NDArray, n: int) -> NDArray[np.float64]:
        mean = self.settings.intensive
        atoms = kernel(described, n, self.training, len(self.rests), self.lengths, mean=mean) / self.unit
        counts = atom_sums(described, n, mean=mean) @ self._counts.T
        return covariance(atoms, raw @ self.numbers.T, counts, size=self.size)

    def _prior(self, described: Described, raw: NDArray, n: int) -> NDArray[np.float64]:
        mean = self.settings.intensive
        atoms = self_kernel(described, n, self.lengths, mean=mean) / self.unit
        counts = (atom_sums(described, n, mean=mean) ** 2).sum(axis=1)
        return covariance(atoms, (raw**2).sum(axis=1), counts, size=self.size)

    def _draws(self, described: Described, raw: NDArray, cross: NDArray, n: int) -> NDArray[np.float64]:
        """``(s, n)`` eV: joint draws less the mean, by Matheron's rule.

        A draw of the prior by random waves (Rahimi and Recht, NIPS 2007), less its own prediction.
        """
        rng = np.random.default_rng(_SEED)
        ours, theirs = np.zeros((_PAIRS, len(self.rests))), np.zeros((_PAIRS, n))
        for number in self.descriptor.numbers:
            known, new = self.training[number], described[number]
            width = known.places.shape[1] + known.inputs.shape[1]
            waves, phases = rng.normal(size=(width, _WAVES)), rng.uniform(0, 2 * np.pi, _WAVES)
            weights = rng.normal(size=(_WAVES, _PAIRS)) * np.sqrt(2 / _WAVES / self.unit) * self.size
            for atoms, out in ((known, ours), (new, theirs)):
                scaled = np.hstack([atoms.places / self.lengths[0], atoms.inputs / self.lengths[1]])
                np.add.at(out.T, atoms.molecules, np.cos(scaled @ waves + phases) @ weights)
        mean = self.settings.intensive
        ours /= sizes_of(self.training, len(self.rests), mean=mean)
        theirs /= sizes_of(described, n, mean=mean)
        slopes = rng.normal(size=(self.numbers.shape[1], _PAIRS))
        each = rng.normal(size=(self._counts.shape[1], _PAIRS)) * ATOM_PRIOR
        noise = rng.normal(size=ours.shape) * self.noise
        ours += (self.numbers @ slopes + self._counts @ each).T + noise
        theirs += (raw @ slopes + atom_sums(described, n, mean=mean) @ each).T
        apart = theirs - ours @ self._inverse @ cross.T
        return np.concatenate([apart, -apart])

    def _embeddings(self, described: Described, raw: NDArray, n: int) -> NDArray[np.float32]:
        """``(n, d)``: what the kernel is linear in where its lengths are long; eV for a weight of 1."""
        size, mean = self.size / np.sqrt(self.unit), self.settings.intensive
        parts = [
            place_sums(described, n, mean=mean) * size / self.lengths[0],
            input_sums(described, n, mean=mean) * size / self.lengths[1],
            raw,
            atom_sums(described, n, mean=mean) * size,
        ]
        return np.hstack(parts).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write ``kernel.npz`` and then ``ensemble.json``, so that a folder with it is complete."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray] = {
            "rests": self.rests,
            "numbers": self.numbers,
            "means": self.linear.means,
            "deviations": self.linear.deviations,
        }
        for number in self.descriptor.numbers:
            atoms = self.training[number]
            arrays |= {
                f"basis_{number}": self.descriptor.bases[number],
                f"places_{number}": atoms.places,
                f"inputs_{number}": atoms.inputs,
                f"molecules_{number}": atoms.molecules,
            }
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **arrays)
        write_whole(folder / "kernel.npz", content.getbuffer())
        description = {
            "format": FORMAT,
            "model": self.settings.as_dict(),
            "references": self.references.as_dict(),
            "standard": self.descriptor.standard.as_dict(),
            "lengths": list(self.lengths),
            "unit": self.unit,
            "sizes": [self.size, self.noise],
            "weights": list(self.linear.weights),
            "calibration": asdict(self.calibration),
            "arrays": hashlib.sha256(content.getvalue()).hexdigest(),
        }
        write_described(folder, description)

    @classmethod
    def read(cls, folder: Path, description: dict[str, Any], settings: ModelSettings) -> KernelModel:
        """Read a model from a folder and its description.

        Raises:
            SurrogateError: a file is missing.
            ValueError, KeyError, TypeError: the description or the arrays are damaged.
        """
        references = AtomReferences.of(description["references"])
        calibration = read_calibration(description["calibration"], description["format"])
        check_calibration(calibration, references, {"gp"})
        arrays = read_arrays(folder / "kernel.npz", description["arrays"])
        numbers = tuple(element_numbers(settings))
        standard = Standard.from_dict(description["standard"])
        training = {z: AtomsOf(*(arrays[f"{name}_{z}"] for name in _OF_ATOMS)) for z in numbers}
        lengths, sizes = (tuple(map(float, description[name])) for name in ("lengths", "sizes"))
        weights = tuple(map(float, description.get("weights", ())))
        values = [*lengths, *sizes, float(description["unit"])]
        if len(lengths) != 2 or not all(np.isfinite(one) and one > 0 for one in values):
            raise ValueError(f"lengths, sizes and unit are {values}")
        levels = len(arrays["deviations"]) - input_widths(settings.inputs)[2]
        if not np.isfinite(weights).all() or len(weights) not in (0, levels):
            raise ValueError(f"weights are {weights}, of {levels} baselines")
        linear, columns = Linear(arrays["means"], arrays["deviations"], weights), arrays["numbers"]
        if len(sizes) > 2:  # a model of an earlier revision has the size of its linear part by itself
            linear, columns = linear.of_earlier(sizes[1]), columns * sizes[1]
        if not all(np.isfinite(arrays[name]).all() for name in ("rests", "numbers")):
            raise ValueError("kernel.npz holds numbers that are not finite")
        return cls(
            settings,
            references,
            Descriptor(numbers, standard, {z: arrays[f"basis_{z}"] for z in numbers}),
            linear,
            (lengths[0], lengths[1]),
            float(description["unit"]),
            sizes[0],
            sizes[-1],
            training,
            columns,
            arrays["rests"],
            calibration,
        )


_OF_ATOMS = ("places", "inputs", "molecules")
