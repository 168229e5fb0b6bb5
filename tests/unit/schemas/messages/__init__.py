"""Unit tests of schemas.messages."""
