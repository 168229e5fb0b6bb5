"""WHERE it comes from and goes: ports first, then one folder or file per outside system, the twins last."""
