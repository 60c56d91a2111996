from __future__ import annotations

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import DnsFailure, FetchResult
from ray_downloader.fetch.destination import Destination
from ray_downloader.fetch.gate import RequestGate
from tests.support.fetching import get

NO_SUCH_NAME = FetchResult(1, ErrorKind.DNS, dns_failure=DnsFailure.NO_SUCH_NAME)


def _kind(admission: RequestGate, url: str, now_s: float) -> ErrorKind | None:
    admitted = admission.admit(get(7, url), now_s)
    if isinstance(admitted, FetchResult):
        assert (admitted.token, bool(admitted.message)) == (7, True)
        return admitted.kind
    return None


def test_a_host_that_did_not_resolve_is_not_looked_up_again_for_a_while() -> None:
    admission = RequestGate(NetworkSettings())
    destination = admission.admit(get(1, "http://gone.example/a"), now_s=0.0)
    assert isinstance(destination, Destination)
    admission.note(destination, NO_SUCH_NAME, now_s=1.0)
    assert _kind(admission, "https://gone.example/b", now_s=2.0) is ErrorKind.DNS
    assert _kind(admission, "http://other.example/b", now_s=2.0) is None
    assert _kind(admission, "https://gone.example/b", now_s=10.9) is ErrorKind.DNS
    assert _kind(admission, "https://gone.example/b", now_s=11.0) is None


def test_a_look_up_that_was_lost_is_made_again_at_once() -> None:
    admission = RequestGate(NetworkSettings())
    destination = admission.admit(get(1, "http://lost.example/a"), now_s=0.0)
    assert isinstance(destination, Destination)
    lost = FetchResult(1, ErrorKind.DNS, dns_failure=DnsFailure.NO_ANSWER)
    admission.note(destination, lost, now_s=0.0)
    assert _kind(admission, "http://lost.example/a", now_s=0.0) is None


def test_other_failures_are_not_remembered() -> None:
    admission = RequestGate(NetworkSettings())
    destination = admission.admit(get(1, "http://down.example/a"), now_s=0.0)
    assert isinstance(destination, Destination)
    admission.note(destination, FetchResult(1, ErrorKind.CONNECT), now_s=0.0)
    assert _kind(admission, "http://down.example/a", now_s=0.0) is None


def test_names_that_a_proxy_resolves_are_not_ours_to_remember() -> None:
    admission = RequestGate(NetworkSettings(proxy="http://proxy.example:3128"))
    destination = admission.admit(get(1, "http://gone.example/a"), now_s=0.0)
    assert isinstance(destination, Destination)
    admission.note(destination, NO_SUCH_NAME, now_s=0.0)
    assert _kind(admission, "http://gone.example/a", now_s=0.0) is None


def test_a_refused_url_ends_with_its_kind() -> None:
    assert _kind(RequestGate(NetworkSettings()), "http://10.0.0.1/", now_s=0.0) is ErrorKind.FORBIDDEN_ADDRESS


def test_a_name_that_does_not_exist_is_reached_where_the_operator_leads_it() -> None:
    gate = RequestGate(NetworkSettings(connect_to={"gone.example:443": "127.0.0.1:1"}))
    destination = gate.admit(get(1, "http://gone.example/a"), now_s=0.0)
    assert isinstance(destination, Destination)
    gate.note(destination, NO_SUCH_NAME, now_s=0.0)
    assert _kind(gate, "http://gone.example/a", now_s=0.0) is ErrorKind.DNS
    assert _kind(gate, "https://gone.example/a", now_s=0.0) is None


def test_a_host_that_is_led_elsewhere_on_one_port_is_remembered_for_the_other_alone() -> None:
    gate = RequestGate(NetworkSettings(connect_to={"half.example:80": "gone.example:8080"}))
    led = gate.admit(get(1, "http://half.example/a"), now_s=0.0)
    own = gate.admit(get(1, "https://half.example/a"), now_s=0.0)
    assert isinstance(led, Destination)
    assert isinstance(own, Destination)
    missing = FetchResult(1, ErrorKind.DNS, dns_failure=DnsFailure.NO_SUCH_NAME)
    gate.note(led, missing, now_s=0.0)
    assert isinstance(gate.admit(get(1, "https://half.example/a"), now_s=1.0), Destination), "it is another name"
    gate.note(own, missing, now_s=0.0)
    assert isinstance(gate.admit(get(1, "https://half.example/a"), now_s=1.0), FetchResult)
    assert isinstance(gate.admit(get(1, "http://half.example/a"), now_s=1.0), Destination)
