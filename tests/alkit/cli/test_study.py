"""`alkit study`: bad input is one sentence."""

import pytest

from alkit.cli import app


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--sizes", "100,many"), "--sizes names 'many'"),
        (("--arms", "3d,5d"), "There is no arm '5d'; there are 3d, 3d-mmff"),
        ((), "There is no file"),
        (("--original", "--seeds", "5"), "--original has its own seeds; leave out --seeds"),
        (("--original",), "There is no file"),
    ],
)
def test_bad_input(tmp_path, capsys, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(SystemExit) as ending:
        app.main(["study", "2d-vs-3d", str(tmp_path / "no.db"), "--out", str(tmp_path / "out"), *arguments])
    assert ending.value.code == 2
    answer = capsys.readouterr().err
    assert sentence in answer
    assert answer.count("\n") == 1
