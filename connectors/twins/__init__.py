"""In-memory twins of the ports, for unit tests; the contract suites hold them to the
real ones.

kafka   twin of the offsets
model   twin of a model
memory  in-memory twins: store, ledger, outbox, clock
"""
