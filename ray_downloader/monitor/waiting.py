"""Which servers get no request now, why, and until when: what the log says once and `status` always shows. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ray_downloader.politeness.messages import WaitReason


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a budget gets no request now.

    Args:
        until_unix_s: When it may be asked again; None where nobody knows.
        said: What the server said, if that is why.
    """

    reason: WaitReason
    until_unix_s: float | None = None
    said: str = ""
