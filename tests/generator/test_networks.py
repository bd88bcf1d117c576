"""Symmetries of the networks and the gradient penalty against finite differences."""

import pytest
import torch
from torch import nn

from generator import GeneratorSettings
from generator.networks import (
    GraphCritic,
    GraphEncoder,
    GraphGenerator,
    gradient_penalty,
    gumbel_noise,
    relaxed_graphs,
    reset_parameters,
)

SETTINGS = GeneratorSettings(max_atoms=6, hidden=16, latent=5)


def random_graphs(count: int, random: torch.Generator):
    sizes = torch.randint(1, 7, (count,), generator=random)
    atoms = torch.randn(count, 6, 4, generator=random)
    return relaxed_graphs(atoms, torch.randn(count, 15, 4, generator=random), sizes)


def make(kind, seed=0):
    network = kind(SETTINGS)
    reset_parameters(network, torch.Generator().manual_seed(seed))
    return network


def test_weights_come_from_the_given_seed_alone():
    torch.manual_seed(1)
    first = make(GraphCritic).state_dict()
    torch.manual_seed(2)
    second = make(GraphCritic).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["enter.weight"], make(GraphCritic, 1).state_dict()["enter.weight"])


def test_shapes():
    random = torch.Generator().manual_seed(0)
    atoms, bonds = make(GraphGenerator)(torch.randn(3, 5, generator=random), torch.tensor([1, 4, 6]))
    assert atoms.shape == (3, 6, 4)
    assert bonds.shape == (3, 15, 4)
    mean, log_variance = make(GraphEncoder)(*random_graphs(3, random))
    assert mean.shape == log_variance.shape == (3, 5)


def test_critic_ignores_the_order_of_atoms():
    random = torch.Generator().manual_seed(3)
    nodes, bonds = random_graphs(8, random)
    order = torch.randperm(6, generator=random)
    critic = make(GraphCritic)
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


def test_gumbel_argmax_draws_from_the_softmax():
    logits = torch.tensor([0.0, 1.0, -1.0]).expand(20000, 3)
    random = torch.Generator().manual_seed(6)
    counts = torch.bincount((logits + gumbel_noise(logits, random)).argmax(dim=1), minlength=3) / 20000
    torch.testing.assert_close(counts, logits[0].softmax(0), atol=0.015, rtol=0)
