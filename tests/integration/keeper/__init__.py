"""Integration tests of keeper."""
