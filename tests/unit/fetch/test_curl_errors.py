from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.curl_errors import KIND_OF_CODE, TIMED_OUT, Progress, kind_of_timeout


@pytest.mark.parametrize(
    ("progress", "kind"),
    [
        (Progress(is_resolved=False, is_connected=False, has_answer=False, total_s=20.0), ErrorKind.DNS),
        (Progress(is_resolved=True, is_connected=False, has_answer=False, total_s=20.0), ErrorKind.CONNECT),
        (Progress(is_resolved=True, is_connected=True, has_answer=False, total_s=20.0), ErrorKind.TIMEOUT),
        (Progress(is_resolved=True, is_connected=True, has_answer=False, total_s=300.0), ErrorKind.TIMEOUT),
        (Progress(is_resolved=True, is_connected=True, has_answer=True, total_s=31.0), ErrorKind.TOO_SLOW),
        (Progress(is_resolved=True, is_connected=True, has_answer=True, total_s=300.0), ErrorKind.TIMEOUT),
    ],
)
def test_a_timeout_is_told_by_how_far_the_request_came(progress: Progress, kind: ErrorKind) -> None:
    assert kind_of_timeout(progress, request_timeout_s=300.0) is kind


def test_the_table_leaves_timeouts_to_the_function_and_never_says_internal() -> None:
    assert TIMED_OUT not in KIND_OF_CODE
    assert ErrorKind.INTERNAL not in KIND_OF_CODE.values()
