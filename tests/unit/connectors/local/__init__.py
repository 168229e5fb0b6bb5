"""Unit tests of connectors.local."""
