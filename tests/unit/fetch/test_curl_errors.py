"""libcurl's failures, with the numbers of its manual."""

from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.curl_errors import KIND_OF_CODE, TIMED_OUT, Progress, kind_of_timeout

#: CURLE_ names and numbers, from https://curl.se/libcurl/c/libcurl-errors.html.
MANUAL = {
    "UNSUPPORTED_PROTOCOL": (1, "reset"),
    "URL_MALFORMAT": (3, "bad_url"),
    "COULDNT_RESOLVE_PROXY": (5, "connect"),
    "COULDNT_RESOLVE_HOST": (6, "dns"),
    "COULDNT_CONNECT": (7, "connect"),
    "WEIRD_SERVER_REPLY": (8, "reset"),
    "HTTP2": (16, "reset"),
    "PARTIAL_FILE": (18, "truncated"),
    "WRITE_ERROR": (23, "too_large"),
    "SSL_CONNECT_ERROR": (35, "tls"),
    "ABORTED_BY_CALLBACK": (42, "reset"),
    "GOT_NOTHING": (52, "reset"),
    "SSL_ENGINE_NOTFOUND": (53, "tls"),
    "SSL_ENGINE_SETFAILED": (54, "tls"),
    "SEND_ERROR": (55, "reset"),
    "RECV_ERROR": (56, "reset"),
    "SSL_CERTPROBLEM": (58, "tls"),
    "SSL_CIPHER": (59, "tls"),
    "PEER_FAILED_VERIFICATION": (60, "tls"),
    "FILESIZE_EXCEEDED": (63, "too_large"),
    "BAD_CONTENT_ENCODING": (61, "reset"),
    "USE_SSL_FAILED": (64, "tls"),
    "SSL_ENGINE_INITFAILED": (66, "tls"),
    "SSL_CACERT_BADFILE": (77, "tls"),
    "SSL_SHUTDOWN_FAILED": (80, "tls"),
    "SSL_CRL_BADFILE": (82, "tls"),
    "SSL_ISSUER_ERROR": (83, "tls"),
    "SSL_PINNEDPUBKEYNOTMATCH": (90, "tls"),
    "SSL_INVALIDCERTSTATUS": (91, "tls"),
    "HTTP2_STREAM": (92, "reset"),
    "HTTP3": (95, "reset"),
    "QUIC_CONNECT_ERROR": (96, "connect"),
    "PROXY": (97, "connect"),
    "TOO_LARGE": (100, "reset"),
}


def test_each_failure_of_the_manual_that_can_come_has_its_kind() -> None:
    assert {str(kind): sorted(code for code in KIND_OF_CODE if KIND_OF_CODE[code] is kind) for kind in ErrorKind} == {
        str(kind): sorted(code for code, name in MANUAL.values() if name == kind) for kind in ErrorKind
    }


def test_time_limits_have_no_one_kind() -> None:
    assert TIMED_OUT == 28
    assert TIMED_OUT not in KIND_OF_CODE


@pytest.mark.parametrize(
    ("progress", "kind"),
    [
        (Progress(is_resolved=False, is_connected=False, has_answer=False, total_s=20.0), ErrorKind.DNS),
        (Progress(is_resolved=False, is_connected=False, has_answer=False, total_s=299.9), ErrorKind.DNS),
        (Progress(is_resolved=False, is_connected=False, has_answer=False, total_s=300.0), ErrorKind.TIMEOUT),
        (Progress(is_resolved=True, is_connected=False, has_answer=False, total_s=20.0), ErrorKind.CONNECT),
        (Progress(is_resolved=True, is_connected=False, has_answer=False, total_s=300.0), ErrorKind.CONNECT),
        (Progress(is_resolved=True, is_connected=True, has_answer=False, total_s=20.0), ErrorKind.TIMEOUT),
        (Progress(is_resolved=True, is_connected=True, has_answer=False, total_s=300.0), ErrorKind.TIMEOUT),
        (Progress(is_resolved=True, is_connected=True, has_answer=True, total_s=31.0), ErrorKind.TOO_SLOW),
        (Progress(is_resolved=True, is_connected=True, has_answer=True, total_s=300.0), ErrorKind.TIMEOUT),
        (Progress(is_resolved=True, is_connected=True, has_answer=True, total_s=300.1), ErrorKind.TIMEOUT),
    ],
)
def test_a_timeout_is_told_by_how_far_the_request_came(progress: Progress, kind: ErrorKind) -> None:
    assert kind_of_timeout(progress, request_timeout_s=300.0) is kind
