"""Unit tests of schemas.health."""
