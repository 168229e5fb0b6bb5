"""How good searches and models are, by judged queries.

compare         Two models or two columns, compared on judged queries
model_check     can the model's vectors be trusted?
judged          searches with the rows that answer them
quality         judged queries asked of what is served, as a user asks
measures        recall, MRR, nDCG, and their intervals
calibrate       thresholds of a model from graded pairs, and how sure they are
calibrate_plot  their picture
"""
