"""TLS in front of the local stack's Postgres: a process that terminates TLS and relays
everything.

The bundled PostgreSQL is built without OpenSSL, so it has no TLS itself. To a client
this port is a server whose pg_hba.conf has `hostssl` lines only: it answers an
SSLRequest with a handshake, and a start without TLS with the refusal that Postgres
itself would send.

Run as `python -m connectors.local.services.relay PORT BEHIND CERTIFICATE MARK`. PORT
and BEHIND are on 127.0.0.1.
"""

import asyncio
import ssl
import struct
import sys
from contextlib import suppress

_HOST = "127.0.0.1"
# Codes in the place of a protocol version; postgres: src/include/libpq/pqcomm.h.
_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104
_CANCEL_REQUEST = 80877102
_LONGEST_START = 10_000  # bytes; MAX_STARTUP_PACKET_LENGTH
_AT_ONCE = 65_536  # bytes passed on at a time
_GONE = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, OSError)


class Relay:
    """One port with TLS, and the server behind it."""

    def __init__(self, behind: int, context: ssl.SSLContext) -> None:
        self._behind = behind
        self._context = context

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        with suppress(*_GONE):
            await self._open(reader, writer)
        writer.close()

    async def _open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = await _start(reader)
        while _code(start) == _GSS_REQUEST:
            writer.write(b"N")
            start = await _start(reader)
        if _code(start) == _SSL_REQUEST:
            writer.write(b"S")
            await writer.start_tls(self._context)
            await self._pass_on(reader, writer, b"")
        elif _code(start) == _CANCEL_REQUEST:
            # libpq up to 16 sends it without TLS, and Postgres accepts that too.
            await self._pass_on(reader, writer, start)
        else:
            writer.write(refusal(start))
            await writer.drain()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes
    ) -> None:
        from_server, to_server = await asyncio.open_connection(_HOST, self._behind)
        to_server.write(first)
        pumps = {
            asyncio.create_task(_pump(reader, to_server)),
            asyncio.create_task(_pump(from_server, writer)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            to_server.close()


async def _start(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(8)
    rest = int.from_bytes(head[:4], "big") - 8
    if not 0 <= rest <= _LONGEST_START:
        raise ConnectionError("this is not the start of a Postgres connection")
    return head + await reader.readexactly(rest)


def _code(start: bytes) -> int:
    return int.from_bytes(start[4:8], "big")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(*_GONE):
        while data := await reader.read(_AT_ONCE):
            writer.write(data)
            await writer.drain()


def refusal(start: bytes) -> bytes:
    """Return what Postgres answers to a start without TLS if pg_hba.conf requires TLS:
    an ErrorResponse, 28000.

    Args:
        start: the client's first message, with user and database.
    """
    words = start[8:].rstrip(b"\0").split(b"\0")
    named = dict(zip(words[::2], words[1::2], strict=False))
    user = named.get(b"user", b"")
    database = named.get(b"database", user)
    message = b'no pg_hba.conf entry for host "%b", user "%b", database "%b", no encryption' % (
        _HOST.encode(),
        user,
        database,
    )
    fields = b"SFATAL\0VFATAL\0C28000\0M" + message + b"\0\0"
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


async def _run(port: int, behind: int, certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(Relay(behind, context).serve, _HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
