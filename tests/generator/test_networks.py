"""Symmetries of the networks and the gradient penalty against finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

from generator import GeneratorSettings
from generator.language import NOTHING, Language
from generator.networks import (
    GraphCritic,
    GraphValue,
    TokenGenerator,
    gradient_penalty,
    one_hot,
    reset_parameters,
)
from generator.sampling import draw_tokens

SETTINGS = GeneratorSettings(max_atoms=6, hidden=16)
LANGUAGE = Language(6, (4, 3, 2, 1))


def make(kind, seed=0):
    network = kind(LANGUAGE, 16) if kind is TokenGenerator else kind(SETTINGS)
    reset_parameters(network, torch.Generator().manual_seed(seed))
    return network


def random_graphs(count: int, random: torch.Generator):
    _, nodes, bonds = draw_tokens(make(TokenGenerator), LANGUAGE, count, random)
    return one_hot(torch.from_numpy(nodes), torch.from_numpy(bonds), 5)


@pytest.mark.parametrize("kind", [TokenGenerator, GraphCritic, GraphValue])
def test_weights_come_from_the_given_seed_alone(kind):
    torch.manual_seed(1)
    first = make(kind).state_dict()
    torch.manual_seed(2)
    second = make(kind).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = make(kind, 1).state_dict()
    assert not any(torch.equal(first[name], other[name]) for name in first if name.endswith("weight"))


def test_the_likelihood_is_that_of_drawing():
    """The likelihood over all sequences of a molecule that is drawn often is its share of the draws."""
    language = Language(2, (4, 3))
    network = TokenGenerator(language, 16)
    tokens, _, _ = draw_tokens(network, language, 4000, torch.Generator().manual_seed(0))
    different, counts = np.unique(tokens, axis=0, return_counts=True)
    allowed, seen = map(torch.from_numpy, language.read(different))
    answer = network.log_likelihood(torch.from_numpy(different), allowed, seen).exp().detach().numpy()
    assert answer.sum() == pytest.approx(1.0, abs=1e-4)  # two atoms: all sequences are drawn
    np.testing.assert_allclose(counts / 4000, answer, atol=4 * np.sqrt(0.25 / 4000))


def test_what_comes_behind_the_end_does_not_count():
    network = make(TokenGenerator)
    tokens, _, _ = draw_tokens(network, LANGUAGE, 30, torch.Generator().manual_seed(0))
    longer = np.pad(tokens, ((0, 0), (0, 4)), constant_values=NOTHING)
    answer = [
        network.log_likelihood(torch.from_numpy(some), *map(torch.from_numpy, LANGUAGE.read(some)))
        for some in (tokens, longer)
    ]
    torch.testing.assert_close(*answer)


@pytest.mark.parametrize("kind", [GraphCritic, GraphValue])
def test_readers_ignore_the_order_of_atoms(kind):
    random = torch.Generator().manual_seed(3)
    nodes, bonds = random_graphs(8, random)
    order = torch.randperm(6, generator=random)
    critic = make(kind)
    torch.testing.assert_close(critic(nodes, bonds), critic(nodes[:, order], bonds[:, order][:, :, order]))


def test_critic_sees_whether_a_batch_repeats_itself():
    nodes, bonds = random_graphs(8, torch.Generator().manual_seed(4))
    critic = make(GraphCritic)
    varied = critic(nodes, bonds)[0]
    repeated = critic(nodes[:1].expand(8, -1, -1), bonds[:1].expand(8, -1, -1, -1))[0]
    assert abs(float((varied - repeated).detach())) > 1e-4


def test_gradient_penalty_of_a_linear_critic_is_exact():
    class Linear(nn.Module):
        def forward(self, nodes, bonds):
            return 3.0 * nodes[:, 0, 0] + 4.0 * bonds[:, 0, 1, 0]

    random = torch.Generator().manual_seed(5)
    real, fake = random_graphs(4, random), random_graphs(4, random)
    assert float(gradient_penalty(Linear(), real, fake, random)) == pytest.approx(16.0, rel=1e-5)
