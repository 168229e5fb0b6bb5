"""Unit tests of streams.common."""
