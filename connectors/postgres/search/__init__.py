"""Nearest rows, comparisons, judged queries and feedback.

search     the nearest rows to a query
ranking    nearest rows and texts for a comparison, exactly or by index
quality    figures of judged queries: keep and read; read feedback
query_log  searches and feedback: write, and delete old ones
"""
