"""Headers that may be secrets: where they come from, who gets them, and that no file or message holds them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.legacy_environment import legacy_environment
from ray_downloader.config.secrets import SecretHeaders, proxy_variable, secret_variables, with_secret_proxy
from ray_downloader.config.settings import REDACTED, Settings
from ray_downloader.errors import UserError

SECRET = "Bearer s3cret"


def settings(header: object = None, *rules: dict[str, Any]) -> Settings:
    return Settings.from_config(
        {
            "path_to_input": "list.txt",
            "path_to_output": "out",
            "downloader_parameters": {"header": header},
            "politeness": {"rules": list(rules)},
        }
    )


def of_file(given: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "settings.json").write_text(given.to_json(), "utf-8")
    return Settings.load(tmp_path / "settings.json")


def test_the_header_of_the_configuration_goes_to_every_server_of_the_list() -> None:
    secrets = SecretHeaders.read(settings(f"authorization:  {SECRET} "), {})
    assert secrets.of("a.example") == secrets.of("b.example:8080") == {"authorization": SECRET}


@pytest.mark.parametrize("header", [None, True, False])
def test_a_header_row_is_no_header(header: bool | None) -> None:
    assert SecretHeaders.read(settings(header), {"DOWNLOADER_HEADER": "True"}).of("a.example") == {}


def test_no_file_and_no_message_holds_the_secret(tmp_path: Path) -> None:
    given = settings(f"Authorization: {SECRET}", {"server": "a.example", "headers_env": {"X-Key": "MY_KEY"}})
    secrets = SecretHeaders.read(given, {"MY_KEY": "s3cret-key"})
    for shown in (given.to_json(), repr(given), str(given), repr(secrets), repr(given.downloader_parameters)):
        assert "s3cret" not in shown
    assert json.loads(given.to_json())["downloader_parameters"]["header"] == "Authorization: [redacted]"


def test_other_processes_have_it_from_the_environment(tmp_path: Path) -> None:
    given = settings(f"Authorization: {SECRET}")
    environment = legacy_environment(given, tmp_path / "settings.json")
    handed_on = secret_variables(given, environment)
    assert handed_on == {"DOWNLOADER_HEADER": f"Authorization: {SECRET}"}
    elsewhere = of_file(given, tmp_path)
    assert SecretHeaders.read(elsewhere, handed_on).of("a.example") == {"Authorization": SECRET}
    assert pickle.loads(pickle.dumps(elsewhere)) == elsewhere
    with pytest.raises(UserError, match="DOWNLOADER_HEADER"):
        SecretHeaders.read(elsewhere, {})


def test_a_rules_headers_come_from_the_variables_that_it_names() -> None:
    given = settings(
        "X-All: 1",
        {"server": "private.example", "headers_env": {"Authorization": "MY_TOKEN", "x-all": "OTHER"}},
        {"server": "*.example", "headers_env": {"Authorization": "OTHER", "X-More": "OTHER"}},
        {"server": "plain.example", "rate_rps": 1},
    )
    environ = {"MY_TOKEN": f" {SECRET} ", "OTHER": "2", "UNRELATED": "3"}
    secrets = SecretHeaders.read(given, environ)
    assert secrets.of("private.example") == {"Authorization": SECRET, "x-all": "2", "X-More": "2"}
    assert secrets.of("b.example") == {"Authorization": "2", "X-More": "2", "X-All": "1"}
    assert secrets.of("elsewhere.org") == {"X-All": "1"}
    assert set(secret_variables(given, environ)) == {"MY_TOKEN", "OTHER"}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "Authorization from the environment variable MY_TOKEN, which is not set"),
        ({"MY_TOKEN": "  "}, "MY_TOKEN, which is not set"),
        ({"MY_TOKEN": "s3cret\nX: y"}, "MY_TOKEN has a character"),
        ({"MY_TOKEN": "s3cret\u2603"}, "MY_TOKEN has a character"),
    ],
)
def test_a_variable_that_cannot_be_sent_is_named_and_not_shown(environ: dict[str, str], message: str) -> None:
    given = settings(None, {"server": "a.example", "headers_env": {"Authorization": "MY_TOKEN"}})
    with pytest.raises(UserError, match=message) as raised:
        SecretHeaders.read(given, environ)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("Authorization s3cret", '"Name: value"'),
        ("s3cret", '"Name: value"'),
        ("Authorization:", '"Name: value"'),
        ("Bad name: s3cret", "letters, digits and hyphens"),
        (": s3cret", "letters, digits and hyphens"),
        ("A: s3cret\r\nB: c", '"Name: value"'),
        ("User-Agent: s3cret", "politeness.contact"),
        ("host: s3cret", "host is set by the program itself"),
        ("Range: s3cret", "Range is set by the program itself"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_and_not_shown(header: str, advice: str) -> None:
    with pytest.raises(UserError, match=r"downloader_parameters\.header") as raised:
        settings(header)
    assert advice in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("variables", [{"Authorization": "Bearer s3cret"}, {"Host": "NAME"}, {"a b": "NAME"}])
def test_a_secret_in_the_place_of_a_name_is_refused_and_not_shown(variables: dict[str, str]) -> None:
    with pytest.raises(UserError, match="headers_env") as raised:
        settings(None, {"server": "a.example", "headers_env": variables})
    assert "s3cret" not in str(raised.value)


def test_cookie_has_one_spelling() -> None:
    assert SecretHeaders.read(settings("cookie: a=1"), {}).of("a.example") == {"Cookie": "a=1"}


def with_proxy(proxy: str) -> Settings:
    return Settings.from_config({"path_to_input": "list.txt", "path_to_output": "out", "network": {"proxy": proxy}})


@pytest.mark.parametrize(
    ("proxy", "saved"),
    [
        ("http://user:s3cret@proxy:3128", f"http://{REDACTED}@proxy:3128"),
        ("user:s3@cret@proxy:3128", f"{REDACTED}@proxy:3128"),
        ("socks5h://user@proxy", f"socks5h://{REDACTED}@proxy"),
        ("http://proxy:3128", "http://proxy:3128"),
    ],
)
def test_the_password_of_a_proxy_travels_beside_the_settings(tmp_path: Path, proxy: str, saved: str) -> None:
    given = with_proxy(proxy)
    assert "s3" not in repr(given) + given.to_json()
    loaded = of_file(given, tmp_path)
    assert loaded.network.proxy == saved
    environ = proxy_variable(given)
    assert secret_variables(given, environ) == environ
    assert with_secret_proxy(loaded, environ).network.proxy == proxy
    if saved != proxy:
        with pytest.raises(UserError, match="RAY_DOWNLOADER_PROXY"):
            with_secret_proxy(loaded, {})
