"""The demo's servers, asked over real loopback connections."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ray_downloader.demo import DemoSite, expected_results, running_demo
from ray_downloader.demo.listing import listed_rows


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


def connect(site: DemoSite, server: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(site.connect_to[server], timeout=10)


def test_the_list_lies_where_the_site_says(site: DemoSite) -> None:
    assert {path.name for path in site.path_to_input.iterdir()} == {"multimedia.txt", "occurrence.txt"}


def test_every_server_has_an_address_of_its_own_on_loopback(site: DemoSite) -> None:
    assert len(set(site.connect_to.values())) == len(site.servers)
    assert all(address.startswith("127.0.0.1:") for address in site.connect_to.values())


def test_a_connection_serves_several_pictures(site: DemoSite) -> None:
    connection = connect(site, "images.museum.example:80")
    for number in range(3):
        connection.request("GET", f"/images/{number:05d}.jpeg", headers={"Host": "images.museum.example"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:2]) == (200, b"\xff\xd8")
    connection.close()


def test_a_non_ascii_host_is_reached_by_its_ascii_name(site: DemoSite) -> None:
    host = next(server.ascii_host for server in site.servers if server.host != server.ascii_host)
    connection = connect(site, f"{host}:80")
    connection.request("GET", "/images/00001.webp", headers={"Host": host})
    assert connection.getresponse().status == 200
    connection.close()


def test_a_dead_port_refuses(site: DemoSite) -> None:
    connection = connect(site, "gone.collection.example:80")
    with pytest.raises(ConnectionRefusedError):
        connection.request("GET", "/")


def test_some_pictures_are_hung_up_on_at_first(site: DemoSite) -> None:
    host = "digital.botanicgarden.example"
    statuses = []
    for _ in range(2):
        connection = connect(site, f"{host}:80")
        connection.request("GET", "/images/00010.jpeg", headers={"Host": host})
        try:
            statuses.append(connection.getresponse().status)
        except http.client.RemoteDisconnected:
            statuses.append(0)
        connection.close()
    assert statuses == [0, 200]


def test_expectations_cover_every_row() -> None:
    kinds, reasons = expected_results()
    assert kinds.total() + reasons.total() == len(listed_rows())
    assert kinds[""] > 1_500


def test_the_servers_end_with_whoever_started_them_even_when_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from ray_downloader.demo import running_demo\n"
        "with running_demo(pathlib.Path(sys.argv[1])):\n"
        "    print('up', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"up\n"
        servers = psutil.Process(parent.pid).children()
        os.kill(parent.pid, signal.SIGKILL)
    assert len(servers) == 1
    psutil.wait_procs(servers, timeout=10)
    assert not servers[0].is_running()
