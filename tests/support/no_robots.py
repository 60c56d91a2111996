"""A store that knows of every server that it has no robots.txt, so that none is requested."""

from __future__ import annotations

from ray_downloader.worker.robots_store import KeptAnswer, Name, RobotsStore


class NoRobotsTxt(RobotsStore):
    """All servers have answered 404 today."""

    def find(self, name: Name, server: str) -> KeptAnswer | None:
        return KeptAnswer(404, "") if name == "robots.txt" else super().find(name, server)
