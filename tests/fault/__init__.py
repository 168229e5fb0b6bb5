"""Faults on the local stack: killed, stopped and restarted processes."""
