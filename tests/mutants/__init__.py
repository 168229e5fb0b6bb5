"""Mutations: defects put into a copy of the code one at a time, each of which the suite
must notice.
"""
