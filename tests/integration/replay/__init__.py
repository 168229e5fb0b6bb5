"""Integration tests of replay."""
