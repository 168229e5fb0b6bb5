"""Settings: every value that can be set, and how they are read.

section   what the sections have in common
vectors   what is embedded, and by which model
services  Postgres, Kafka, Kafka Connect
workers   lanes, keeper, canary, dead letters, metrics, logs
serving   the HTTP server, judged queries, scores
sections  every section, in one place to import from
reading   one frozen object; the only reader of the environment
change    how two readings of the settings differ, by names
masking   what may be shown of a secret
paths     paths that no file can have
"""
