"""Checks of the project itself: documents, container files, CI, the tests' own tools."""
