"""The data of the demo: a Korean interview-training service, its tables and their rows.

load  the content read, and put into the tables
"""
