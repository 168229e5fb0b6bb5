"""Is every vector what it should be, and waiting until it is.

verify     find the vectors that are not true, and repair them
adopt      keep vectors that the application made with the wanted model
caught_up  wait until the live lane has handled every change up to a moment
"""
