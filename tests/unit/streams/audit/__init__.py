"""Unit tests of streams.audit."""
