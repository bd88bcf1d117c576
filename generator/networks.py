"""The networks of the graph GAN and the gradient penalty.

Shapes: B molecules in a batch, N nodes, E elements, T = E + 1 node classes (class 0 is "no atom"),
3 bond orders (no bond is the zero vector).

A third network, the encoder, makes the pair a VAE-GAN (arXiv:1512.09300): the generator also learns to draw
each training molecule from a noise vector of its own. Alone, WGAN-GP needs far more updates than a
campaign's round has time for; with it, hundreds are enough, and no molecule of the training set is forgotten
(mode collapse).

Sources: MolGAN (arXiv:1805.11973), WGAN-GP (arXiv:1704.00028), R-GCN (arXiv:1703.06103), minibatch standard
deviation (arXiv:1710.10196), closed walks as node features (arXiv:2110.07875).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.graphs import GeneratorSettings, GraphSet

# Closed walks of length k grow with k; these bring the counts of small molecules to order one.
_WALK_SCALES = (3.0, 9.0, 18.0, 60.0)
_CRITIC_LAYERS = 3


@dataclass(frozen=True)
class TrainingData:
    """A training set as tensors: `nodes` `(M, N)`, `bonds` `(M, N, N)`, `sizes` `(M,)`, `weights` `(M,)`."""

    nodes: Tensor
    bonds: Tensor
    sizes: Tensor
    weights: Tensor


def to_training_data(graphs: GraphSet) -> TrainingData:
    """The arrays of a training set as tensors; classes as int64, which torch's one-hot needs."""
    nodes, bonds, sizes = (
        torch.from_numpy(part).long() for part in (graphs.nodes, graphs.bonds, graphs.sizes)
    )
    return TrainingData(nodes, bonds, sizes, torch.from_numpy(graphs.weights))


class GraphGenerator(nn.Module):
    """Noise and a size to logits of all atoms and all pairs at once: an MLP, as in MolGAN."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        n, width = settings.max_atoms, settings.hidden
        self.settings = settings
        self.body = nn.Sequential(
            nn.Linear(settings.latent + n, width),
            nn.SiLU(),
            nn.Linear(width, 2 * width),
            nn.LayerNorm(2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, 2 * width),
            nn.SiLU(),
        )
        pairs = n * (n - 1) // 2
        self.atoms = nn.Linear(2 * width, n * len(settings.elements))
        self.bonds = nn.Linear(2 * width, pairs * 4)

    def forward(self, noise: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """`noise` `(B, latent)`, `sizes` `(B,)` to atom logits `(B, N, E)`, bond logits `(B, pairs, 4)`."""
        n = self.settings.max_atoms
        known = functional.one_hot(sizes - 1, n).to(noise.dtype)
        state = self.body(torch.cat([noise, known], dim=1))
        atoms = self.atoms(state).view(-1, n, len(self.settings.elements))
        return atoms, self.bonds(state).view(-1, n * (n - 1) // 2, 4)


class GraphEncoder(nn.Module):
    """A training graph to the mean and log variance of its noise vector; used in training only."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        n, width = settings.max_atoms, 2 * settings.hidden
        inputs = n * (len(settings.elements) + 1) + n * (n - 1) // 2 * 3
        self.body = nn.Sequential(
            nn.Linear(inputs, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 2 * settings.latent),
        )
        self.rows, self.columns = torch.triu_indices(n, n, offset=1)

    def forward(self, nodes: Tensor, bonds: Tensor) -> tuple[Tensor, Tensor]:
        """`nodes` `(B, N, T)`, `bonds` `(B, N, N, 3)` to mean and log variance, each `(B, latent)`."""
        flat = torch.cat([nodes.flatten(1), bonds[:, self.rows, self.columns].flatten(1)], dim=1)
        mean, log_variance = self.body(flat).chunk(2, dim=1)
        return mean, log_variance


