"""The command line in an empty folder."""

import pytest

from alkit.cli import app


@pytest.fixture
def alkit(capsys, tmp_path, monkeypatch):
    """Run a command line in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            app.main([str(argument) for argument in arguments])
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1 if ending.code else 0
        out, err = capsys.readouterr()
        return code, out, err

    return run
