"""Commands about models and searches.

search   `vectrue search`: the rows nearest to a text
serve    `vectrue serve`: search, scores and embeddings over HTTP
model    `vectrue model`: pull, info, check
compare  `vectrue compare`: two models on judged queries
quality  `vectrue quality`: judged queries asked now, and made of feedback
score    `vectrue score`: grade an answer, and calibrate the grades
"""
