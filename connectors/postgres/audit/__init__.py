"""Vectors judged, counted and adopted.

coverage  count the rows of the reader's own tables
judged    rows with their state and findings: in pages, as a sample, by key
scan      the check of all vectors; delete the hash of untrue ones
adoption  vectors without provenance: count, draw, write provenance
textless  rows with content but no text, since a column is NULL
"""
