"""Integration tests of search."""
