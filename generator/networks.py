"""The networks of the generator: a writer of tokens, and readers of graphs.

Shapes: B molecules in a batch, L tokens, N nodes, E elements. There are T = E + 1 node classes (class 0 is
"no atom") and 3 bond orders (no bond is the zero vector).

Sources:

- WGAN-GP (https://doi.org/10.48550/arXiv.1704.00028),
- R-GCN (https://doi.org/10.48550/arXiv.1703.06103),
- minibatch standard deviation (https://doi.org/10.48550/arXiv.1710.10196),
- closed walks as node features (https://doi.org/10.48550/arXiv.2110.07875),
- GRU (https://doi.org/10.48550/arXiv.1406.1078).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.language import NOTHING, Language
from generator.settings import GeneratorSettings

# Closed walks of length k grow with k; these bring the counts of small molecules to order one.
_WALK_SCALES = (3.0, 9.0, 18.0, 60.0)
_LAYERS = 3
_NEVER = -1e9


class TokenGenerator(nn.Module):
    """A GRU over the tokens of a molecule that predicts the next one; it also sees the molecule so far."""

    def __init__(self, language: Language, hidden: int) -> None:
        super().__init__()
        self.start = language.tokens
        self.embedding = nn.Embedding(language.tokens + 1, hidden)
        self.enter = nn.Linear(language.width + language.tokens, hidden)
        self.memory = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, language.tokens)
        )

    def forward(
        self, before: Tensor, allowed: Tensor, seen: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits `(B, L, V)` of the tokens behind `before` `(B, L)`, and the GRU's state to go on from."""
        known = torch.cat([seen, allowed.to(seen.dtype)], dim=-1)
        entered = functional.silu(self.embedding(before) + self.enter(known))
        remembered, state = self.memory(entered, state)
        logits = self.head(torch.cat([remembered, entered], dim=-1))
        return logits.masked_fill(~allowed, _NEVER), state

    def log_likelihood(self, tokens: Tensor, allowed: Tensor, seen: Tensor) -> Tensor:
        """`(B,)` nats, of sequences `(B, L)` as `Language` writes and reads them."""
        first = torch.full_like(tokens[:, :1], self.start)
        before = torch.cat([first, tokens[:, :-1].clamp(min=0)], dim=1)
        logits, _ = self(before, allowed, seen)
        lost = functional.cross_entropy(
            logits.flatten(0, 1), tokens.flatten(), ignore_index=NOTHING, reduction="none"
        )
        return -lost.view(tokens.shape).sum(dim=1)


class _GraphReader(nn.Module):
    """R-GCN over dense graphs with a gated sum readout."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        width = max(4, settings.hidden // 4)
        classes = len(settings.elements) + 1
        self.enter = nn.Linear(classes + 3 + len(_WALK_SCALES), width)
        self.selves = nn.ModuleList(nn.Linear(width, width) for _ in range(_LAYERS))
        self.relations = nn.ModuleList(nn.Linear(width, 3 * width, bias=False) for _ in range(_LAYERS))
        self.gate = nn.Linear(width + classes, settings.hidden)
        self.value = nn.Linear(width + classes, settings.hidden)

    def forward(self, nodes: Tensor, bonds: Tensor) -> Tensor:
        """`nodes` `(B, N, T)`, `bonds` `(B, N, N, 3)` to `(B, hidden)`."""
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
        return read.sum(dim=1)


class GraphCritic(nn.Module):
    """Tells graphs of the training set from drawn ones, seeing how much the batch varies."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        width = max(4, settings.hidden // 4)
        self.reader = _GraphReader(settings)
        self.spread = nn.Linear(settings.hidden, width)
        self.head = nn.Sequential(
            nn.Linear(settings.hidden + width, settings.hidden), nn.SiLU(), nn.Linear(settings.hidden, 1)
        )

    def forward(self, nodes: Tensor, bonds: Tensor) -> Tensor:
        """Scores `(B,)` of `nodes` `(B, N, T)` and `bonds` `(B, N, N, 3)`.

        A higher score is more like the training set. The scores of a batch depend on the whole batch through
        the standard deviation of its embeddings. So a generator that repeats itself gives itself away even
        when each of its molecules is plausible.
        """
        embedding = self.reader(nodes, bonds)
        deviation = torch.sqrt(embedding.var(dim=0, unbiased=False) + 1e-6)
        spread = functional.silu(self.spread(deviation)).expand(len(nodes), -1)
        return self.head(torch.cat([embedding, spread], dim=-1)).squeeze(-1)


class GraphValue(nn.Module):
    """The reward head of steering: the worth of a molecule to the campaign."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        self.reader = _GraphReader(settings)
        self.head = nn.Sequential(
            nn.Linear(settings.hidden, settings.hidden), nn.SiLU(), nn.Linear(settings.hidden, 1)
        )

    def forward(self, nodes: Tensor, bonds: Tensor) -> Tensor:
        """`nodes` `(B, N, T)`, `bonds` `(B, N, N, 3)` to values `(B,)`."""
        return self.head(self.reader(nodes, bonds)).squeeze(-1)


def one_hot(nodes: Tensor, bonds: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Graphs as `generator.graphs` has them, as the readers want them: `(B, N, T)` and `(B, N, N, 3)`."""
    return functional.one_hot(nodes.long(), classes).float(), functional.one_hot(bonds.long(), 4)[
        ..., 1:
    ].float()


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
    """Draw all weights from `random`; torch's own way uses the global generator."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                bound = math.sqrt(3.0 / part.in_features)
                part.weight.uniform_(-bound, bound, generator=random)
                if part.bias is not None:
                    part.bias.zero_()
            elif isinstance(part, nn.Embedding):
                part.weight.normal_(generator=random)
            elif isinstance(part, nn.GRU):
                bound = 1 / math.sqrt(part.hidden_size)
                for weights in part.parameters():
                    weights.uniform_(-bound, bound, generator=random)


def gradient_penalty(
    critic: GraphCritic, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], random: torch.Generator
) -> Tensor:
    """Mean of (|gradient| - 1)^2 at random points between real and drawn graphs (arXiv:1704.00028)."""
    share = torch.rand(real[0].shape[0], generator=random)
    nodes = torch.lerp(fake[0], real[0], share.view(-1, 1, 1)).requires_grad_()
    bonds = torch.lerp(fake[1], real[1], share.view(-1, 1, 1, 1)).requires_grad_()
    gradients = torch.autograd.grad(critic(nodes, bonds).sum(), (nodes, bonds), create_graph=True)
    squared = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1).square().sum(dim=1)
    return ((torch.sqrt(squared + 1e-12) - 1.0) ** 2).mean()
