"""A deep ensemble of SchNets: mean, calibrated uncertainty and embeddings of molecules."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from surrogate.batches import MOLECULE_OF_ATOM, GraphDataset
from surrogate.calibration import SPREAD, Calibration
from surrogate.checks import check_disjoint, check_inputs, check_warm_start
from surrogate.determinism import deterministic
from surrogate.ensemble_files import (
    FORMAT,
    check_description,
    element_numbers,
    read_calibration,
    read_described,
    read_weights,
    write_described,
)
from surrogate.errors import SurrogateError
from surrogate.files import write_weights
from surrogate.folds import check_left_out, check_spread, gain_of_all, joined, unseen
from surrogate.forces import Labelled, centre, check_sloped, evaluate_forces, learned_forces, root_mean_square
from surrogate.groups import Processes, train_in_groups
from surrogate.inputs import Graph
from surrogate.last_layer import LastLayerGP
from surrogate.parallel import map_in_order
from surrogate.prediction import Prediction
from surrogate.schnet import build_model
from surrogate.settings import ModelSettings, TrainingSettings, pick_device
from surrogate.stack import evaluate_heads, evaluate_members, pooled, variances
from surrogate.standard import Standard
from surrogate.targets import AtomReferences, baselines, checked_labels, per_atom_deviation
from surrogate.training import TrainingHistory

OnMember = Callable[[int, int, dict[str, float]], None]


@dataclass(eq=False, repr=False)
class Ensemble:
    """Networks that differ in their first weights, trained side by side on the same batches.

    Deep ensembles: Lakshminarayanan et al., NeurIPS 2017, https://doi.org/10.48550/arXiv.1612.01474.
    """

    settings: ModelSettings
    references: AtomReferences
    members: list[nn.Module]
    calibration: Calibration = field(default_factory=Calibration)
    histories: list[TrainingHistory] = field(default_factory=list)
    scale: float = 1.0  # eV per unit of the networks' output
    gp: LastLayerGP | None = None  # on the first member's atom features
    standard: Standard | None = None  # of atom inputs, where networks see them standardised

    def __repr__(self) -> str:
        return f"Ensemble({len(self.members)} members, {self.settings.representation}, {self.settings.mode})"

    @classmethod
    def fit(
        cls,
        settings: ModelSettings,
        training_settings: TrainingSettings,
        *,
        training: Labelled,
        validation: Labelled | None = None,
        members: int,
        seed: int,
        left_out: NDArray[np.bool_] | None = None,
        drawn: NDArray[np.bool_] | None = None,
        warm_start: "Ensemble | None" = None,
        on_epoch: OnMember | None = None,
        processes: Processes | None = None,
    ) -> "Ensemble":
        """Train every member, then calibrate the spread on the validation molecules.

        Args:
            settings: of every network.
            training_settings: of the optimiser.
            training: graphs and ``(n,)`` labels in eV, and forces in eV/Å where they have a weight.
            validation: likewise; they stop the training and calibrate, so count them as labels.
            members: 1 alone has no spread; without a Gaussian process its standard deviations are NaN.
            seed: of the order of batches; the first weights of member ``k`` come from ``seed + k``.
            left_out: ``(n, members)``, in place of a validation set: which members each training molecule is
                left out of, see `surrogate.folds.left_out`. A member validates on those and learns from the
                others. So all labels are learned from, and each has an error out of fold.
            drawn: ``(n,)``, with ``left_out``: the training molecules that were drawn at random. They alone
                calibrate, since the errors of chosen ones are not those of others; all by default.
            warm_start: an earlier ensemble whose weights the members go on from. With ``left_out`` it may be
                one network, from which all go on: what each is left out of keeps them apart.
            on_epoch: called with member, epoch and metrics.
            processes: that train groups of members at once; None: this one trains all together.

        Raises:
            SurrogateError: no members, an empty set, other elements, values that are not finite, or forces
                that are missing or impossible. Also both a validation set and folds or neither, or a warm
                start that does not fit.
        """
        if members < 1:
            raise SurrogateError(f"members is {members}; an ensemble has 1 at least, and from 2 on a spread.")
        if (validation is None) == (left_out is None):
            raise SurrogateError("Give a validation set, or left_out in its place: one of the two.")
        if left_out is not None:
            check_left_out(left_out, len(training[0]), members)
            check_spread(left_out, settings)
        if warm_start is not None:
            alone = 1 if left_out is not None and len(warm_start.members) == 1 else members
            check_warm_start(warm_start.settings, len(warm_start.members), settings, alone)
        ensemble, data, held_out = _prepare(
            settings, training_settings, training, validation, warm_start, members, left_out
        )
        ensemble.members = [build_model(settings, seed=seed + k) for k in range(members)]
        if warm_start is not None:
            for k, member in enumerate(ensemble.members):
                member.load_state_dict(warm_start.members[k % len(warm_start.members)].state_dict())
        ensemble.histories = train_in_groups(
            ensemble.members,
            data,
            held_out,
            training_settings,
            seed=seed,
            scale=ensemble.scale,
            warm=warm_start is not None,
            on_epoch=on_epoch,
            processes=processes,
        )
        if training_settings.forces_weight:
            samples = ensemble._raw(training[0], device=training_settings.device)[0]
            errors = (np.asarray(training[1]) - samples) / ensemble.scale
            centre(ensemble.members, training[0], errors, left_out)
        if "gp" in settings.uncertainty:
            ensemble.gp = ensemble._fit_gp(training[0], seed)
        graphs, labels = (validation or training)[:2]
        samples, sources, _ = ensemble._raw(graphs, device=training_settings.device)
        if left_out is not None:
            samples, sources = unseen(samples, sources, left_out, settings.heads)
            if drawn is not None:
                labels, samples = np.asarray(labels)[drawn], samples[:, drawn]
                sources = {name: values[..., drawn] for name, values in sources.items()}
        spread = samples if SPREAD in settings.uncertainty else samples.mean(axis=0)[None]
        errors = np.asarray(labels) - samples.mean(axis=0)
        found = Calibration.fit(errors, spread, joined(sources))
        ensemble.calibration = replace(found, scale=found.scale * ensemble.gain(errors, samples))
        return ensemble

    def out_of_fold(
        self, graphs: Sequence[Graph], left_out: NDArray[np.bool_], *, device: str = "auto"
    ) -> Prediction:
        """Energies of the labelled molecules in eV, each by the members that it was left out of.

        Args:
            graphs: the training molecules of `fit`.
            left_out: ``(n, members)``, as in `fit`.
            device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            SurrogateError: ``left_out`` is not that of these molecules and members.
        """
        check_left_out(left_out, len(graphs), len(self.members))
        samples, sources, embeddings = self._raw(graphs, device=device)
        samples, sources = unseen(samples, sources, left_out, self.settings.heads)
        return Prediction(samples, self.calibration(samples, joined(sources)), embeddings, self.calibration)

    def gain(self, errors: NDArray, samples: NDArray) -> float:
        """How much smaller errors are than those out of fold: `surrogate.folds.gain_of_all`."""
        return gain_of_all(errors, samples, len(self.members), self.settings.heads)

    def _seen(self, graphs: Sequence[Graph]) -> Sequence[Graph]:
        """Graphs as the networks see them."""
        return graphs if self.standard is None else self.standard(graphs)

    def _fit_gp(self, graphs: Sequence[Graph], seed: int, batch_size: int = 256) -> LastLayerGP:
        atoms, molecules, graphs = [], [], self._seen(graphs)
        with torch.inference_mode(), deterministic():
            for start in range(0, len(graphs), batch_size):
                data = GraphDataset(graphs[start : start + batch_size], self.settings)
                batch = data.batch(range(len(data)))
                atoms.append(evaluate_members(self.members[:1], batch)[1][0])
                molecules.append(start + batch[MOLECULE_OF_ATOM])
        mean = self.settings.intensive
        return LastLayerGP.fit(torch.cat(atoms), torch.cat(molecules), seed=seed, mean=mean)

    def predict(
        self,
        graphs: Sequence[Graph],
        *,
        batch_size: int = 256,
        device: str = "auto",
        on_batch: Callable[[int], None] | None = None,
    ) -> Prediction:
        """Predict energies in eV.

        Args:
            graphs: ``n`` molecules.
            batch_size: molecules computed at a time.
            device: ``auto`` takes a GPU where there is one; or ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
            on_batch: called with the number of molecules of every batch that is done.

        Raises:
            SurrogateError: an element that the model was not built for, or a baseline of another level.
        """
        samples, sources, embeddings = self._raw(
            graphs, batch_size=batch_size, device=device, on_batch=on_batch
        )
        return Prediction(samples, self.calibration(samples, joined(sources)), embeddings, self.calibration)

    def _raw(
        self,
        graphs: Sequence[Graph],
        *,
        batch_size: int = 256,
        device: str = "auto",
        on_batch: Callable[[int], None] | None = None,
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]], NDArray[np.float32]]:
        """``(s, n)`` samples (eV), sources ``gp (n,)`` and ``variance (s, n)``, ``(n, d)`` embeddings."""
        check_inputs(self.settings, graphs)
        offsets = self.references(graphs) + baselines(graphs, self.settings.baseline)
        place = torch.device(pick_device(device))
        members, graphs = [member.to(place).eval() for member in self.members], self._seen(graphs)
        gp = None if self.gp is None else self.gp.to(place)
        names = [*["gp"] * (gp is not None), *["variance"] * ("variance" in self.settings.uncertainty)]

        def of(start: int) -> tuple[NDArray, NDArray, list[NDArray]]:
            data = GraphDataset(graphs[start : start + batch_size], self.settings)
            batch = {key: value.to(place) for key, value in data.batch(range(len(data))).items()}
            with torch.inference_mode():
                outputs, atoms = evaluate_heads(members, batch)
                mean = self.settings.intensive
                embedded = pooled(atoms, batch, mean=mean).transpose(0, 1).flatten(1)
                sources = [] if gp is None else [gp(atoms[0], batch[MOLECULE_OF_ATOM], len(data), mean=mean)]
                if "variance" in names:
                    sources.append(variances(members, atoms, batch))
            arrays = [source.cpu().double().numpy() for source in sources]
            return outputs.flatten(0, 1).cpu().double().numpy(), embedded.cpu().numpy(), arrays

        outputs_of = []
        try:
            with deterministic():
                for parts in map_in_order(of, range(0, len(graphs), batch_size)):
                    outputs_of.append(parts)
                    if on_batch:
                        on_batch(parts[0].shape[1])
        finally:
            for member in self.members:
                member.cpu()
        if not outputs_of:
            empty = np.empty((0, len(members) * self.settings.features), dtype=np.float32)
            return (
                np.empty((len(members) * self.settings.heads, 0)),
                dict.fromkeys(names, np.empty((len(members), 0))),
                empty,
            )
        outputs, embeddings, sources = zip(*outputs_of, strict=True)
        samples = self.scale * np.concatenate(outputs, axis=1) + offsets
        arrays = [np.concatenate(parts, axis=-1) for parts in zip(*sources, strict=True)]
        return samples, dict(zip(names, arrays, strict=True)), np.concatenate(embeddings)

    def forces(
        self, graphs: Sequence[Graph], *, batch_size: int = 64, device: str = "auto"
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Energies ``(n,)`` (eV) and forces of each molecule ``(atoms, 3)`` (eV/Å), means over members.

        The energy is computed without tables, at every pair's own distance, so that the forces are exactly
        its negative slope.

        Raises:
            SurrogateError: a model whose energy is no function of the geometry alone, or an element that it
                was not built for.
        """
        check_sloped(self.settings)
        check_inputs(self.settings, graphs)
        energies, place = self.references(graphs), torch.device(pick_device(device))
        members, found = [member.to(place).eval() for member in self.members], []
        try:
            with deterministic():
                for start in range(0, len(graphs), batch_size):
                    data = GraphDataset(graphs[start : start + batch_size], self.settings, sloped=True)
                    batch = {key: value.to(place) for key, value in data.batch(range(len(data))).items()}
                    heads, _, forces = evaluate_forces(members, batch)
                    mean = heads.mean(dim=(0, 1)).cpu().double().numpy()
                    energies[start : start + batch_size] += self.scale * mean
                    ends = np.cumsum([len(graph) for graph in data.graphs])[:-1]
                    found += np.split(self.scale * forces.mean(dim=0).cpu().double().numpy(), ends)
        finally:
            for member in self.members:
                member.cpu()
        return energies, found

    def save(self, folder: Path) -> None:
        """Write ``ensemble.json`` and one weights file per member; a folder with the JSON is complete."""
        folder.mkdir(parents=True, exist_ok=True)
        for k, member in enumerate(self.members):
            write_weights(member.state_dict(), folder / f"member_{k}.pt")
        if self.gp is not None:
            self.gp.save(folder / "gp.pt")
        description = {
            "format": FORMAT,
            "model": self.settings.as_dict(),
            "members": len(self.members),
            "references": self.references.as_dict(),
            "scale": self.scale,
            "gp": self.gp is not None,
            "calibration": asdict(self.calibration),
        }
        if self.standard is not None:
            description["standard"] = self.standard.as_dict()
        write_described(folder, description)

    @classmethod
    def load(cls, folder: Path) -> "Ensemble":
        """Read what ``save`` wrote; weights are read as data, never as code.

        Raises:
            SurrogateError: no ensemble in the folder, one of another format, or weights that cannot be read.
        """
        return read_described(folder, {"schnet": cls.read, "painn": cls.read})

    @classmethod
    def read(cls, folder: Path, description: dict[str, Any], settings: ModelSettings) -> "Ensemble":
        """Read a model from a folder and its description.

        Raises:
            SurrogateError: weights that cannot be read.
            ValueError, KeyError, TypeError: the description is damaged.
        """
        references = AtomReferences.of(description["references"])
        calibration = read_calibration(description["calibration"], description["format"])
        if type(description["members"]) is not int or type(description.get("gp", False)) is not bool:
            raise TypeError("members is a whole number, gp true or false")
        if type(description.get("scale", 1.0)) not in (int, float):
            raise TypeError("scale is a number")
        scale, has_gp = float(description.get("scale", 1.0)), bool(description.get("gp"))  # format 1 had none
        check_description(settings, references, calibration, description["members"], scale, has_gp)
        standard = None
        if Standard.wanted(settings.inputs):
            standard = Standard.from_dict(description["standard"])
        members = []
        for k in range(description["members"]):
            model = build_model(settings, seed=0)
            read_weights(folder / f"member_{k}.pt", model.load_state_dict)
            members.append(model.eval())
        gp = read_weights(folder / "gp.pt", lambda parts: LastLayerGP(**parts)) if has_gp else None
        return cls(settings, references, members, calibration, scale=scale, gp=gp, standard=standard)


