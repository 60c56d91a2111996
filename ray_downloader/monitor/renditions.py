"""What `image.renditions=auto` saved, as far as it is known. Pure.

The listed pictures are not requested, so nobody knows their sizes. Of a large server the profile requested a few as
they are listed; their median stands for those of the run. Samples are cut at 4 MB, so the estimate is rather too low.
Of others the names may say how large both versions are; bytes are assumed to grow like pixels.
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
        sized: Those whose names say how much larger the listed picture is, by server.
        saved_bytes: About how many bytes these saved, by server.
    """

    images: Mapping[str, int] = field(default_factory=dict)
    size_bytes: Mapping[str, int] = field(default_factory=dict)
    sized: Mapping[str, int] = field(default_factory=dict)
    saved_bytes: Mapping[str, int] = field(default_factory=dict)

    def figures(self, listed_bytes: Mapping[str, int]) -> dict[str, int] | None:
        """The entry of `summary.json`; None if there were none.

        Args:
            listed_bytes: Size of a listed picture, by server, where it is known.
        """
        images = sum(self.images.values())
        if not images:
            return None
        probed = {server: count for server, count in self.images.items() if server in listed_bytes}
        saved = sum(listed_bytes[server] * count - self.size_bytes.get(server, 0) for server, count in probed.items())
        sized = {server: count for server, count in self.sized.items() if server not in probed}
        saved += sum(self.saved_bytes.get(server, 0) for server in sized)
        return {
            "images": images,
            "bytes": sum(self.size_bytes.values()),
            "bytes_saved": max(0, saved),
            "images_compared": sum(probed.values()) + sum(sized.values()),
        }


def sentence(figures: Mapping[str, int]) -> str:
    """The same in words."""
    images, compared = figures["images"], figures["images_compared"]
    text = f"{images} images in a smaller version, {_mb(figures['bytes'])} received"
    if not compared:
        return f"{text}; how much that saved is not known, as their servers were not profiled"
    of_which = "" if compared == images else f" with {compared} of them"
    return f"{text}, about {_mb(figures['bytes_saved'])} saved{of_which}"


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
