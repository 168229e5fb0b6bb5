"""Integration tests of migration."""
