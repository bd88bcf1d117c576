"""The contract of proposers, the user's own, evolution, mixes, and the kit that checks them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from alkit.config.loading import check_config
from alkit.config.proposer import CustomConfig
from alkit.errors import ConfigError, ProposalError
from alkit.molecules.enumeration import seed_molecules
from alkit.proposers import ProposalContext, proposals, registry
from alkit.proposers import gan as gan_proposer
from alkit.proposers.evolution import EvolutionProposer
from alkit.proposers.mix import MixProposer, Part
from alkit.proposers.registry import adapt_proposer
from alkit.testing import check_proposer

MOLECULES = tuple(seed_molecules()[:80])
EXAMPLE = Path(__file__).parents[3] / "examples" / "smiles_language_model.py"


def context(seed=0, **given):
    return ProposalContext(1, np.random.default_rng(seed), MOLECULES, **given)


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=15, deadline=None)
def test_children_are_new_neutral_molecules(seed, crossover, elitism):
    labels, values = dict.fromkeys(MOLECULES[:40], -1.0), dict.fromkeys(MOLECULES[40:60], 1.0)
    children = list(
        EvolutionProposer(crossover, elitism).propose(20, context(seed, labels=labels, values=values))
    )
    assert len(children) == len(set(children)) == 20
    assert not set(children) & set(MOLECULES)
    for child in children:
        assert Chem.MolToSmiles(Chem.MolFromSmiles(child)) == child
        assert "+" not in child


def test_the_best_candidates_are_the_parents_of_an_elite():
    """All from molecules of fluorine and carbon: children without crossover have no other element."""
    values = {"FCF": 9.0, "FCCF": 8.0, "NCCO": 0.0, "OCCO": -1.0}
    given = context(labels={"OCCN": -1.0, "NCCN": -1.0}, values=values)
    elite = list(EvolutionProposer(crossover=0.0, elitism=1.0).propose(10, given))
    parents = [Chem.MolFromSmiles(child) for child in elite]
    assert sum("F" in child for child in elite) >= 8
    assert len(parents) == 10


def test_evolution_needs_two_parents():
    with pytest.raises(ProposalError, match="two labelled molecules"):
        list(EvolutionProposer().propose(5, ProposalContext(1, np.random.default_rng(0), ("C",))))


def test_what_a_proposer_of_the_users_gets_wrong_is_told_by_its_name():
    def number(n, context):
        yield "C"
        yield 7

    def fails(n, context):
        raise KeyError("alcohols")

    def leaves(n, context):
        raise SystemExit(3)

    for function, message in (
        (number, "proposer mine proposed 7, of type int; SMILES are expected"),
        (lambda n, context: "CCO", "proposed one text, 'CCO'; give a list"),
        (lambda n, context: ["CC\ud800"], "SMILES are expected"),
        (fails, "proposer mine failed: KeyError: 'alcohols'"),
        (leaves, "proposer mine failed: SystemExit: 3"),
        (lambda n, context: None, "proposer mine failed: TypeError"),
    ):
        with pytest.raises(ProposalError, match=message):
            list(proposals(adapt_proposer(function, "mine"), "mine", 5, context()))


def test_no_more_is_taken_than_was_asked_for():
    def endless(n, context):
        yield from ["CCO"] * 3
        raise AssertionError("a fourth was asked for")

    assert list(proposals(adapt_proposer(endless, "mine"), "mine", 3, context())) == ["CCO"] * 3


@pytest.mark.parametrize(
    ("code", "settings", "message"),
    [
        ("", {}, "has no 'Mine'"),
        ("Mine = 3", {}, "is of type int; a function propose"),
        ("class Mine:\n    propose = 1\n    def __init__(self, a): pass", {}, "missing 1 required"),
        ("def Mine(n, context): return []", {"a": 1}, "takes no settings"),
        ("import nowhere", {}, "fails when it is loaded"),
    ],
)
def test_code_that_is_no_proposer(tmp_path, code, settings, message):
    path = tmp_path / "mine.py"
    path.write_text(code)
    with pytest.raises(ConfigError, match=message):
        registry.custom_proposer(CustomConfig(kind="custom", name=f"{path}:Mine", settings=settings))
    with pytest.raises(ConfigError, match="no proposer 'absent'"):
        registry.custom_proposer(CustomConfig(kind="custom", name="absent"))


def test_parts_of_a_mix_have_their_own_numbers_and_folders(tmp_path):
    class Draws:
        def propose(self, n, context):
            context.folder.mkdir(exist_ok=True)
            return [str(context.rng.integers(10**9)) for _ in range(n)]

    mix = MixProposer((Part(Draws(), "custom", 3), Part(Draws(), "custom", 2)))
    first, again = (
        [(name, one) for name, part in mix.by_part(context(folder=tmp_path)) for one in part]
        for _ in range(2)
    )
    assert len(set(first)) == 5
    assert {name for name, _ in first} == {"custom"}
    assert first == again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0_custom", "1_custom"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"kind": "evolutio"}], "proposer.parts.0 needs a kind: custom or evolution or generator or pool"),
        ([{"kind": "generator", "per_rond": 1}], "'proposer.parts.0.per_rond'; the nearest valid key"),
        ([{"kind": "generator"}] * 2, "one generator at most"),
        ([], "at least 1 item"),
    ],
)
def test_a_mix_that_cannot_be(parts, message):
    with pytest.raises(ConfigError, match=message):
        check_config({"name": "x", "proposer": {"kind": "mix", "parts": parts}})


def test_the_example_of_the_docs_keeps_the_contract(tmp_path):
    usable = check_proposer(f"{EXAMPLE}:SmilesLanguageModel", tmp_path, hidden=48, steps=60)
    assert len(usable) >= 4


def test_the_generator_and_evolution_keep_the_contract(tmp_path):
    from generator import GeneratorSettings, GraphGAN

    gan = GraphGAN(GeneratorSettings(hidden=32, batch_size=32), seed=1)
    gan.fit([s for s in MOLECULES if "+" not in s], steps=40, adversarial_steps=0, seed=1)
    for name, made in (("gan", gan_proposer.GANProposer(gan)), ("evolution", EvolutionProposer())):
        (tmp_path / name).mkdir()
        assert len(check_proposer(made, tmp_path / name)) >= 30


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda n, context: [], "nothing was proposed"),
        (lambda n, context: [f"{'C' * int(np.random.randint(1, 99))}O"], "answered differently"),  # noqa: NPY002
        (lambda n, context: ["CCO", "CCN"], "another context.rng gave the same"),
        (lambda n, context: ["C(" * int(context.rng.integers(1, 99))] * 3, "0 of 3 proposals are molecules"),
    ],
)
def test_the_kit_says_what_is_broken(tmp_path, function, message):
    with pytest.raises(AssertionError, match=message):
        check_proposer(function, tmp_path)
