"""``python -m alkit``."""

from alkit.cli import main

main()
