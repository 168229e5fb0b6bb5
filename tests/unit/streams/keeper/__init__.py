"""Unit tests of streams.keeper."""
