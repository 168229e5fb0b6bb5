"""Unit tests of streams.replay."""
