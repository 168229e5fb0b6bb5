"""Unit tests of streams.operations."""
