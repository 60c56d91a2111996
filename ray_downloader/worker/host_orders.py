"""Orders for single hosts of a group. The budget is the group's, so tasks themselves keep to what a host is ordered.

Pure state of a budget actor; every answer to a task carries it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ray_downloader.politeness.messages import Verdict

_VERDICTS = {"pause": Verdict.PAUSED, "ban": Verdict.BANNED}


class HostOrders:
    """Hosts that the operator paused or banned, while the others of their group go on."""

    def __init__(self) -> None:
        self.verdicts: Mapping[str, Verdict] = {}

    def obey(self, host: str, action: str) -> None:
        """Take an order; `resume` ends a pause or ban."""
        others = {name: verdict for name, verdict in self.verdicts.items() if name != host}
        verdict = _VERDICTS.get(action)
        self.verdicts = others if verdict is None else {**others, host: verdict}

    @property
    def paused(self) -> list[str]:
        """Hosts that wait for the operator."""
        return [host for host, verdict in self.verdicts.items() if verdict is Verdict.PAUSED]
