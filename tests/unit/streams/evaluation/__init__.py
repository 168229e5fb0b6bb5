"""Unit tests of streams.evaluation."""
