"""Settings: every value that can be set, and how they are read.

sections  every value that can be set, by section
reading   one frozen object; the only reader of the environment
change    how two readings of the settings differ, by names
masking   what may be shown of a secret
paths     paths that no file can have
"""
