"""Passwords in addresses: never written, never shown."""

import re

MASK = "***"
_USER = re.compile(r"(?P<start>//[^/@:\s]*:)(?P<secret>[^/\s]+)(?P<end>@)")
_QUERY = re.compile(r"(?P<start>[?&](?:password|pwd|token|secret|key)=)(?P<secret>[^&\s]+)(?P<end>)", re.I)


def masked(uri: str) -> str:
    """The address with its password, or token, hidden: ``http://me:***@host``."""
    for pattern in (_USER, _QUERY):
        uri = pattern.sub(lambda found: f"{found['start']}{MASK}{found['end']}", uri)
    return uri


def without_secrets(text: str, uri: str) -> str:
    """A text, such as a library's message, in which no secret of ``uri`` is left."""
    for pattern in (_USER, _QUERY):
        for found in pattern.finditer(uri):
            if found["secret"] != MASK:
                text = text.replace(found["secret"], MASK)
    return masked(text)


def is_masked(uri: str) -> bool:
    """Whether a secret was hidden in the address, so that it cannot be used as it is."""
    return any(found["secret"] == MASK for pattern in (_USER, _QUERY) for found in pattern.finditer(uri))


def without_user(uri: str) -> str:
    """The address without user and password, for which MLflow's environment variables then stand."""
    return re.sub(r"//[^/@\s]*@", "//", uri)
