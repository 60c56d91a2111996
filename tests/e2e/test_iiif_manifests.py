"""A list of URLs of IIIF manifests becomes images, without placeholders; plan, extension and reset of such a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.tools.placeholders import LEAST_ALIKE
from tests.support.commands import Commands
from tests.support.job import RunFolder, as_override, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough, pytest.mark.xdist_group("commands")]

BOOK = "http://lib.example/presentation/book/manifest.json?pages=3"
OTHER = "http://lib.example/presentation/other/manifest.json"
SAME = [f"http://lib.example/placeholder/{n}.jpg" for n in range(LEAST_ALIKE)]
GONE = "http://lib.example/status/404/manifest.json"


def documents(origin: RunningOrigin) -> list[str]:
    """The documents that were requested since the last call."""
    seen = [entry.target for entry in origin.files_seen("lib.example") if "/images/" not in entry.target]
    seen = [target for target in seen if "/placeholder/" not in target]
    origin.forget()
    return sorted(seen)


def test_manifests_of_a_list_become_images(tmp_path: Path, origin: RunningOrigin, commands: Commands) -> None:
    (tmp_path / "list.csv").write_text("\n".join(["manifest", BOOK, GONE, *SAME]) + "\n")
    out = RunFolder(tmp_path / "out")
    arguments = [
        "+experiment=iiif", "path_to_input=list.csv", f"path_to_output={out.root}", "politeness.robots=ignore",
        "image.placeholders=reject", "image.renditions=auto",
        "downloader_parameters.default_rate_limit=100", as_override("network.connect_to", origin.connect_to),
    ]  # fmt: skip

    def call(*more: str) -> str:
        done = commands.run("ray_downloader", [*arguments, *more], tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stderr

    # 1. A plan fetches the manifests, and no image.
    assert "1 of 2 read" in " ".join(call("mode=plan").split())
    assert documents(origin) == ["/presentation/book/manifest.json?pages=3", "/status/404/manifest.json"]
    assert not origin.files_seen()
    assert out.rejected().to_pylist() == [{
        "identifier": GONE, "source_id": None, "reason": "iiif_manifest", "file": str(tmp_path / "list.csv"),
        "line": 3, "detail": "http_4xx: HTTP status 404: status",
    }]  # fmt: skip
    # 2. The run uses what the plan has fetched.
    done = run_program(*arguments, "stages=[partition,download]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert documents(origin) == []
    images = out.successes(["source_id", "identifier", "license", "image"]).to_pylist()
    assert {row["identifier"] for row in images} == {
        f"http://lib.example/images/book-{page}/full/max/0/default.jpg" for page in range(3)
    }
    assert all(row["image"].startswith(b"\xff\xd8") and row["license"] for row in images)
    assert out.summary["rows"] == {"input": 4 + LEAST_ALIKE, "rejected": 1, "successes": 3, "errors": LEAST_ALIKE}
    assert {row["identifier"] for row in out.errors().to_pylist() if row["error_kind"] == "not_image"} == set(SAME)
    requested = set(out.successes(["requested_url"])["requested_url"].to_pylist())
    assert requested == {f"http://lib.example/images/book-{page}/full/!448,448/0/default.jpg" for page in range(3)}
    assert out.summary["renditions"]["images"] == 3
    # 3. A further manifest: only that is fetched.
    (tmp_path / "list.csv").write_text("\n".join(["manifest", BOOK, GONE, *SAME, OTHER]) + "\n")
    assert f"{3 + LEAST_ALIKE} rows are the same, 1 are new" in " ".join(
        call("list=extend", "stages=[partition]").split()
    )
    assert documents(origin) == ["/presentation/other/manifest.json"]
    # 4. Starting over, all are fetched again.
    call("reset=batched", "confirm=out", "stages=[partition]")
    assert len(documents(origin)) == 3
    assert not (out.root / ".manifests").exists() and (out.root / "manifests").is_dir()
