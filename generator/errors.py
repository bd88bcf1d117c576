"""Input errors of the generator package."""


class GeneratorError(ValueError):
    """Input that the generator cannot be trained on; the message says what would be right."""

    exit_code = 2
