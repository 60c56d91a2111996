"""How the loss of a node is told."""

from __future__ import annotations

import pytest

from ray_downloader.cluster.slice_pool import _short_reason

LOST = "Task failed because the node it was running on is dead or unavailable"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (f"{LOST}. Node IP: 10.0.0.3, node ID: ab12. This can happen if ...\nmore", f"{LOST} (node3)"),
        (f"{LOST}. Node IP: 10.0.0.9, node ID: ab12. This can happen if ...", f"{LOST} (10.0.0.9)"),
        ("The worker died unexpectedly. Check the logs.", "The worker died unexpectedly"),
    ],
    ids=["known", "unknown", "no node"],
)
def test_a_lost_node_is_named(message: str, reason: str) -> None:
    assert _short_reason(message, {"10.0.0.3": "node3"}) == reason
