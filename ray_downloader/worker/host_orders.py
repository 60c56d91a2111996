"""Orders for single hosts of a group. The budget is the group's, so tasks themselves apply orders for a single host.

Pure state of a budget actor; every answer to a task includes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ray_downloader.politeness.messages import Verdict

_VERDICTS = {"pause": Verdict.PAUSED, "ban": Verdict.BANNED}


class HostOrders:
    """Hosts that the operator paused or banned, while the others of their group continue."""

    def __init__(self) -> None:
        self.verdicts: Mapping[str, Verdict] = {}

    def obey(self, host: str, action: str) -> None:
        """Apply an order; `resume` ends a pause or ban."""
        others = {name: verdict for name, verdict in self.verdicts.items() if name != host}
        verdict = _VERDICTS.get(action)
        self.verdicts = others if verdict is None else {**others, host: verdict}

    @property
    def paused(self) -> list[str]:
        """Hosts that the operator paused."""
        return [host for host, verdict in self.verdicts.items() if verdict is Verdict.PAUSED]
