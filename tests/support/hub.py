"""A model hub on loopback that speaks the real one's protocol: one repository, one
commit on `main`.

It also answers as an HTTP proxy does, for any host. A download can be held in its
middle, for interruptions.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

REPOSITORY = "org/small"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """The hub; `url` is its address."""

    daemon_threads = True

    def __init__(self, folder: Path, repository: str, commit: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository
        self.commit = commit
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}
        self.sent: list[str] = []
        """Files whose content was asked for, in order."""
        self.ranges: list[str] = []
        """`Range` headers that came with that."""
        self.hosts: list[str] = []
        """Hosts that were asked for as of a proxy."""
        self.hold: str | None = None
        """A file of which only the first half is sent."""
        self.held = threading.Event()
        """Set when that half was sent."""
        self.let_go = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.netloc:
            self.server.hosts.append(address.netloc)
        name, commit = self.server.repository, self.server.commit
        api = f"/api/models/{name}/"
        kind, _, rest = address.path.removeprefix(api).partition("/")
        if address.path.startswith(f"/{name}/resolve/"):
            self._file(address.path.split("/", 5)[5])
        elif not address.path.startswith(api):
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif rest not in ("main", commit):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "tree":
            tree = [
                {"type": "file", "path": n, "size": f.stat().st_size, "oid": "0"}
                for n, f in self.server.files.items()
            ]
            self._answer(200, json.dumps(tree).encode())
        else:
            siblings = [
                {"rfilename": path, "size": f.stat().st_size}
                for path, f in self.server.files.items()
            ]
            self._answer(
                200, json.dumps({"id": name, "sha": commit, "siblings": siblings}).encode()
            )

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _file(self, name: str) -> None:
        content = self.server.files[name].read_bytes()
        headers = {
            "X-Repo-Commit": self.server.commit,
            "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
        }
        asked = self.headers.get("Range", "")
        if self.command == "HEAD":
            self._answer(200, content, headers)
            return
        self.server.sent.append(name)
        if asked:
            self.server.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._answer(206, content[start:], headers)
        else:
            self._answer(200, content, headers, hold=name == self.server.hold)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, hold: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "GET":
            return
        if hold:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.server.held.set()
            self.server.let_go.wait(60)
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def serve(folder: Path, repository: str = REPOSITORY, commit: str = COMMIT) -> Iterator[Hub]:
    """Run a hub whose repository is this folder."""
    server = Hub(folder, repository, commit)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()
