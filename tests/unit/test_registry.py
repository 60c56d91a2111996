"""Names to implementations."""

from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind, UserError, error_code
from ray_downloader.fetch.base import FETCHERS
from ray_downloader.registry import Registry


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UserError, match=r"there is no fetcher 'wget'; choose one of: curl, requests"):
        FETCHERS.get("wget")


def test_a_duplicate_name_is_refused() -> None:
    registry: Registry[int] = Registry("number", "ray_downloader.monitor")
    registry.register("one")(1)
    with pytest.raises(ValueError, match="two numbers are named 'one'"):
        registry.register("one")(2)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (ErrorKind.HTTP_4XX, 404, 404),
        (ErrorKind.HTTP_429, 429, 429),
        (ErrorKind.DNS, None, -1),
        (ErrorKind.NOT_IMAGE, 200, -2),
        (ErrorKind.OPTED_OUT, 200, -3),
        (ErrorKind.SERVER_DEAD, None, -3),
    ],
)
def test_error_codes_tell_the_status_or_the_class_of_failure(kind: ErrorKind, status: int | None, code: int) -> None:
    assert error_code(kind, status) == code
