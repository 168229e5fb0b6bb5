"""Unit tests of connectors.kafka."""
