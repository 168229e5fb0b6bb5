"""How good searches and models are, by judged queries.

judged          judged queries: searches with the rows that answer them
quality         judged queries asked of the served tables, as a user asks
measures        recall, MRR, nDCG, and their intervals
compare         two models or two columns, compared on judged queries
model_check     whether the vectors of a model can be trusted
calibrate       thresholds of a model from graded pairs, and their uncertainty
calibrate_plot  a plot of a calibration
"""
