"""Fail if the tests cover less of a package than its floor; run after pytest with --cov.

python tests/coverage_floors.py
"""

import sys
from collections import defaultdict
from pathlib import Path

from coverage import Coverage

# Percent of lines. What runs only in worker processes and subprocesses is not measured.
FLOORS = {
    "alkit": 80,
    "alkit/acquisition": 80,
    "alkit/campaign": 80,
    "alkit/cli": 80,
    "alkit/config": 80,
    "alkit/datasets": 80,
    "alkit/engines": 60,
    "alkit/models": 80,
    "alkit/molecules": 80,
    "alkit/proposers": 80,
    "alkit/reporting": 80,
    "alkit/simulators": 80,
    "alkit/standalone": 80,
    "alkit/storage": 80,
    "alkit/studies": 80,
    "alkit/testing": 80,
    "generator": 80,
    "surrogate": 80,
}


def shares() -> dict[str, float]:
    """Percent of lines that ran, by package."""
    coverage = Coverage()
    coverage.load()
    lines: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    root = Path.cwd()
    for name in coverage.get_data().measured_files():
        path = Path(name).relative_to(root)
        package = "/".join(path.parts[: min(2, len(path.parts) - 1)])
        _, statements, _, missing, _ = coverage.analysis2(name)
        lines[package][0] += len(statements) - len(missing)
        lines[package][1] += len(statements)
    return {package: 100 * ran / max(1, total) for package, (ran, total) in lines.items()}


def main() -> int:
    """Print every package's share; 1 if one is below its floor or has none."""
    below = []
    for package, share in sorted(shares().items()):
        floor = FLOORS.get(package)
        print(f"{package:22} {share:5.1f} %  (floor {floor})")
        if floor is None or share < floor:
            below.append(package)
    if below:
        print(f"Coverage is below its floor in {', '.join(below)}.", file=sys.stderr)
    return bool(below)


if __name__ == "__main__":
    sys.exit(main())
