"""alkit.datasets.fetch against a real HTTP server on this machine that breaks in chosen ways."""

import hashlib
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alkit.datasets import QM9_SOURCES, fetch
from alkit.errors import DataError

CONTENT = hashlib.shake_256(b"alkit").digest(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT. ``cuts``: after how many bytes each answer breaks off; ``statuses``: sent before."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges, self.cuts, self.statuses, self.requests = True, [], [], []
        self.content = CONTENT

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        if self.path == "/moved":
            return self._plain(302, {"Location": self.server.url})
        if self.path != "/file.bin":
            return self._plain(404, {})
        if self.server.statuses:
            return self._plain(self.server.statuses.pop(0), {})
        return self._send(int(re.fullmatch(r"bytes=(\d+)-", asked).group(1)) if asked else 0)

    def _plain(self, status, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, start):
        content = self.server.content
        partial = bool(start) and self.server.ranges
        if partial and start >= len(content):
            return self._plain(416, {"Content-Range": f"bytes */{len(content)}"})
        body = content[start:] if partial else content
        self.send_response(206 if partial else 200)
        self.send_header("Content-Length", str(len(body)))
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(body)
        self.wfile.write(body[:cut])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_downloads_and_verifies(server, tmp_path):
    seen = []
    got = fetch(
        server.url, tmp_path / "a", sha256=SHA256, md5=MD5.upper(), on_progress=lambda *x: seen.append(x)
    )
    assert got.path.read_bytes() == CONTENT
    assert (got.size, got.sha256, got.md5, got.verified) == (len(CONTENT), SHA256, MD5, True)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_without_a_checksum_the_sums_are_told_and_nothing_counts_as_verified(server, tmp_path):
    got = fetch(server.url, tmp_path / "a")
    assert got.sha256 == SHA256
    assert not got.verified


def test_a_cut_connection_goes_on_where_it_stopped(server, tmp_path):
    server.cuts = [100_000, 50_000]
    fetch(server.url, tmp_path / "a", sha256=SHA256, backoff=0.01)
    assert server.requests == [None, "bytes=100000-", "bytes=150000-"]


def test_a_second_call_resumes_the_part_file_of_the_first(server, tmp_path):
    server.cuts = [100_000] + [0] * 9
    with pytest.raises(DataError, match="run the same command again"):
        fetch(server.url, tmp_path / "a", sha256=SHA256, retries=1, backoff=0.01)
    assert not (tmp_path / "a").exists()
    server.cuts = []
    server.requests.clear()
    fetch(server.url, tmp_path / "a", sha256=SHA256)
    assert server.requests == ["bytes=100000-"]


def test_redirects_keep_the_range(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    fetch(server.url.replace("file.bin", "moved"), tmp_path / "a", sha256=SHA256)
    assert server.requests == ["bytes=1000-", "bytes=1000-"]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.ranges, server.cuts = False, [100_000]
    fetch(server.url, tmp_path / "a", sha256=SHA256, backoff=0.01)
    assert server.requests == [None, "bytes=100000-"]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_part_file_of_another_version_is_thrown_away(server, tmp_path):
    (tmp_path / "a.part").write_bytes(b"old" * 100)
    fetch(server.url, tmp_path / "a", sha256=SHA256)
    assert server.requests == ["bytes=300-", None]


def test_a_part_file_that_is_whole_is_only_verified(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_part_file_that_is_too_long_starts_again(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    fetch(server.url, tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError, match=f"wrong checksum.*{SHA256}"):
        fetch(server.url, tmp_path / "a", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_not_found_is_not_retried(server, tmp_path):
    with pytest.raises(DataError, match="404"):
        fetch(server.url + "x", tmp_path / "a")
    assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    fetch(server.url, tmp_path / "a", md5=MD5, backoff=0.01)
    assert len(server.requests) == 3


def test_a_browser_challenge_is_said(server, tmp_path):
    server.statuses = [202]
    with pytest.raises(DataError, match="by hand"):
        fetch(server.url, tmp_path / "a", md5=MD5)


def test_nobody_listening(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match="broke off 2 times"):
        fetch(f"http://127.0.0.1:{port}/x", tmp_path / "a", retries=1, backoff=0.01)


def test_a_file_already_there(server, tmp_path):
    there = tmp_path / "a"
    there.write_bytes(CONTENT)
    assert fetch(server.url, there, md5=MD5).verified
    assert server.requests == []
    with pytest.raises(DataError, match="no checksum"):
        fetch(server.url, there)
    there.write_bytes(b"mine")
    with pytest.raises(DataError, match="another file"):
        fetch(server.url, there, md5=MD5)
    assert there.read_bytes() == b"mine"


def test_a_missing_folder(server, tmp_path):
    with pytest.raises(DataError, match="Cannot write"):
        fetch(server.url, tmp_path / "none" / "a")


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://x/y", "qm9", "http:///x", "http://a b/", "http://x:y/"]
)
def test_only_http(url, tmp_path):
    with pytest.raises(DataError, match="http"):
        fetch(url, tmp_path / "a")


def test_published_sources_are_complete():
    for source in QM9_SOURCES.values():
        assert re.fullmatch("[0-9a-f]{32}", source.md5)
        assert source.url.startswith("https://")
        assert source.size > 0
