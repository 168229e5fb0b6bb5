"""Two models or two columns, compared on judged queries.

compare  asked of two sides in turn, measured, concluded
columns  two columns of a migration
models   two models on one corpus
plots    the figures as plots
process  a model in a process of its own
report   the page, from compare_report.html.j2
words    the figures in words
"""
