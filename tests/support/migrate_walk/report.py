"""What was tried and reached."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Report:
    """Figures over many walks."""

    walks: int = 0
    longest: int = 0
    """Actions of the longest walk, the way out included."""
    ways: list[int] = field(default_factory=list)
    """Steps of each way out."""
    states: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """The states of the three columns, together, and how often they were reached."""
    ended: Counter[str] = field(default_factory=Counter)
    """Verb and how it ended."""
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Some lines."""
        ends = ", ".join(f"{name} {count}" for name, count in sorted(self.ended.items()))
        kinds = Counter(end.rsplit(" ", 1)[1] for end in self.ended.elements())
        together = ", ".join("/".join(state) for state, _ in self.states.most_common())
        lines = [
            (
                f"{self.walks} walks, the longest of {self.longest} steps; ways out of at most "
                f"{max(self.ways, default=0)}"
            ),
            (
                f"{sum(self.ended.values())} commands, {kinds['killed']} killed, "
                f"{kinds['refused']} "
                f"refused: {ends}"
            ),
            f"{len(self.states)} states of the three columns together: {together}",
        ]
        return "\n".join(lines)