class GraphCritic(nn.Module):
    """R-GCN over dense graphs with a gated sum readout that also sees how much the batch varies."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        width = max(4, settings.hidden // 4)
        classes = len(settings.elements) + 1
        self.enter = nn.Linear(classes + 3 + len(_WALK_SCALES), width)
        self.selves = nn.ModuleList(nn.Linear(width, width) for _ in range(_CRITIC_LAYERS))
        self.relations = nn.ModuleList(nn.Linear(width, 3 * width, bias=False) for _ in range(_CRITIC_LAYERS))
        self.gate = nn.Linear(width + classes, settings.hidden)
        self.value = nn.Linear(width + classes, settings.hidden)
        self.spread = nn.Linear(settings.hidden, width)
        self.head = nn.Sequential(
            nn.Linear(settings.hidden + width, settings.hidden), nn.SiLU(), nn.Linear(settings.hidden, 1)
        )

    def forward(self, nodes: Tensor, bonds: Tensor) -> Tensor:
        """`nodes` `(B, N, T)`, `bonds` `(B, N, N, 3)` to scores `(B,)`; higher is more like the training set.

        The scores of a batch depend on the whole batch through the standard deviation of its embeddings: a
        generator that repeats itself gives itself away even when each of its molecules is plausible.
        """
        batch, n, _ = nodes.shape
        state = functional.silu(
            self.enter(torch.cat([nodes, bonds.sum(dim=2), _closed_walks(bonds)], dim=-1))
        )
        flat = bonds.reshape(batch, n, n * 3)
        for own, relation in zip(self.selves, self.relations, strict=True):
            heard = flat @ relation(state).view(batch, n * 3, -1)
            state = state + functional.silu(own(state) + heard)
        joined = torch.cat([state, nodes], dim=-1)
        present = nodes[..., 1:].sum(dim=-1, keepdim=True)
        read = torch.sigmoid(self.gate(joined)) * torch.tanh(self.value(joined)) * present
        embedding = read.sum(dim=1)
        deviation = torch.sqrt(embedding.var(dim=0, unbiased=False) + 1e-6)
        spread = functional.silu(self.spread(deviation)).expand(batch, -1)
        return self.head(torch.cat([embedding, spread], dim=-1)).squeeze(-1)


def _closed_walks(bonds: Tensor) -> Tensor:
    """Closed walks of 3 to 6 steps through each node, `(B, N, 4)`.

    Message passing alone cannot count small rings.
    """
    plain = bonds.sum(dim=-1)
    two = plain @ plain
    three = two @ plain
    powers = (
        torch.diagonal(three, dim1=1, dim2=2),
        (two * two).sum(dim=-1),
        (three * two).sum(dim=-1),
        (three * three).sum(dim=-1),
    )
    return torch.stack([power / scale for power, scale in zip(powers, _WALK_SCALES, strict=True)], dim=-1)


def reset_parameters(module: nn.Module, random: torch.Generator) -> None:
    """Draw every linear layer's weights from `random`; torch's own way uses the global generator."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                bound = math.sqrt(3.0 / part.in_features)
                part.weight.uniform_(-bound, bound, generator=random)
                if part.bias is not None:
                    part.bias.zero_()


def gradient_penalty(
    critic: GraphCritic, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], random: torch.Generator
) -> Tensor:
    """Mean of (|gradient| - 1)^2 at random points between real and generated graphs (arXiv:1704.00028)."""
    share = torch.rand(real[0].shape[0], generator=random)
    nodes = torch.lerp(fake[0], real[0], share.view(-1, 1, 1)).requires_grad_()
    bonds = torch.lerp(fake[1], real[1], share.view(-1, 1, 1, 1)).requires_grad_()
    gradients = torch.autograd.grad(critic(nodes, bonds).sum(), (nodes, bonds), create_graph=True)
    squared = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1).square().sum(dim=1)
    return ((torch.sqrt(squared + 1e-12) - 1.0) ** 2).mean()


def gumbel_noise(like: Tensor, random: torch.Generator) -> Tensor:
    """Noise of the shape of `like`: the argmax of logits plus it is a draw from their softmax."""
    uniform = torch.rand(like.shape, generator=random).clamp(1e-10, 1.0 - 1e-7)
    return -torch.log(-torch.log(uniform))


def relaxed_graphs(atom_scores: Tensor, bond_scores: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Scores `(B, N, E)`, `(B, pairs, 4)` to class probabilities `(B, N, T)`, `(B, N, N, 3)`."""
    n = atom_scores.shape[1]
    present = (torch.arange(n) < sizes[:, None]).float()
    nodes = functional.pad(functional.softmax(atom_scores, dim=-1), (1, 0)) * present[..., None]
    first, second = torch.triu_indices(n, n, offset=1)
    bonds = torch.zeros(len(sizes), n, n, 3)
    bonds[:, first, second] = functional.softmax(bond_scores, dim=-1)[..., 1:]
    bonds = bonds + bonds.transpose(1, 2)
    return nodes, bonds * (present[:, :, None] * present[:, None, :])[..., None]
