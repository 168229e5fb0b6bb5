"""Unit tests of streams.worker.watches."""
