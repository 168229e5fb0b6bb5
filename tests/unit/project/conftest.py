"""Fixtures of the checks of docker-compose.yml."""

from typing import Any

import pytest

from tests.support import containers


@pytest.fixture
def compose() -> dict[str, Any]:
    """docker-compose.yml as it is with nothing set."""
    return containers.compose({})


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, Any]:
    """Its services."""
    services: dict[str, Any] = compose["services"]
    return services
