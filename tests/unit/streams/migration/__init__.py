"""Unit tests of streams.migration."""
