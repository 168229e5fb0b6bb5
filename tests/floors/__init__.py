"""The lowest versions that pyproject.toml allows, tried: `make floors`."""
