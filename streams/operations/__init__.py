"""Commands around the running system, and what they look at.

doctor             checks every precondition, one line each
doctor_migrations  checks the migrations under way
lag                how far everything is behind, read from outside
witness            how far the canary came, if it has not come back
interview          the data of the demo, and its loader
demo               the whole path on real parts, step by step
"""
