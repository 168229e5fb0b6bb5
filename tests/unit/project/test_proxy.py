"""The proxy of the fault tests does what its faults are called."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of a server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def echo(peer: socket.socket) -> None:
        with peer:
            try:
                while data := peer.recv(65_536):
                    peer.sendall(data)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(peer,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    made = Proxy(server.getsockname()[1])
    made.start()
    yield made
    made.stop()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def client(proxy: Proxy) -> socket.socket:
    """A connection through the proxy that has been used once."""
    made = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    assert echoed(made)
    return made


def echoed(end: socket.socket, timeout: float = 5.0) -> bool:
    """Whether a word comes back in time."""
    end.settimeout(timeout)
    end.sendall(b"word")
    try:
        return end.recv(100) == b"word"
    except TimeoutError:
        return False


def test_it_passes_on_and_tells_the_end(proxy: Proxy) -> None:
    """Bytes both ways, and the end of one side reaches the other."""
    with client(proxy) as end:
        end.sendall(b"x" * 1_000_000)
        end.shutdown(socket.SHUT_WR)
        assert sum(len(data) for data in iter(lambda: end.recv(65_536), b"")) == 1_000_000


def test_cut_resets_and_refuses_until_it_is_mended(proxy: Proxy) -> None:
    """Connections are reset, new ones refused; afterwards both work again on the same
    port.
    """
    with client(proxy) as end:
        proxy.cut()
        with pytest.raises(ConnectionError):
            end.recv(1)
        with pytest.raises(ConnectionRefusedError):
            client(proxy)
    proxy.mend()
    client(proxy).close()


def test_stall_holds_back_and_loses_nothing(proxy: Proxy) -> None:
    """Nothing comes while it stalls, new connections are accepted, and everything comes
    afterwards.
    """
    with client(proxy) as end:
        proxy.stall()
        assert not echoed(end, 0.2)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as late:
            late.sendall(b"late")
            proxy.mend()
            assert end.recv(100) == b"word"
            assert late.recv(100) == b"late"


def test_slow_passes_on_everything_in_pieces(proxy: Proxy) -> None:
    """All bytes arrive, in pieces of a tenth of a second's rate."""
    with client(proxy) as end:
        proxy.slow(100_000)
        end.sendall(b"x" * 30_000)
        pieces: list[int] = []
        while sum(pieces) < 30_000:
            pieces.append(len(end.recv(65_536)))
        assert max(pieces) <= 20_000


@pytest.mark.parametrize("loses", ["requests", "answers", "peer"])
def test_half_open_says_nothing_until_it_is_mended(proxy: Proxy, loses: str) -> None:
    """The old connection gives no sign, a new one is sound; `mend` resets the old one."""
    with client(proxy) as end:
        proxy.half_open(loses)
        assert not echoed(end, 0.2)
        client(proxy).close()
        proxy.mend()
        end.settimeout(5)
        with pytest.raises(ConnectionError):
            end.recv(1)


def test_it_knows_whose_connection_the_server_sees(proxy: Proxy) -> None:
    """From the port that the server sees to the client's own port."""
    with client(proxy) as end:
        (link,) = proxy._links
        assert proxy.client_port(link.server.getsockname()[1]) == end.getsockname()[1]
        assert proxy.client_port(1) is None
