"""Malformed inputs of every command that reads a file: one sentence, exit code 2, and nothing is written.

`benchmarks/malformed.py` does the same with 200 inputs of each command.
"""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import malformed as inputs


@pytest.mark.parametrize("command", list(inputs.COMMANDS))
def test_malformed_inputs_are_refused(command: str) -> None:
    @settings(
        max_examples=20,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs.COMMANDS[command]())
    def check(case: inputs.Case) -> None:
        outcome = inputs.run(case)
        assert not outcome.faults, (case.what, case.arguments, outcome.faults)

    check()


def test_no_letter_of_a_smiles_is_skipped() -> None:
    """RDKit reads "éP" as phosphane, and dies of writing a chain of 50,000 atoms."""
    from alkit.errors import DataError
    from alkit.molecules.molecule import canonical, canonical_of_any
    from generator import metrics

    for bad in ("éP", "CＣ", "C" * 60_000):
        assert canonical_of_any(bad) is None
        with pytest.raises(DataError):
            canonical(bad)
        assert metrics.parse([bad]) == []


def test_a_model_that_would_predict_nonsense_is_refused() -> None:
    for key, value in (("scale", float("nan")), ("references", {"numbers": [1], "energies": [0.0]})):
        described = json.loads(inputs.samples().model["ensemble.json"]) | {key: value}
        model = {f"model/{name}": content for name, content in inputs.samples().model.items()}
        model["model/ensemble.json"] = json.dumps(described).encode()
        outcome = inputs.run(
            inputs.Case(key, ("predict", "model", "a.smi", "--out", "b.csv"), {**model, "a.smi": b"C"})
        )
        assert not outcome.faults
        assert "ensemble.json is damaged" in outcome.err
