"""The soak campaign: random faults under a mixed load, judged by a checker that shares
no code with the pipeline.
"""
