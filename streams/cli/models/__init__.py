"""Commands about models and searches.

compare  arguments and the report in the terminal
quality  judged queries now; judged queries made of feedback
model    `vectrue model pull`, `info` and `check`: the weights that make the vectors
score    vectrue score
search   vectrue search
serve    vectrue serve
"""
