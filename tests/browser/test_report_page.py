"""`report.html` in a real browser: nothing hostile runs, nothing is loaded, everybody can use it, it fits a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.report.pictures import Pictures
from ray_downloader.report.write import write_report
from tests.support.reported import Listed, learned, reported_run

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
ROWS = [
    *(Listed(f"http://s{n:02}.example/{m}.jpg", None if m else "timeout", listed={"license": "javascript:alert(3)"})
      for n in range(40) for m in range(2)),
    *(Listed(f"http://bad.example/{n}.jpg", "http_4xx", {"http_status": 404, "error_msg": HOSTILE},
             {"source": HOSTILE, "title": HOSTILE}) for n in range(9)),
    Listed("http://tls.example/1.jpg", "tls", {"error_msg": "unable to get local issuer certificate"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    layout = reported_run(tmp_path_factory.mktemp("run"), ROWS, downloader_parameters={"pool_below": 1})
    learned(layout, bad__example={"said": HOSTILE, "rate_rps": 3.0, "condition": "refused"})
    return write_report(layout.root, Pictures.ALL).as_uri()


class Visit:
    """A page in a fresh profile, and all that it did beside being shown."""

    def __init__(self, browser: Any, width: int, scheme: str, **options: Any) -> None:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
        context.set_default_timeout(10_000)
        self.page = context.new_page()
        self.happened: list[str] = []
        self.page.on("console", lambda message: self.happened.append(message.text))
        self.page.on("pageerror", lambda error: self.happened.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.happened.append(dialog.message), dialog.dismiss()))
        self.page.on(
            "request", lambda request: self.happened.append(request.url) if "data:" not in request.url else None
        )

    def open(self, url: str) -> Any:
        """Go there; what happens from now on beside the page itself is recorded."""
        self.page.goto(url)
        assert self.happened.pop(0) == url
        return self.page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 375])
def test_it_fits_runs_nothing_hostile_and_loads_nothing(
    browser: Any, url: str, width: int, scheme: str, tmp_path: Path
) -> None:
    visit = Visit(browser, width, scheme)
    page = visit.open(url)
    page.get_by_role("button", name="bad.example", exact=True).click()
    assert HOSTILE in page.locator(".detail").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert all(re.match(r"https?://", link) for link in page.evaluate("[...document.links].map(a => a.href)")
               if not link.startswith(url))  # fmt: skip
    assert len(page.screenshot(path=tmp_path / "page.png", full_page=True)) > 20_000
    assert visit.happened == []


def test_the_table_sorts_filters_hides_and_pages(browser: Any, url: str) -> None:
    page = Visit(browser, 1280, "light").open(url)
    names = page.locator("#table tbody th")
    assert names.first.inner_text() == "bad.example"  # the most errors
    assert page.locator("#shown").inner_text() == "1–25 of 42 servers"
    page.get_by_role("button", name="Next").click()
    assert names.count() == 17
    page.get_by_role("button", name="Server", exact=True).click()
    assert names.first.inner_text() == "bad.example"
    assert page.locator("#table th[aria-sort=ascending]").inner_text().startswith("Server")
    page.get_by_label("Filter servers").fill("issuer certificate")
    assert names.all_inner_texts() == ["tls.example"]
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Refusals").uncheck()
    assert "Refusals" not in page.locator("#table thead").inner_text()


def test_it_is_used_with_the_keyboard_alone(browser: Any, url: str) -> None:
    page = Visit(browser, 1280, "light").open(url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the table of servers"
    page.get_by_label("Filter servers").fill("tls.")
    page.get_by_role("button", name="tls.example", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert "verify_tls: false" in page.locator(".detail").inner_text()
    page.keyboard.press("Enter")
    assert page.locator(".detail").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(browser: Any, axe: str, url: str, scheme: str) -> None:
    page = Visit(browser, 1280, scheme, bypass_csp=True).open(url)  # axe is a script of its own
    page.get_by_role("button", name="bad.example", exact=True).click()
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_a_page_on_paper_shows_more_and_no_buttons(browser: Any, url: str) -> None:
    page = Visit(browser, 1280, "light").open(url)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#table tbody th").count() == 42
    assert not page.locator("#copy").is_visible()
    assert page.pdf()[:4] == b"%PDF"
