"""Unit tests of connectors.postgres."""
