"""Export to plain schnetpack, as its ``best_model``, and import of such files as an ensemble."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from surrogate.batches import TARGET
from surrogate.compat import schnetpack
from surrogate.ensemble import Ensemble
from surrogate.errors import SurrogateError
from surrogate.files import read_whole
from surrogate.schnet import build_model
from surrogate.settings import ModelSettings
from surrogate.targets import AtomReferences

FORCES = "forces"
_parts = schnetpack.representation
_transform, _atomistic = schnetpack.transform, schnetpack.atomistic
# All that a file may consist of. Unpickling calls these with arguments of the file's choice, so none of them
# may touch the disk (some transforms of schnetpack do).
_ALLOWED = (
    schnetpack.model.NeuralNetworkPotential,
    _parts.SchNet,
    _parts.schnet.SchNetInteraction,
    _parts.PaiNN,
    _parts.painn.PaiNNInteraction,
    _parts.painn.PaiNNMixing,
    schnetpack.nn.Dense,
    schnetpack.nn.GaussianRBF,
    schnetpack.nn.CosineCutoff,
    _atomistic.PairwiseDistances,
    _atomistic.Atomwise,
    _atomistic.Forces,
    _transform.AddOffsets,
    _transform.ScaleProperty,
    _transform.CastMap,
    _transform.CastTo32,
    _transform.CastTo64,
    nn.Embedding,
    nn.Identity,
    nn.ModuleList,
    nn.Sequential,
    nn.SiLU,
    schnetpack.nn.activations.shifted_softplus,
    torch.nn.functional.silu,
    torch.nn.init.zeros_,
    torch.nn.init.xavier_uniform_,
)


def to_schnetpack(
    ensemble: Ensemble, *, member: int = 0, atom_energies: Mapping[int, float] | None = None
) -> nn.Module:
    """One member as a plain schnetpack potential with energy (eV) and forces (eV/Å), positions in Å.

    Args:
        ensemble: SchNet networks in 3D mode.
        member: counted from 0.
        atom_energies: eV by atomic number; with them the energies are total ones, without them atomization
            energies, as alkit has them.

    Returns:
        A ``NeuralNetworkPotential``; ``torch.save`` makes schnetpack's ``best_model`` of it.

    Raises:
        SurrogateError: no such member, or a model that plain schnetpack cannot express: 2D, a delta baseline,
            further inputs.
    """
    settings = ensemble.settings
    if settings.intensive:
        raise SurrogateError(f"The model's pooling is {settings.pooling}; schnetpack's forces need a sum.")
    if settings.mode == "2d" or settings.baseline or settings.inputs:
        what = "2d mode" if settings.mode == "2d" else "a baseline or xtb inputs"
        raise SurrogateError(
            f"The model has {what}, which schnetpack's files cannot hold; train 3d and direct."
        )
    if not 0 <= member < len(ensemble.members):
        raise SurrogateError(
            f"There is no member {member}; the ensemble has 0 to {len(ensemble.members) - 1}."
        )
    source: Any = copy.deepcopy(ensemble.members[member]).cpu()
    head = schnetpack.atomistic.Atomwise(n_in=settings.features, output_key=TARGET)
    last = source.output_modules[0].outnet[-1]
    with torch.no_grad():  # into the network, because schnetpack takes its forces from before postprocessing
        mean = {name: ensemble.scale * part.mean(0, keepdim=True) for name, part in last.state_dict().items()}
        head.outnet[:-1].load_state_dict(source.output_modules[0].outnet[:-1].state_dict())
        head.outnet[-1].load_state_dict(mean)
    offsets = schnetpack.transform.AddOffsets(TARGET, add_atomrefs=True)
    # NaN for elements that the model was not built for: schnetpack would predict them without a word.
    offsets.atomref = torch.full((100,), torch.nan, dtype=torch.float64)
    for number, energy in zip(ensemble.references.numbers, ensemble.references.energies, strict=True):
        added = 0.0 if atom_energies is None else _energy_of(atom_energies, number)
        offsets.atomref[number] = energy + added
    return schnetpack.model.NeuralNetworkPotential(
        representation=source.representation,
        input_modules=[schnetpack.atomistic.PairwiseDistances()],
        output_modules=[head, schnetpack.atomistic.Forces(energy_key=TARGET, force_key=FORCES)],
        postprocessors=[schnetpack.transform.CastTo64(), offsets],
    ).eval()


def _energy_of(atom_energies: Mapping[int, float], number: int) -> float:
    if number not in atom_energies:
        raise SurrogateError(f"There is no tabulated energy of the atom with Z = {number}.")
    return atom_energies[number]


def from_schnetpack(paths: Sequence[Path], *, elements: Sequence[str], unit: float = 1.0) -> Ensemble:
    """Plain schnetpack models (``best_model`` files of SchNet or PaiNN) as the members of an ensemble.

    Files are read as data: only the few classes that such a model consists of are accepted. One file makes
    an ensemble of one, whose spread is unknown (NaN).

    Args:
        paths: of networks of one architecture; positions in Å.
        elements: symbols that the networks were trained on, which the files do not say; predictions refuse
            any other.
        unit: eV in the unit of the networks' energy.

    Raises:
        SurrogateError: files that hold something else, or networks that alkit cannot express.
    """
    from ase.data import atomic_numbers

    if not paths:
        raise SurrogateError("There is no file to import; name one or more best_model files.")
    if unknown := [symbol for symbol in elements if symbol not in atomic_numbers]:
        raise SurrogateError(f"{unknown[0]!r} is not the symbol of an element.")
    numbers = sorted({atomic_numbers[symbol] for symbol in elements})
    read = [_read(Path(path), tuple(elements), numbers) for path in paths]
    settings, scale, references, _ = read[0]
    for path, (other, *rest) in zip(paths, (one[:3] for one in read), strict=True):
        if other != settings or rest != [scale, references]:
            raise SurrogateError(f"{path} has another architecture or other offsets than {paths[0]}.")
    energies = tuple(unit * energy for energy in references)
    return Ensemble(
        settings, AtomReferences(tuple(numbers), energies), [one[3] for one in read], scale=unit * scale
    )


def _read(
    path: Path, elements: tuple[str, ...], numbers: list[int]
) -> tuple[ModelSettings, float, tuple[float, ...], nn.Module]:
    """Settings, scale and energies per element in the file's unit, and the network."""
    source = _load(path)
    representation = source.representation
    kinds = {_parts.SchNet: "schnet", _parts.PaiNN: "painn"}
    heads = [part for part in source.output_modules if isinstance(part, schnetpack.atomistic.Atomwise)]
    if type(representation) not in kinds or len(heads) != 1 or heads[0].aggregation_mode != "sum":
        raise SurrogateError(f"{path} is no SchNet or PaiNN with one energy that is a sum over atoms.")
    settings = ModelSettings(
        representation=kinds[type(representation)],  # type: ignore[arg-type]
        features=representation.n_atom_basis,
        interactions=len(representation.interactions),
        gaussians=representation.radial_basis.n_rbf,
        cutoff=float(representation.cutoff),
        elements=elements,
    )
    network: Any = build_model(settings, seed=0)
    pairs = ((representation, network.representation), (heads[0], network.output_modules[0]))
    if difference := next(filter(None, (_difference(theirs, mine) for theirs, mine in pairs)), ""):
        raise SurrogateError(f"{path} has {difference}.")
    weights = {f"representation.{name}": value for name, value in representation.state_dict().items()}
    rows = weights["representation.embedding.weight"]
    if len(rows) <= max(numbers):
        raise SurrogateError(
            f"{path} knows elements up to Z = {len(rows) - 1}; leave out Z = {max(numbers)}."
        )
    # How many elements there are rows for differs between revisions of schnetpack.
    ours = network.state_dict()["representation.embedding.weight"].clone()
    shared = min(len(rows), len(ours))
    ours[:shared] = rows[:shared]
    weights["representation.embedding.weight"] = ours
    weights |= {f"output_modules.0.{name}": value for name, value in heads[0].state_dict().items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise SurrogateError(f"{path} has layers of other widths than alkit's ({error}).") from None
    scale, energies = _postprocessing(source, path, numbers, heads[0].output_key)
    return settings, scale, energies, network.eval()


def _load(path: Path) -> Any:
    if not path.is_file():
        raise SurrogateError(f"There is no file {path}.")
    try:
        allowed = [_allowed(name) for name in torch.serialization.get_unsafe_globals_in_checkpoint(path)]
        with torch.serialization.safe_globals(allowed):
            source = read_whole(path)
    except SurrogateError as error:
        raise SurrogateError(f"{path}: {error}") from None
    except Exception as error:  # a damaged or foreign file can break torch's reader anywhere
        reason = (str(error).splitlines() or [""])[0]
        raise SurrogateError(
            f"{path} is not a model of schnetpack ({type(error).__name__}: {reason})."
        ) from error
    if not isinstance(source, schnetpack.model.NeuralNetworkPotential):
        raise SurrogateError(f"{path} holds no NeuralNetworkPotential; give schnetpack's best_model file.")
    return source


def _allowed(name: str) -> Any:
    """The class or function of that name, if a schnetpack model may consist of it."""
    for part in _ALLOWED:
        if name == f"{part.__module__}.{part.__qualname__}":
            return part
    raise SurrogateError(
        f"it holds {name}, which is no part of a schnetpack model as alkit knows it; nothing was loaded."
    )


def _difference(theirs: nn.Module, ours: nn.Module) -> str:
    """The difference of a network from alkit's own, beside its weights; empty where there is none."""
    mine, yours = _kinds(ours), _kinds(theirs)
    for name in [*yours, *(mine.keys() - yours.keys())]:
        where = name or "itself"
        if name not in mine:
            return f"{yours[name]['module']} in {where}, which alkit's networks have not"
        if name not in yours:
            return f"no {where}, which alkit's networks have"
        for property_, value in yours[name].items():
            if mine[name][property_] != value:
                return f"{property_} {value} in {where}; alkit's networks have {mine[name][property_]}"
    return ""


def _kinds(part: nn.Module) -> dict[str, dict[str, Any]]:
    """The work of every module of ``part``, besides its weights.

    Empty containers do nothing: schnetpack 2.1 and later keep their electronic embeddings in one.
    """
    return {
        name: {
            "module": type(module).__name__,
            "activation": _name(getattr(module, "activation", None)),
            "epsilon": getattr(module, "epsilon", None),
            "cutoff": float(getattr(module, "cutoff", 0.0)),
        }
        for name, module in part.named_modules()
        if not (isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Sequential) and not len(module))
    }


