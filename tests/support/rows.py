"""Rows without a batch, for what is decided about one row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from ray_downloader.output.journal import Rows
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.worker.request_policy import Route
from ray_downloader.worker.row import Row


def a_row(url: str = "http://a.example/1.jpg", number: int = 0, mirrors: tuple[str, ...] = ()) -> Row:
    batch: Any = SimpleNamespace()  # nothing is decided here that asks the batch
    row = Row(batch, Rows(pa.table({"identifier": [url]}), [0], [number]), url, "a.example", list(mirrors))
    row.route = Route(RequestUrl.parse(url), "a.example")
    return row


#: The host of `rows_of`.
HOST = "a.example"


def rows_of(count: int) -> list[Row]:
    return [a_row(f"http://{HOST}/{number}.jpg", number) for number in range(count)]
