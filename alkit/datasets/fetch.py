"""Download with checksum, resume and retries; where QM9 is published.

Only the standard library: proxies come from the environment as urllib reads them.
"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alkit.errors import DataError
from alkit.files import no_link

__all__ = ["QM9_SOURCES", "Download", "Source", "fetch"]

_CHUNK = 1 << 16
_BUSY = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Source:
    """A published file: its address, size in bytes, MD5, and the DOI of the article that it belongs to."""

    url: str
    filename: str
    size: int
    md5: str
    doi: str = "10.1038/sdata.2014.22"


# Sizes and MD5 sums as several unrelated public projects state them, in agreement with each other and, as
# some of them say, with figshare's API (articles 1057646 and 1057644). No download of alkit's own has
# confirmed them yet.
QM9_SOURCES: dict[str, Source] = {
    "molecules": Source(
        url="https://ndownloader.figshare.com/files/3195389",
        filename="dsgdb9nsd.xyz.tar.bz2",
        size=86_144_227,
        md5="ad1ebd51ee7f5b3a6e32e974e5d54012",
    ),
    "uncharacterized": Source(
        url="https://ndownloader.figshare.com/files/3195404",
        filename="uncharacterized.txt",
        size=486_752,
        md5="a361887bacb427b8a0ce7903d92a53b4",
    ),
}


@dataclass(frozen=True)
class Download:
    """A fetched file; both check sums are computed in any case.

    Attributes:
        path: of the file.
        size: bytes.
        sha256: hexadecimal.
        md5: hexadecimal.
        verified: a checksum was given and is right.
    """

    path: Path
    size: int
    sha256: str
    md5: str
    verified: bool


class _InterruptedError(Exception):
    """The transfer broke off; what arrived is in the .part file."""


class _StaleError(Exception):
    """The .part file cannot be continued; it has been deleted."""


def fetch(
    url: str,
    destination: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
    timeout: float = 30.0,
    retries: int = 5,
    backoff: float = 1.0,
) -> Download:
    """Download ``url`` to ``destination``; a transfer that broke off goes on where it stopped.

    Bytes gather in ``<destination>.part``; the file gets its name only when whole and verified. A destination
    that is already there with the right checksum is not downloaded again. One process at a time per
    destination.

    Args:
        url: of the file, http or https.
        destination: where the file is written.
        sha256: expected checksum, hexadecimal.
        md5: likewise; with neither, the result's ``verified`` is False.
        on_progress: called with (bytes so far, bytes in all or None if the server does not say).
        timeout: seconds without a byte after which a transfer counts as interrupted.
        retries: how often in a row a transfer may break off without a single new byte.
        backoff: seconds before the first retry, doubled (up to 30) until bytes arrive again.

    Raises:
        DataError: address not http(s), refused by the server, wrong checksum, connection lost for good, a
            destination that is something else or cannot be written.
    """
    _check_address(url)
    expected = {name: sum_.lower() for name, sum_ in (("sha256", sha256), ("md5", md5)) if sum_}
    if destination.exists():
        return _already_there(destination, expected)
    part = destination.with_name(destination.name + ".part")
    resumed = part.exists()
    try:
        _transfer(url, part, on_progress, timeout, retries, backoff)
        if resumed and _wrong(_sums(part), expected):
            # The old bytes may be of another version of the file: one fresh attempt decides.
            part.unlink()
            _transfer(url, part, on_progress, timeout, retries, backoff)
        return _finish(url, part, destination, expected)
    except OSError as error:
        raise DataError(f"Cannot write {destination}: {error.strerror or error}.") from error


def _check_address(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not set(url) & set(" \t\r\n")
        _ = parts.port  # raises for a port that is none
    except ValueError:
        usable = False
    if not usable:
        raise DataError(f"Cannot download {url!r}: an address starts with http:// or https:// and a host.")


def _already_there(path: Path, expected: dict[str, str]) -> Download:
    if not path.is_file() or not expected:
        reason = "no checksum was given to compare it with" if path.is_file() else "it is not a file"
        raise DataError(f"{path} is already there and {reason}; move it away or name another destination.")
    sums = _sums(path)
    if wrong := _wrong(sums, expected):
        raise DataError(f"{path} is already there and is another file ({wrong}); move it away.")
    return Download(path, path.stat().st_size, sums["sha256"], sums["md5"], verified=True)


def _finish(url: str, part: Path, destination: Path, expected: dict[str, str]) -> Download:
    sums = _sums(part)
    if wrong := _wrong(sums, expected):
        part.unlink()
        raise DataError(f"{url} gave a file with the wrong checksum ({wrong}); it was deleted.")
    size = part.stat().st_size
    part.replace(destination)
    return Download(destination, size, sums["sha256"], sums["md5"], verified=bool(expected))


def _sums(path: Path) -> dict[str, str]:
    digests: dict[str, Any] = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            for digest in digests.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _wrong(sums: dict[str, str], expected: dict[str, str]) -> str:
    """The problem with the checksums, or ''."""
    wrong = [f"{name} {sums[name]}, expected {sum_}" for name, sum_ in expected.items() if sums[name] != sum_]
    return "; ".join(wrong)


def _transfer(
    url: str,
    part: Path,
    on_progress: Callable[[int, int | None], None] | None,
    timeout: float,
    retries: int,
    backoff: float,
) -> None:
    """Fill ``part`` until it is whole; DataError when the server refuses or the connection stays down."""
    failures, wait = 0, backoff
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _attempt(url, part, on_progress, timeout)
            return
        except _StaleError:
            failures += 1
            if failures > retries:
                raise DataError(f"{url} keeps refusing to continue the transfer; try again later.") from None
            continue
        except _InterruptedError as error:
            if part.exists() and part.stat().st_size > before:
                failures, wait = 0, backoff
            failures += 1
            if failures > retries:
                raise DataError(
                    f"The download of {url} broke off {failures} times in a row ({error}); what arrived is "
                    f"kept in {part}, so run the same command again to go on."
                ) from error
        time.sleep(wait)
        wait = min(2 * wait, 30.0)


def _attempt(
    url: str, part: Path, on_progress: Callable[[int, int | None], None] | None, timeout: float
) -> None:
    """One request, from where ``part`` ends."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "alkit", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and _is_whole(error.headers.get("Content-Range"), have):
                return
        if error.code == 416:
            part.unlink()
            raise _StaleError from error
        if error.code in _BUSY:
            raise _InterruptedError(f"the server answered {error.code} {error.reason}") from error
        raise DataError(f"Cannot download {url}: the server answered {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedError(_reason(error)) from error
    with response:
        _receive(url, response, part, have, on_progress)


def _is_whole(content_range: str | None, have: int) -> bool:
    """Whether a 416 answer ("bytes */<size>") says that the file ends where ours does."""
    return content_range is not None and content_range.rpartition("/")[2] == str(have)


def _receive(
    url: str,
    response: Any,
    part: Path,
    have: int,
    on_progress: Callable[[int, int | None], None] | None,
) -> None:
    if response.status not in (200, 206):
        raise DataError(
            f"Cannot download {url}: the server answered {response.status} instead of the file; it may ask "
            f"for a browser. Download it by hand to {part.with_suffix('')} and run the command again."
        )
    if response.status == 206 and not _continues(response.headers.get("Content-Range"), have):
        raise DataError(f"Cannot download {url}: the server sent another range than the one asked for.")
    if response.status == 200:
        have = 0  # a server without ranges sends everything again
    length = response.headers.get("Content-Length")
    total = have + int(length) if length and length.isdigit() else None
    with open(part, "ab" if have else "wb", opener=no_link) as file:
        while True:
            try:
                chunk = response.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _InterruptedError(_reason(error)) from error
            if not chunk:
                break
            file.write(chunk)
            have += len(chunk)
            if on_progress is not None:
                on_progress(have, total)
    if total is not None and have < total:
        raise _InterruptedError(f"the connection closed after {have} of {total} bytes")


def _continues(content_range: str | None, have: int) -> bool:
    return content_range is not None and content_range.replace("bytes", "").strip().startswith(f"{have}-")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)
