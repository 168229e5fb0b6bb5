"""Unit tests of connectors.models."""
