"""What decides a row's server is worked out for distinct origins, and agrees with parsing each whole URL."""

from __future__ import annotations

import json

import duckdb
from hypothesis import example, given
from hypothesis import strategies as st

from ray_downloader.partition.batch_plan import plan_batches
from ray_downloader.partition.parts import ORIGIN_SQL
from ray_downloader.partition.server_key import BadUrlError, server_key
from ray_downloader.partition.servers import name_servers, order_servers
from tests.support.lists import real_data

_PARTS = st.sampled_from(
    ["http:", "https:", "HTTP:", "/", "//", "\\", "a.org", "B.org", "@", ":", ":80", "?", "#", " "]
)
_URLS = st.lists(_PARTS | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map("".join)

_DATABASE = duckdb.connect()


def _server_by_origin(urls: list[str]) -> dict[str, str | None]:
    with _DATABASE.cursor() as connection:  # a database of its own for each example would cost most of the time
        connection.execute("CREATE OR REPLACE TABLE staged (identifier VARCHAR, reason VARCHAR, origin VARCHAR)")
        connection.execute("INSERT INTO staged (identifier) SELECT unnest(?::VARCHAR[])", [urls])
        connection.execute(f"UPDATE staged SET origin = {ORIGIN_SQL}")
        name_servers(connection)
        return dict(connection.sql("SELECT identifier, server_name FROM staged JOIN origins USING (origin)").fetchall())


def _server_by_url(url: str) -> str | None:
    try:
        return server_key(url)
    except BadUrlError:
        return None


@given(st.lists(_URLS, min_size=1, max_size=30))
@example(["http://exa mple.org/x", "http://a.\x00org/", "http:\\\\a.org", "http:///a.org/x", "http://u@a.org:80\\b"])
@example(["http://a.org?x@b.org/", "http://a.org#@b.org", "https://a.org:443", "//a.org/x", "http://a\tb.org/"])
def test_the_origin_decides_as_the_whole_url_does(urls: list[str]) -> None:
    assert _server_by_origin(urls) == {url: _server_by_url(url) for url in urls}


def test_the_origin_decides_as_the_whole_url_does_for_the_standards_vectors() -> None:
    entries = json.loads(real_data("lists/url_parsing/urltestdata.json").read_text("utf-8"))
    urls = [entry["input"] for entry in entries if isinstance(entry, dict) and entry["input"].isprintable()]
    assert _server_by_origin(urls) == {url: _server_by_url(url) for url in urls}


def test_rows_are_counted_by_server_and_servers_have_their_places() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE staged (origin VARCHAR, reason VARCHAR)")
        rows = [("http://B.org", None), ("https://b.org:443", None), ("http://a.org", None), ("x", None), ("y", "r")]
        connection.executemany("INSERT INTO staged VALUES (?, ?)", rows)
        counts = name_servers(connection)
        order_servers(connection, plan_batches(counts, 10, 10))
        places = connection.sql("FROM places ORDER BY place").fetchall()
    assert counts == {"b.org": 2, "a.org": 1}
    assert places == [("a.org", 0), ("b.org", 1)]
