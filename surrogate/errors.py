"""Input errors of the surrogate package."""


class SurrogateError(ValueError):
    """Input that the surrogate cannot learn from or predict on; the message says what would be right."""

    exit_code = 2
