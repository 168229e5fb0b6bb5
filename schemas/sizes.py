"""Sizes as people read them: `912 MB`, and `1.5 MiB` of what Postgres counts in those."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def show_size(size: float) -> str:
    """Write a number of bytes for people, in steps of 1,000: `512 B`, `4.2 kB`, `912 MB`."""
    step = 0
    # From here on the number would be rounded to `1,000` of the smaller unit.
    while size >= 999.5 and step < len(_UNITS) - 1:
        size /= 1000
        step += 1
    if step == 0 or size >= 99.5:
        return f"{size:,.0f} {_UNITS[step]}"
    return f"{size:.1f} {_UNITS[step]}"


def show_bytes(size: int) -> str:
    """Write a size for people, in units of 1024."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
