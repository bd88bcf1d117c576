"""Threads that wait sleep, whichever of the packages comes first."""

import os
import subprocess
import sys

import pytest

VARIABLES = ("OMP_WAIT_POLICY", "OPENBLAS_THREAD_TIMEOUT")
SAY = f"import os, {{}}; print(*(os.environ[name] for name in {VARIABLES}))"


def _said(package: str, **given: str) -> list[str]:
    bare = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", SAY.format(package)],
        env=bare | given,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("package", ["alkit", "surrogate", "generator"])
def test_each_package_lets_waiting_threads_sleep(package: str) -> None:
    assert _said(package) == ["PASSIVE", "4"]


def test_what_the_user_has_set_stays() -> None:
    assert _said("alkit", OPENBLAS_THREAD_TIMEOUT="20") == ["PASSIVE", "20"]
