"""Commands around the running system, and what they look at.

lag                how far everything is behind, read from outside
witness            how far the canary came, if it has not come back
doctor             checks every precondition
doctor_migrations  checks the migrations under way
demo               the whole path on real parts, step by step
"""
