"""Unit tests of streams.search."""
