"""The certificates that a secure local stack makes for itself, judged by Python's own
TLS.
"""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from connectors.clock import SystemClock
from connectors.local.machine import certificates

CLOCK = SystemClock()


def shake_hands(trusted: Path, served: Path, name: str) -> None:
    """Let a client that trusts one authority meet the server of one stack; no port is
    opened.

    Raises:
        ssl.SSLError: the client refuses the server.
    """
    client = ssl.create_default_context(cafile=str(certificates.authority(trusted)))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server.load_cert_chain(certificates.server(served))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, ConnectionError):
            theirs.close()  # the client refused

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join(10)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_who_trusts_the_authority_trusts_the_server(tmp_path: Path, name: str) -> None:
    """Under both names of loopback, also by the strict rules of RFC 5280."""
    certificates.make(tmp_path, CLOCK)
    shake_hands(tmp_path, tmp_path, name)


def test_nobody_else_is_trusted(tmp_path: Path) -> None:
    """Neither another stack's server nor another name."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        folder.mkdir()
        certificates.make(folder, CLOCK)
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        shake_hands(mine, other, "127.0.0.1")
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        shake_hands(mine, mine, "127.0.0.2")


def test_keys_are_for_the_owner_and_the_authoritys_is_nowhere(tmp_path: Path) -> None:
    """Two files, one private key, nothing readable by others; a second call changes
    nothing.
    """
    certificates.make(tmp_path, CLOCK)
    folder = tmp_path / certificates.FOLDER
    before = {file.name: file.read_text(encoding="ascii") for file in folder.iterdir()}
    assert set(before) == {"ca.pem", "server.pem"}
    assert "".join(before.values()).count("BEGIN PRIVATE KEY") == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    assert certificates.server(tmp_path).stat().st_mode & 0o077 == 0
    certificates.make(tmp_path, CLOCK)
    assert {file.name: file.read_text(encoding="ascii") for file in folder.iterdir()} == before
