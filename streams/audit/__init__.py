"""Is every vector what it should be, and waiting until it is.

verify     is every vector true? and the repair
adopt      vectors that the application made are believed, not made again
caught_up  is every change up to a moment handled by the live lane?
"""
