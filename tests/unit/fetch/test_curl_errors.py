from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.curl_errors import KIND_OF_CODE, TIMED_OUT, kind_of_timeout


@pytest.mark.parametrize(
    ("is_connected", "has_answer", "total_s", "kind"),
    [
        (False, False, 20.0, ErrorKind.CONNECT),
        (True, False, 20.0, ErrorKind.TIMEOUT),
        (True, False, 300.0, ErrorKind.TIMEOUT),
        (True, True, 31.0, ErrorKind.TOO_SLOW),
        (True, True, 300.0, ErrorKind.TIMEOUT),
    ],
)
def test_a_timeout_is_told_by_how_far_the_request_came(
    is_connected: bool, has_answer: bool, total_s: float, kind: ErrorKind
) -> None:
    assert kind_of_timeout(is_connected, has_answer, total_s, request_timeout_s=300.0) is kind


def test_the_table_leaves_timeouts_to_the_function_and_never_says_internal() -> None:
    assert TIMED_OUT not in KIND_OF_CODE
    assert ErrorKind.INTERNAL not in KIND_OF_CODE.values()
