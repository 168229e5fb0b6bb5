"""What the tests share: waiting, workplaces on the local stack, models built at test
time.
"""
