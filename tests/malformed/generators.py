"""Malformed inputs of generate and of the generator's commands."""

import io
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from malformed.any_file import bad_bytes, place_files
from malformed.cases import Case
from malformed.samples import samples
from malformed.tables import bad_smiles

_QUICK = ("--steps", "1", "--novelty-steps", "0", "--adversarial-steps", "0", "--max-atoms", "4")


def _bad_generators() -> SearchStrategy[bytes]:
    good = samples().generator
    return bad_bytes(good) | st.sampled_from(_odd_generators())


@cache
def _odd_generators() -> tuple[bytes, ...]:
    import torch

    good = torch.load(io.BytesIO(samples().generator), weights_only=True)
    settings = good["settings"]
    changes: list[dict[str, Any]] = [{name: None} for name in good]
    changes += [{name: 7} for name in good]
    changes += [{name: "text"} for name in good]
    changes += [
        {"settings": {**settings, name: value}} for name in settings for value in ("text", -1, None, [])
    ]
    changes += [{"settings": {**settings, "hidden": 4096}}, {"settings": {**settings, "max_atoms": 64}}]
    changes += [
        {"settings": {**settings, "unknown": 1}},
        {"known": [7]},
        {"valences": [4, 4]},
        {"familiar": [[]]},
    ]
    changes += [{"valences": [-1] * 4}, {"valences": ["a"] * 4}, {"valences": [1e9] * 4}, {"total_steps": -1}]
    changes += [{"valences": [99] * 4}]
    found = [samples().model["member_0.pt"], samples().best_model]
    for change in changes:
        file = io.BytesIO()
        torch.save({**good, **change}, file)
        found.append(file.getvalue())
    for name in good:
        file = io.BytesIO()
        torch.save({key: value for key, value in good.items() if key != name}, file)
        found.append(file.getvalue())
    return tuple(found)


def generate() -> SearchStrategy[Case]:
    good = samples()

    def arguments(name: str) -> tuple[str, ...]:
        return "generate", name, "-n", "3", "--out", "new/out.smi", *_QUICK

    return st.one_of(
        _bad_generators().map(lambda bad: Case(f"{bad!r:.100}", arguments("a.pt"), {"a.pt": bad})),
        bad_smiles(good.smiles).map(lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {bad[0]: bad[1]})),
        bad_smiles(good.smiles).map(
            lambda bad: Case(
                f"novel {bad!r:.100}",
                (*arguments("g.pt"), "--novel-against", bad[0]),
                {"g.pt": good.generator, bad[0]: bad[1]},
            )
        ),
        st.sampled_from([b"CCO\nCCN", b"\n".join(b"C" * k + b"S" for k in range(1, 30))]).map(
            lambda few: Case("few", arguments("a.smi"), {"a.smi": few})
        ),
        _bad_generators().map(
            lambda bad: Case(f"{bad!r:.100}", arguments("run"), {"run/rounds/00/generator.pt": bad})
        ),
        st.just(Case("no generator", arguments("run"), {"run": None})),
        st.just(Case("odd rounds", arguments("run"), {"run/rounds/last/generator.pt": good.generator})),
        st.sampled_from(["a.pt", "a.smi", "a"]).flatmap(lambda name: place_files(name, arguments)),
    )


def generator_train() -> SearchStrategy[Case]:
    good = samples()

    def arguments(name: str, out: str = "new/g.pt") -> tuple[str, ...]:
        return "generator", "train", name, "--out", out, *_QUICK

    return st.one_of(
        bad_smiles(good.smiles).map(
            lambda bad: Case(f"{bad!r:.100}", (*arguments(bad[0]), "--strict"), {bad[0]: bad[1]})
        ),
        bad_smiles(good.smiles, every_line=False).map(
            lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {bad[0]: bad[1]})
        ),
        st.sampled_from([b"CCO\nCCN", b"\n".join(b"C" * k + b"S" for k in range(1, 30))]).map(
            lambda few: Case("few", arguments("a.smi"), {"a.smi": few})
        ),
        _bad_generators().map(
            lambda bad: Case(
                f"go on {bad!r:.100}",
                (*arguments("a.smi", "g.pt"), "--go-on"),
                {"a.smi": good.smiles, "g.pt": bad},
            )
        ),
        st.just(Case("exists", arguments("a.smi", "g.pt"), {"a.smi": good.smiles, "g.pt": good.generator})),
        st.just(Case("nothing to go on", (*arguments("a.smi"), "--go-on"), {"a.smi": good.smiles})),
        place_files("a.smi", arguments),
    )


def generator_evaluate() -> SearchStrategy[Case]:
    good = samples()

    def arguments(name: str, training: str = "t.smi") -> tuple[str, ...]:
        return "generator", "evaluate", name, "--training", training, "-n", "5", "--figure", "new/figure.png"

    right = {"t.smi": good.smiles}
    return st.one_of(
        _bad_generators().map(lambda bad: Case(f"{bad!r:.100}", arguments("a.pt"), {**right, "a.pt": bad})),
        bad_smiles(good.smiles, every_line=False).map(
            lambda bad: Case(f"{bad!r:.100}", arguments(bad[0]), {**right, bad[0]: bad[1]})
        ),
        bad_smiles(good.smiles).map(
            lambda bad: Case(f"training {bad!r:.100}", arguments("t.smi", bad[0]), {**right, bad[0]: bad[1]})
        ),
        bad_smiles(good.smiles).map(
            lambda bad: Case(
                f"novel {bad!r:.100}",
                (*arguments("t.smi"), "--novel-against", bad[0]),
                {**right, bad[0]: bad[1]},
            )
        ),
        st.sampled_from(["a.pt", "a.smi", "a"]).flatmap(lambda name: place_files(name, arguments, right)),
    )