def _prepare(
    settings: ModelSettings,
    how: TrainingSettings,
    training: Labelled,
    validation: Labelled | None,
    warm: Ensemble | None,
    members: int,
    left_out: NDArray[np.bool_] | None,
) -> tuple[Ensemble, GraphDataset, GraphDataset]:
    """An ensemble without members, and what they are to learn: labels less baseline and references, scaled.

    Members that start warm keep their scale and that of their inputs. The references take the difference of
    old and new target. So what they have learned counts from the first step.
    """
    sets = [training] if validation is None else [training, validation]
    if validation is not None:
        check_disjoint(training[0], validation[0])
    rests = []
    for graphs, labels, *_ in sets:
        check_inputs(settings, graphs)
        rests.append(checked_labels(graphs, labels) - baselines(graphs, settings.baseline))
    forces = learned_forces(settings, sets) if how.forces_weight else [None] * len(sets)
    learned, numbers = np.zeros(len(training[0])), element_numbers(settings)
    standard = None if warm is None else warm.standard
    if standard is None and Standard.wanted(settings.inputs):
        standard = Standard.fit(numbers, training[0])
    if warm is not None:
        bare = AtomReferences(tuple(numbers), (0.0,) * len(numbers))
        earlier = Ensemble(settings, bare, warm.members[:members], scale=warm.scale, standard=standard)
        prediction = earlier.predict(training[0], device=how.device)
        learned = prediction.mean - baselines(training[0], settings.baseline)
    references = AtomReferences.fit(
        numbers, training[0], rests[0] - learned, kind=how.references, mean=settings.intensive
    )
    rests = [rest - references(graphs) for rest, (graphs, *_) in zip(rests, sets, strict=True)]
    ensemble = Ensemble(settings, references, [], standard=standard)
    if warm is not None:
        ensemble.scale = warm.scale
    elif how.scale and forces[0] is not None:
        ensemble.scale = root_mean_square(forces[0])
    elif how.scale:
        ensemble.scale = per_atom_deviation(training[0], rests[0], mean=settings.intensive)
    data = []
    for (graphs, *_), rest, slopes in zip(sets, rests, forces, strict=True):
        slopes = None if slopes is None else [one / ensemble.scale for one in slopes]
        seen = ensemble._seen(graphs)
        data.append(GraphDataset(seen, settings, rest / ensemble.scale, left_out, forces=slopes))
    return ensemble, data[0], data[-1]
