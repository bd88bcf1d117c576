"""What a command that is refused says."""


def refused(result: tuple[int, str, str], *said: str) -> None:
    code, _, err = result
    assert code == 2, result
    assert err.startswith("alkit: ")
    assert err.count("\n") == 1  # one sentence, no traceback
    for words in said:
        assert words in err
