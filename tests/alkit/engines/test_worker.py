"""alkit.engines.worker: what a worker process may load, and what it answers."""

import subprocess
import sys

import numpy as np

from alkit.engines import worker
from alkit.errors import ConfigError, LabelError
from alkit.molecules.molecule import Molecule


def test_the_module_loads_nothing_that_reads_the_number_of_threads() -> None:
    code = (
        "import alkit.engines.worker, sys; "
        "print([m for m in ('numpy', 'rdkit', 'torch', 'ase') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_errors_are_answers(monkeypatch) -> None:
    monkeypatch.setattr(worker, "_kind", "no such simulator")
    monkeypatch.setattr(worker, "_simulator", None)
    molecule = Molecule("C", [6, 1, 1, 1, 1], np.eye(5, 3), "given")
    assert isinstance(worker.run("C", worker.label, molecule), ConfigError)

    class SubtleError(LabelError):  # a class of the user's may not pickle: its reason and detail do
        def __init__(self) -> None:
            super().__init__("subtle", "said so")

    class Failing:
        level = None

        def label(self, molecule):
            raise self.error

    failing = Failing()
    monkeypatch.setattr(worker, "_simulator", failing)
    for error, expected in (
        (SubtleError(), ("subtle", "said so")),
        (KeyError("x"), ("simulator_error", "C: KeyError: 'x'")),
        (SystemExit(3), ("simulator_error", "C: SystemExit: 3")),
        (KeyboardInterrupt(), ("simulator_error", "C: KeyboardInterrupt: ")),
        (GeneratorExit("x"), ("simulator_error", "C: GeneratorExit: x")),
        (MemoryError("Unable to allocate 9 GiB"), ("out_of_memory", "C: Unable to allocate 9 GiB")),
    ):
        failing.error = error
        answer = worker.run("C", worker.label, molecule)
        assert type(answer) is LabelError
        assert (answer.reason, answer.detail) == expected
