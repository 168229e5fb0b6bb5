"""Unit tests of streams.dead_letters."""
