"""pydoclint on the packages, without the rules that the house does not follow; run by `make lint`.

pydoclint has no switch for single rules. ruff (D417) asks for every argument where a docstring has an Args
section; the rules here see that sections, their order and their names agree with the code.
"""

import re
import subprocess
import sys
from pathlib import Path

PACKAGES = ("alkit", "surrogate", "generator")
NOT_FOLLOWED = {
    "DOC101": "a docstring with Raises alone need not repeat plain arguments",
    "DOC201": "the summary may say what comes back",
    "DOC502": "errors of the functions that are called are documented too",
    "DOC503": "as DOC502",
}
# DOC103 says both that arguments are missing (as DOC101) and that the docstring names others.
_ELSEWHERE = "in the docstring but not in the function signature"


def violations(output: str) -> list[str]:
    """The lines of pydoclint's output that count."""
    found = [line.strip() for line in output.splitlines() if re.search(r"\bDOC\d+: ", line)]
    return [
        line
        for line in found
        if not any(f" {rule}:" in line for rule in NOT_FOLLOWED)
        and (" DOC103:" not in line or _ELSEWHERE in line)
    ]


if __name__ == "__main__":
    pydoclint = [str(Path(sys.executable).with_name("pydoclint")), "--quiet"]
    run = subprocess.run(
        [*pydoclint, *PACKAGES], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    if run.returncode and "DOC" not in run.stderr + run.stdout:
        sys.exit(run.stderr)
    sys.exit("\n".join(violations(run.stderr + run.stdout)) or 0)
