"""What commands ask for and what they report.

migration     a column on its way to another model: states, names, which step
              follows
model_record  what is kept about a model
replay        a run: what is asked for, how far it is; a survey of its rows
search        what is searched, what was found, how long it took
score         grades, thresholds, pairs graded by hand
quality       what judged queries found; a search as it is logged; feedback
coverage      rows by state, and the verdict on them
audit_report  what a check of all vectors found, and its verdict
adoption      vectors that the application made: what was found out about them
comparison    two models or columns on judged queries: the figures and the verdict
"""
