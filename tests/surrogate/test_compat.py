"""surrogate.compat: importing schnetpack leaves the process as it was."""

import subprocess
import sys


def test_the_root_logger_is_left_alone():
    code = (
        "import logging; from surrogate.compat import schnetpack; "
        "import schnetpack.md.parsers.orca_parser; print(logging.root.handlers, logging.root.level)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "[] 30"
