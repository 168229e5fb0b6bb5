"""Nearest rows, comparisons, judged queries and feedback.

search     nearest rows
ranking    nearest rows and texts for a comparison, exactly or by index
quality    figures of judged queries: kept, read; feedback, read
query_log  searches and feedback, written; old ones deleted
"""
