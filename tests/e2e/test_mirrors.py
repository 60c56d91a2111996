"""A picture in several clouds: the next one is asked where one fails, each under its own name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.support.job import RunFolder, as_override, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough]


def test_the_next_mirror_is_asked_where_one_fails(tmp_path: Path, origin: RunningOrigin) -> None:
    gcp, aws, azure = (f"http://{cloud}.example" for cloud in ("gcp", "aws", "azure"))
    rows = [
        (f"{gcp}/photo/1.jpg", f"{aws}/photo/1.jpg", f"{azure}/photo/1.jpg", "sound"),
        (f"{gcp}/status/404/2.jpg", f"{aws}/photo/2.jpg", f"{azure}/photo/2.jpg", "second"),
        (f"{gcp}/html/3", f"{aws}/status/410/3.jpg", f"{azure}/photo/3.jpg", "third"),
        ("", f"{aws}/status/404/4.jpg", f"{azure}/status/404/4.jpg", "nowhere"),
        (f"{gcp}/x-robots/5?value=noai", f"{aws}/photo/5.jpg", "", "opted-out"),
        (f"{gcp}/status/404/2.jpg", f"{aws}/photo/2.jpg", f"{azure}/photo/2.jpg", "second"),
    ]
    lines = ["url_gcp,url_aws,url_azure,image_id,original_label", *(",".join([*row, "deer"]) for row in rows)]
    (tmp_path / "lila.csv").write_text("\n".join(lines) + "\n", "utf-8")
    out = RunFolder(tmp_path / "out")
    done = run_program(
        "+experiment=lila", f"path_to_input={tmp_path / 'lila.csv'}", f"path_to_output={out.root}",
        "stages=[partition,download]", "downloader_parameters.default_rate_limit=200", "politeness.robots=ignore",
        as_override("network.connect_to", origin.connect_to), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {row["source_id"]: row for row in out.successes().to_pylist()}
    assert {name: row["final_url"] for name, row in found.items()} == {
        "sound": f"{gcp}/photo/1.jpg",
        "second": f"{aws}/photo/2.jpg",
        "third": f"{azure}/photo/3.jpg",
    }
    assert found["third"]["identifier"] == f"{gcp}/html/3", "the row keeps the name it came with"
    assert {row["source_id"]: row["error_kind"] for row in out.errors().to_pylist()} == {
        "nowhere": "http_4xx",
        "opted-out": "opted_out",
    }
    asked = Counter(request.target for request in origin.files_seen("aws.example"))
    assert asked == {"/photo/2.jpg": 1, "/status/410/3.jpg": 1, "/status/404/4.jpg": 1}
    assert out.summary["rows"]["successes"] == 4
