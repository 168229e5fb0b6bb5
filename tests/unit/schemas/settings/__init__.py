"""Unit tests of schemas.settings."""
