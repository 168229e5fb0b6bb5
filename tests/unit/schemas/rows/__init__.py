"""Unit tests of schemas.rows."""
