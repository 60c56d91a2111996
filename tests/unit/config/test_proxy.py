"""A proxy of the environment is named, not followed."""

from __future__ import annotations

import pytest

from ray_downloader.config.proxy import warn_of_unused_proxy
from ray_downloader.config.settings import NetworkSettings


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
def test_it_is_said_once_with_the_key_to_set(name: str, caplog: pytest.LogCaptureFixture) -> None:
    warn_of_unused_proxy(NetworkSettings(), {name: "http://user:secret@proxy:3128", "no_proxy": "*"})
    (line,) = [record.message for record in caplog.records]
    assert name in line and "network.proxy=" in line and "secret" not in line


@pytest.mark.parametrize(
    ("network", "environ"),
    [
        (NetworkSettings(), {"http_proxy": ""}),
        (NetworkSettings(proxy="http://proxy:1"), {"http_proxy": "http://proxy:1"}),
    ],
)
def test_there_is_nothing_to_say_otherwise(
    network: NetworkSettings, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_unused_proxy(network, environ)
    assert not caplog.records
