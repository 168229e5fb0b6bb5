"""Sizes as people read them: `1.5 MiB`."""


def show_bytes(size: int) -> str:
    """Write a size for people, in units of 1024."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
