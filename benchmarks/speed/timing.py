"""How fast a contender was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """One run of one contender.

    Args:
        images: Stored ones.
        stage_s: From its first download to the last file written, as it says itself (ours: `summary.json`).
        command_s: The whole command, start-up included; None where there is none (the floor).
    """

    images: float
    stage_s: float
    command_s: float | None = None

    @classmethod
    def of_rate(cls, images_per_s: float) -> Timing:
        """A contender that has a rate only."""
        return cls(images_per_s, 1.0)

    @property
    def images_per_s(self) -> float:
        """Of the download stage."""
        return self.images / self.stage_s
