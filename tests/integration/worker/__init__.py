"""Integration tests of worker."""
