"""The certificates of a secure local stack: an authority of its own, and one certificate for every server on loopback.

They are made by the program `openssl`, once, when the stack is made.

Hazards:
- The authority's key is deleted as soon as the one certificate is signed: nobody can sign another one with it.
- Keys are never readable by others: the folder has mode 0700 before anything is written into it.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError, EmbedsyncError

FOLDER: Final = "tls"
NAME: Final = "127.0.0.1"
"""Common name of the certificate; Kafka's controller knows the broker by it."""

_DAYS = "3650"
_SECONDS = 60.0
# openssl reads a configuration of the system, which may be missing, unless it is given one.
_CONFIG: Final = f"""
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = IP:{NAME}, DNS:localhost
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def authority(directory: Path) -> Path:
    """The certificate that clients have to trust; PEM."""
    return directory / FOLDER / "ca.pem"


def server(directory: Path) -> Path:
    """Key (PKCS #8, not encrypted) and certificate of the servers in one file; PEM, mode 0600."""
    return directory / FOLDER / "server.pem"


def make(directory: Path) -> None:
    """Make both files in DIR/tls; does nothing when they are there.

    Raises:
        ConfigurationError: there is no program `openssl`.
        EmbedsyncError: it failed.
    """
    if server(directory).exists() and authority(directory).exists():
        return
    folder = directory / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    (folder / "openssl.cnf").write_text(_CONFIG, encoding="ascii")
    request = ("req", "-config", "openssl.cnf")
    subject = ("-subj", "/CN=embedsync local authority")
    extensions = ("-extensions", "authority", "-days", _DAYS)
    _openssl(folder, *request, "-x509", *_KEY, *subject, *extensions, "-keyout", "ca.key", "-out", "ca.pem")
    _openssl(folder, *request, *_KEY, "-subj", f"/CN={NAME}", "-keyout", "server.key", "-out", "server.csr")
    sign = ("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    _openssl(folder, *sign, "-days", _DAYS, "-extfile", "openssl.cnf", "-extensions", "server", "-out", "server.crt")
    (folder / "ca.key").unlink()
    whole = server(directory).with_suffix(".new")
    whole.touch(mode=0o600)
    whole.write_bytes((folder / "server.key").read_bytes() + (folder / "server.crt").read_bytes())
    whole.replace(server(directory))
    for left in ("server.key", "server.crt", "server.csr", "openssl.cnf", "ca.srl"):
        (folder / left).unlink(missing_ok=True)


def _openssl(folder: Path, *arguments: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise ConfigurationError(
            "a secure stack needs the program openssl, which makes its certificates", fix="install openssl"
        )
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EmbedsyncError(f"openssl {arguments[0]} failed in {folder} ({said})", fix="check the program openssl")
