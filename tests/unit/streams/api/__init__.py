"""Unit tests of streams.api."""
