"""What an engine tells of an index, in the same words for every engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IndexUsage:
    """One index since the engine's statistics were last reset; None is what the engine does not tell.

    `reads` are scans or rows read, as the engine counts; `cardinality` is its estimate of distinct values. `why` says
    of each figure that can be None, by its name, why it is.
    """

    table: str
    index: str
    reads: int | None
    size_bytes: int | None
    cardinality: int | None
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def unknown(self) -> str:
        """The figures that the engine does not tell, and why; empty where it tells all."""
        return "; ".join(f"{name}: {why}" for name, why in self.why.items() if getattr(self, name) is None)
