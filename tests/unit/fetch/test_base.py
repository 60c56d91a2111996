"""The seam itself: requests do not show their secrets, and a fetcher's own failure costs one row and one log entry."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ray_downloader.errors import ErrorKind, ExitCode
from ray_downloader.fetch import base
from ray_downloader.fetch.base import DnsFailure, FetchResult, internal_failure, lack_behind
from ray_downloader.fetch.receiver import BodyRoom
from tests.support.fetching import get


def failing(what: str) -> Exception:
    try:
        raise ValueError(what)
    except ValueError as error:
        return error


def failing_elsewhere(what: str) -> Exception:
    try:
        raise ValueError(what)
    except ValueError as error:
        return error


def test_each_cause_is_logged_once_and_every_row_has_its_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(base, "_LOGGED", set())
    results = [internal_failure(token, failing(f"no {token}")) for token in range(3)]
    assert results[2] == FetchResult(2, ErrorKind.INTERNAL, message="ValueError: no 2")
    assert len(caplog.records) == 1
    assert "ValueError: no 0" in caplog.text
    internal_failure(3, failing_elsewhere("no 3"))
    assert len(caplog.records) == 2
    internal_failure(4, KeyError("never raised"))
    assert len(caplog.records) == 3


def test_a_request_does_not_show_its_headers() -> None:
    request = get(1, "http://a.example/x", {"Authorization": "s3cret"})
    assert request.url == "http://a.example/x"
    assert "s3cret" not in repr(request)


def test_why_a_name_has_no_address_has_two_answers() -> None:
    assert {str(failure.value) for failure in DnsFailure} == {"no_such_name", "no_answer"}


def test_a_cause_is_where_it_was_raised_whoever_called(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(base, "_LOGGED", set())

    def raising() -> None:
        raise ValueError("deep down")

    for call in (raising, lambda: [raising()]):
        try:
            call()
        except ValueError as error:
            internal_failure(1, error)
    assert len(caplog.records) == 1


def test_a_result_of_nothing_took_no_time() -> None:
    assert FetchResult(1, None).total_s == 0.0


def test_the_content_of_a_result_is_where_its_body_is(tmp_path: Path) -> None:
    assert FetchResult(1, None, body=b"12345").content == b"12345"
    assert FetchResult(1, None, body=b"12345").size_bytes == 5
    file = BodyRoom(scratch=tmp_path).new_file(of=1)
    file.write(b"123456789")
    spilled = FetchResult(1, None, file=file)
    assert spilled.content is file
    assert spilled.size_bytes == 9
    file.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.EMFILE, "x"),
            "Too many open files; what was settled is safe: allow more open files (ulimit -n)",
        ),
        (OSError(errno.ENFILE, "x"), "Too many open files in system"),
        (OSError(errno.ENOMEM, "x"), "Cannot allocate memory"),
        (OSError(errno.ENOBUFS, "x"), "No buffer space available"),
        (MemoryError(), "Cannot allocate memory"),
    ],
    ids=["process", "machine", "memory", "buffers", "python"],
)
def test_what_this_machine_lacks_is_nobody_elses_fault(error: Exception, words: str) -> None:
    lack = lack_behind(error)
    assert lack is not None and lack.exit_code is ExitCode.FAILED
    assert str(lack).startswith(f"no connection can be made on this machine: {words}")
    assert str(internal_failure(1, error).lack) == str(lack)


@pytest.mark.parametrize("error", [None, OSError(errno.ECONNREFUSED, "x"), OSError("x"), ValueError()], ids=repr)
def test_other_failures_are_no_lack(error: Exception | None) -> None:
    assert lack_behind(error) is None


def test_a_result_states_only_what_is_known() -> None:
    result = FetchResult(7, ErrorKind.CONNECT)
    absent = (result.status, result.file, result.redirect_url, result.ttfb_s, result.http_version, result.remote_ip)
    assert absent == (None,) * 6
    assert (result.dns_failure, result.connection, result.lack) == (None, None, None)
    assert (result.message, result.said, result.tls, result.total_s, result.is_refused) == ("", "", "", 0.0, False)
    assert (result.headers, result.body, result.content, result.size_bytes) == ({}, b"", b"", 0)
    asked = get(1, "http://a.example/1.jpg")
    assert (asked.headers, asked.verify_tls, asked.enough_bytes) == ({}, None, None)
