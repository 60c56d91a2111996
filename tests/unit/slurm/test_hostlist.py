"""Slurm's short form of names of nodes."""

from __future__ import annotations

import pytest

from ray_downloader.slurm.hostlist import expand_hostlist


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node1", ["node1"]),
        ("node[1-3]", ["node1", "node2", "node3"]),
        ("node[1-2,5],gpu7", ["node1", "node2", "node5", "gpu7"]),
        ("c[008-011]", ["c008", "c009", "c010", "c011"]),
        ("r[1-2]n[0-1]x", ["r1n0x", "r1n1x", "r2n0x", "r2n1x"]),
        ("a-b-1,a-b-[2-3].site", ["a-b-1", "a-b-2.site", "a-b-3.site"]),
        ("", []),
        ("(null)", []),
    ],
)
def test_names_come_in_slurms_order(text: str, names: list[str]) -> None:
    assert expand_hostlist(text) == names
