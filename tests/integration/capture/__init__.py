"""Integration tests of capture."""
