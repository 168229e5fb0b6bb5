"""A Korean interview-training backend: two tables, their content, and a loader."""
