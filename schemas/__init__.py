"""WHAT flows: shapes and pure rules, no I/O. Imports nothing of the other packages."""
