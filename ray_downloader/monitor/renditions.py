"""What `image.renditions=auto` saved, as far as it is known. Pure.

The listed pictures are not requested, so nobody knows their sizes. The profile requested a few of each server as they
are listed; their median stands for those of the run. Samples are cut at 4 MB, so the estimate is rather too low.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Renditions:
    """Smaller versions that were received.

    Args:
        images: Their number, by server.
        size_bytes: Bytes of them, by server.
    """

    images: Mapping[str, int] = field(default_factory=dict)
    size_bytes: Mapping[str, int] = field(default_factory=dict)

    def figures(self, listed_bytes: Mapping[str, int]) -> dict[str, int] | None:
        """The entry of `summary.json`; None if there were none.

        Args:
            listed_bytes: Size of a listed picture, by server, where it is known.
        """
        images = sum(self.images.values())
        if not images:
            return None
        known = [server for server in self.images if server in listed_bytes]
        saved = sum(listed_bytes[server] * self.images[server] - self.size_bytes.get(server, 0) for server in known)
        return {
            "images": images,
            "bytes": sum(self.size_bytes.values()),
            "bytes_saved": max(0, saved),
            "images_compared": sum(self.images[server] for server in known),
        }


def sentence(figures: Mapping[str, int]) -> str:
    """The same in words."""
    text = f"{figures['images']} images in a smaller version, {_mb(figures['bytes'])} received"
    if not figures["images_compared"]:
        return f"{text}; without the profile stage it is not known how much that saved"
    return f"{text}, about {_mb(figures['bytes_saved'])} saved (by what the profile received of their servers)"


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
