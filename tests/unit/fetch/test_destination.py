from __future__ import annotations

import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.destination import ConnectTo, Destination, Destinations, RefusedUrlError
from ray_downloader.partition.server_key import RequestUrl


def test_the_most_specific_key_counts() -> None:
    connect_to = ConnectTo({"*": "any:1", "*:443": "port:2", "a.example:*": "host:3", "A.example:443": "both:4"})
    assert connect_to.target("a.example", 443) == ("both", 4)
    assert connect_to.target("a.example", 80) == ("host", 3)
    assert connect_to.target("b.example", 443) == ("port", 2)
    assert connect_to.target("b.example", 80) == ("any", 1)


@pytest.mark.parametrize("key", ["a.example", "a.example:*", "a.example:", "*:80", ":80", "*:*", ":", "*"])
def test_wildcards_may_be_written_as_stars_or_left_out(key: str) -> None:
    assert ConnectTo({key: "127.0.0.1:8080"}).target("a.example", 80) == ("127.0.0.1", 8080)


def test_ipv6_hosts_are_written_in_brackets() -> None:
    connect_to = ConnectTo({"[2606::1]:80": "[::1]:8080", "[2606::2]": "[::1]:9090"})
    assert connect_to.target("2606::1", 80) == ("::1", 8080)
    assert connect_to.target("2606::2", 443) == ("::1", 9090)


def test_what_no_key_names_goes_where_it_always_goes() -> None:
    assert ConnectTo({"a.example:80": "x:1"}).target("a.example", 443) is None
    assert ConnectTo(None).target("a.example", 80) is None


def test_a_public_name_is_resolved_here_and_guarded() -> None:
    destination = Destinations(NetworkSettings()).of(RequestUrl.parse("https://A.example/x"))
    assert (destination.host, destination.port, destination.connects_to) == ("a.example", 443, None)
    assert destination.is_guarded
    assert destination.is_resolved_here


def test_what_the_operator_named_is_not_guarded() -> None:
    destinations = Destinations(NetworkSettings(connect_to={"10.0.0.1:80": "127.0.0.1:8080"}))
    destination = destinations.of(RequestUrl.parse("http://10.0.0.1/x"))
    assert destination.connects_to == ("127.0.0.1", 8080)
    assert not destination.is_guarded
    assert not destination.is_resolved_here


@pytest.mark.parametrize(
    ("connect_to", "line"),
    [(None, ":::"), ({"*": "127.0.0.1:80"}, "::127.0.0.1:80"), ({"*": "[::1]:80"}, "::[::1]:80")],
)
def test_curl_is_told_where_to_connect(connect_to: dict[str, str] | None, line: str) -> None:
    destination = Destinations(NetworkSettings(connect_to=connect_to)).of(RequestUrl.parse("http://a.example/"))
    assert destination.curl_connect_to() == line


def test_a_private_address_is_refused_also_behind_a_proxy() -> None:
    for network in (NetworkSettings(), NetworkSettings(proxy="http://proxy:3128")):
        with pytest.raises(RefusedUrlError) as refusal:
            Destinations(network).of(RequestUrl.parse("http://169.254.169.254/latest"))
        assert refusal.value.kind is ErrorKind.FORBIDDEN_ADDRESS


def test_a_private_address_is_fine_where_allowed() -> None:
    destination = Destinations(NetworkSettings(allow_private_addresses=True)).of(
        RequestUrl.parse("http://10.0.0.1:8080/x")
    )
    assert (destination.port, destination.is_guarded) == (8080, False)


@pytest.mark.parametrize("host", ["93.184.216.34", "[2606:4700::1111]"])
def test_a_public_address_in_a_url_is_a_destination_like_any_other(host: str) -> None:
    destination = Destinations(NetworkSettings()).of(RequestUrl.parse(f"http://{host}:8080/a.jpg"))
    assert (destination.host, destination.port) == (host.strip("[]"), 8080)
    assert destination.is_guarded
    assert destination.is_resolved_here


def test_a_refusal_says_what_is_wrong() -> None:
    with pytest.raises(RefusedUrlError, match=r"10\.0\.0\.1 is not on the public internet"):
        Destinations(NetworkSettings()).of(RequestUrl.parse("http://10.0.0.1/"))


def test_a_name_that_a_proxy_looks_up_is_guarded_by_what_it_says() -> None:
    destination = Destinations(NetworkSettings(proxy="http://proxy:3128")).of(RequestUrl.parse("https://museum.org/"))
    assert (destination.is_guarded, destination.is_resolved_here) == (True, False)


def test_a_single_label_is_not_handed_to_a_proxy_which_may_complete_it() -> None:
    url = RequestUrl.parse("http://metadata/computeMetadata/v1/")
    proxy = "http://proxy:3128"
    with pytest.raises(RefusedUrlError, match="metadata is not on the public internet"):
        Destinations(NetworkSettings(proxy=proxy)).of(url)
    for network in (NetworkSettings(), NetworkSettings(proxy=proxy, allow_private_addresses=True)):
        assert Destinations(network).of(url).host == "metadata"


@pytest.mark.parametrize(
    ("connects_to", "endpoint", "line"),
    [
        (None, ("a.example", 443), ":::"),
        (("b.example", 8443), ("b.example", 8443), "::b.example:8443"),
        (("::1", 80), ("::1", 80), "::[::1]:80"),
    ],
    ids=["nowhere else", "elsewhere", "IPv6"],
)
def test_a_connection_is_made_to_the_host_itself_or_to_what_the_operator_named(
    connects_to: tuple[str, int] | None, endpoint: tuple[str, int], line: str
) -> None:
    destination = Destination("a.example", 443, connects_to, connects_to is None, connects_to is None)
    assert (destination.endpoint, destination.curl_connect_to()) == (endpoint, line)