def _name(activation: Any) -> str:
    return getattr(activation, "__name__", type(activation).__name__)


def _postprocessing(source: Any, path: Path, numbers: list[int], key: str) -> tuple[float, tuple[float, ...]]:
    """Scale and energy per element that schnetpack's postprocessors amount to."""
    scale, energies = 1.0, dict.fromkeys(numbers, 0.0)
    for step in source.postprocessors if source.do_postprocessing else ():
        if isinstance(step, schnetpack.transform.ScaleProperty) and step.input_key == step.output_key == key:
            scale *= float(step.scale)
            energies = {number: energy * float(step.scale) for number, energy in energies.items()}
        elif (
            isinstance(step, schnetpack.transform.AddOffsets) and step._property == key and step.is_extensive
        ):
            mean = float(step.mean) if step.add_mean else 0.0
            for number in numbers:
                energies[number] += mean + (float(step.atomref[number]) if step.add_atomrefs else 0.0)
        elif not isinstance(step, schnetpack.transform.CastMap):
            raise SurrogateError(
                f"{path} ends with {type(step).__name__}, which alkit cannot express; it knows ScaleProperty "
                f"and extensive AddOffsets of {key!r}."
            )
    shifts = tuple(energies[number] for number in numbers)
    if unknown := [number for number, energy in zip(numbers, shifts, strict=True) if energy != energy]:
        raise SurrogateError(f"{path} was not trained on Z = {unknown[0]}; leave it out of the elements.")
    return scale, shifts
