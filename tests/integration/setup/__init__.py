"""Integration tests of setup."""
