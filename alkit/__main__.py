"""``python -m alkit``."""

from alkit.cli.app import main

main()
