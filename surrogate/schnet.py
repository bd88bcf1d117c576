"""schnetpack's SchNet or PaiNN with an atom-wise energy head, built from settings."""

from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from surrogate.batches import ATOM_INPUTS, PAIR_INPUTS, TARGET
from surrogate.compat import schnetpack
from surrogate.inputs import input_widths
from surrogate.settings import ModelSettings

VARIANCE = "variance"
_keys = schnetpack.properties
# Atom and pair inputs of the batch that this thread has at hand: a network serves several threads at once.
_further: ContextVar[tuple[Tensor, Tensor]] = ContextVar("further inputs")


def build_model(settings: ModelSettings, *, seed: int) -> nn.Module:
    """A ``NeuralNetworkPotential`` with freshly drawn weights; the global random state is left as it was.

    SchNet: Schütt et al., J. Chem. Phys. 148, 241722 (2018), https://doi.org/10.1063/1.5019779.
    PaiNN: Schütt, Unke, Gastegger, ICML 2021, https://doi.org/10.48550/arXiv.2102.03150.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        radial_basis = schnetpack.nn.GaussianRBF(n_rbf=settings.gaussians, cutoff=settings.cutoff)
        parts = schnetpack.representation
        network = parts.SchNet if settings.representation == "schnet" else parts.PaiNN
        representation = network(
            n_atom_basis=settings.features,
            n_interactions=settings.interactions,
            radial_basis=radial_basis,
            cutoff_fn=schnetpack.nn.CosineCutoff(settings.cutoff),
        )
        atoms, pairs, _ = input_widths(settings.inputs)
        if atoms or pairs:
            representation.embedding = _Embedding(representation.embedding, atoms, settings.features)
            if pairs:
                representation.radial_basis = _RadialBasis(radial_basis, pairs)
            representation = _WithInputs(representation)
        heads = [_head(settings, TARGET, settings.heads)]
        if "variance" in settings.uncertainty:
            heads.append(_head(settings, VARIANCE, 1))
        # No PairwiseDistances module: batches carry the pair vectors, which 2D mode has no positions for.
        return schnetpack.model.NeuralNetworkPotential(
            representation=representation, input_modules=[], output_modules=heads
        )


def _head(settings: ModelSettings, key: str, outputs: int) -> nn.Module:
    if settings.pooling == "attention":
        return AttentionHead(settings.features, key, outputs)
    mode = "avg" if settings.pooling == "mean" else "sum"
    return schnetpack.atomistic.Atomwise(
        n_in=settings.features, output_key=key, n_out=outputs, aggregation_mode=mode
    )


class AttentionHead(nn.Module):
    """A molecule's value as a weighted mean of its atoms', with weights that are learned.

    It is schnetpack's ``Atomwise`` with a second network, whose softmax over the atoms weighs them (Lee et
    al., ICML 2019, https://doi.org/10.48550/arXiv.1810.00825).
    """

    aggregation_mode = "attention"

    def __init__(self, features: int, key: str, outputs: int):
        super().__init__()
        self.key = key
        self.outnet = schnetpack.nn.build_mlp(n_in=features, n_out=outputs)
        self.gate: Any = schnetpack.nn.build_mlp(n_in=features, n_out=1)
        self.gate[-1].register_parameter("bias", None)  # a softmax does not see it

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add the ``(molecules,)`` values to schnetpack's dictionary, from ``(n, f)`` features of atoms."""
        atoms = inputs["scalar_representation"]
        molecules, count = inputs[_keys.idx_m], len(inputs[_keys.n_atoms])
        weights = attention(self.gate(atoms)[None], molecules, count)[0]
        values = weights * self.outnet(atoms)
        sums = values.new_zeros(count, values.shape[1]).index_add(0, molecules, values)
        return inputs | {self.key: sums.squeeze(-1)}


def attention(gates: Tensor, molecules: Tensor, count: int) -> Tensor:
    """``(s, n, 1)`` weights, whose sum over the atoms of each of ``count`` molecules is 1.

    Args:
        gates: ``(s, n, 1)``.
        molecules: ``(n,)``, which molecule each atom is of.
        count: of molecules.
    """
    index = molecules[None, :, None].expand_as(gates)
    shape = (len(gates), count, 1)
    largest = gates.new_zeros(shape).scatter_reduce(1, index, gates.detach(), "amax", include_self=False)
    weights = (gates - largest.gather(1, index)).exp()
    sums = gates.new_zeros(shape).index_add(1, molecules, weights)
    return weights / sums.gather(1, index)


class _WithInputs(nn.Module):
    """Hands a batch's further inputs to the two places of a schnetpack representation where they enter.

    schnetpack calls its embedding with atomic numbers and its radial basis with distances, and nothing else;
    the rest of its forward pass stays its own.
    """

    def __init__(self, representation: nn.Module):
        super().__init__()
        self.network = representation

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        token = _further.set((inputs[ATOM_INPUTS], inputs[PAIR_INPUTS]))
        try:
            return self.network(inputs)
        finally:
            _further.reset(token)


class _Embedding(nn.Module):
    """Element embedding plus a linear map of the atom inputs."""

    def __init__(self, embedding: nn.Module, width: int, features: int):
        super().__init__()
        self.elements = embedding
        self.linear = nn.Linear(width, features, bias=False)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.elements(numbers) + self.linear(_further.get()[0])


class _RadialBasis(nn.Module):
    """Radial basis plus a linear map of the pair inputs, so that every filter sees both."""

    def __init__(self, radial_basis: Any, width: int):
        super().__init__()
        self.distances = radial_basis
        self.n_rbf = radial_basis.n_rbf
        self.linear = nn.Linear(width, radial_basis.n_rbf, bias=False)

    def forward(self, distances: Tensor) -> Tensor:
        added = self.linear(_further.get()[1])
        return self.distances(distances) + added.reshape(*distances.shape, self.n_rbf)


def network_of(model: Any) -> Any:
    """The representation of schnetpack inside the module that adds further inputs."""
    return getattr(model.representation, "network", model.representation)


def layers(model: Any) -> list[nn.Module]:
    """The network from input to output: embeddings, interaction blocks, heads; every parameter once."""
    network = network_of(model)
    blocks: list[nn.Module] = list(network.interactions)
    if hasattr(network, "mixing"):  # PaiNN, which has the filters of all its blocks in one layer
        blocks = [nn.ModuleList(pair) for pair in zip(network.interactions, network.mixing, strict=True)]
        blocks[0] = nn.ModuleList([network.filter_net, blocks[0]])
    return [nn.ModuleList([network.embedding, network.radial_basis]), *blocks, model.output_modules]


def by_schnetpack(model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The forward pass of schnetpack itself, which also has gradients of gradients.

    Args:
        model: one network.
        batch: schnetpack's input dictionary, as `surrogate.batches.collate` makes it.

    Returns:
        ``(b,)`` network outputs, means over several heads; times the ensemble's scale they are eV beyond
        references and baseline. And the ``(n, features)`` last atom features, from which the outputs are
        computed.
    """
    features = model.representation(dict(batch))
    energies = model.output_modules[0](features)[TARGET]
    return energies.reshape(len(energies), -1).mean(dim=1), features["scalar_representation"]
