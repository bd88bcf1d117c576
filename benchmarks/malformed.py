"""What every command that reads a file does with malformed inputs: 200 of each, made by hypothesis.

    python benchmarks/malformed.py [--examples 200] [--commands label train ...] [--show 5]

Each must be refused with one sentence and exit code 2, without a traceback, and nothing may be written; the
exit code is 1 if anything else happens. The inputs are those of `tests/malformed/`.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from rich.console import Console
from rich.table import Table

# In place of this folder, whose generator.py would hide the package of that name; before tests/alkit.
_ROOT = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(_ROOT), str(_ROOT / "tests")]
import malformed as inputs  # noqa: E402


def outcomes(command: str, examples: int) -> list[tuple[inputs.Case, inputs.Outcome]]:
    """What a command does with so many inputs."""
    found: list[tuple[inputs.Case, inputs.Outcome]] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs.COMMANDS[command]())
    def collect(case: inputs.Case) -> None:
        found.append((case, inputs.run(case)))

    collect()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--commands", nargs="+", choices=list(inputs.COMMANDS), default=list(inputs.COMMANDS))
    parser.add_argument("--show", type=int, default=3, help="show so many faults of each command")
    arguments = parser.parse_args()
    console, faulty = Console(width=120, highlight=False, markup=False), 0
    table = Table(title="Malformed inputs", title_justify="left")
    table.add_column("command")
    for heading in ("inputs", "exit 2", "tracebacks", "files written", "other faults", "slowest s"):
        table.add_column(heading, justify="right")
    for command in arguments.commands:
        results = outcomes(command, arguments.examples)
        wrong = [(case, outcome) for case, outcome in results if outcome.faults]
        counts = Counter(_kind(outcome) for _, outcome in wrong)
        table.add_row(
            command,
            str(len(results)),
            str(sum(outcome.code == 2 for _, outcome in results)),
            str(sum(bool(outcome.traceback) for _, outcome in results)),
            str(sum(bool(outcome.written) for _, outcome in results)),
            str(counts["other"]),
            f"{max(outcome.seconds for _, outcome in results):.2f}",
        )
        for case, outcome in wrong[: arguments.show]:
            console.print(f"{command}: {' '.join(case.arguments)!r:.200}\n  {case.what}")
            for fault in outcome.faults:
                console.print(f"  {fault}")
        faulty += len(wrong)
    console.print(table)
    sys.exit(1 if faulty else 0)


def _kind(outcome: inputs.Outcome) -> str:
    if outcome.traceback:
        return "traceback"
    return "written" if outcome.written or outcome.code != 2 else "other"


if __name__ == "__main__":
    main()
