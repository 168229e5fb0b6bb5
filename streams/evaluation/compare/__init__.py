"""Two models or two columns, compared on judged queries.

compare     asks both sides and measures the answers
conclusion  the figures of a comparison from the answers of both sides
columns     two columns of a migration
models      two models on one corpus
process     a model in a process of its own
report      the HTML page, from report.html.j2
plots       the figures as plots
words       the figures as words
"""
