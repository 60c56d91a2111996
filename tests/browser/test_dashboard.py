"""Ray's dashboard in a real browser: the line that the run prints leads to it, token included."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.job import ENVIRONMENT, as_override, command
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.browser, pytest.mark.ray, pytest.mark.thorough, pytest.mark.xdist_group("browser")]

PLACE = re.compile(r"dashboard: (?P<url>http://127\.0\.0\.1:\d+) , which asks for the token in (?P<file>\S+)")


def test_the_dashboard_of_a_long_run_opens_with_its_token(browser: Any, tmp_path: Path, origin: RunningOrigin) -> None:
    urls = [f"http://slow.example/photo/{n}.jpg" for n in range(400)]  # more than five minutes at one a second
    (tmp_path / "list.txt").write_text("\n".join(urls) + "\n", "utf-8")
    line = command(
        "path_to_input=list.txt", f"path_to_output={tmp_path / 'out'}", "stages=[partition,download]",
        "politeness.robots=ignore", "downloader_parameters.default_rate_limit=1",
        "downloader_parameters.rate_multiplier=0", as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    with subprocess.Popen(line, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next(found for text in process.stderr if (found := PLACE.search(text)))
            token = Path(said["file"]).read_text("ascii").strip()
            page = browser.new_context().new_page()
            page.goto(said["url"])
            page.get_by_placeholder("Enter your authentication token").fill(token)
            page.get_by_role("button", name="submit").click()
            page.goto(said["url"] + "/#/actors")
            page.get_by_text("BudgetActor").first.wait_for(timeout=60_000)
        finally:
            process.terminate()
            process.wait(timeout=60)
