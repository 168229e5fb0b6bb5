"""In-memory twins of the ports, for unit tests; the contract suites hold them to the
real ones.

memory  twins of the store, the ledger, the outbox and the clock
kafka   twin of the offsets
model   twin of a model
"""
