"""Request headers that may be secrets: one for the whole list (`downloader_parameters.header`), others by rule.

A secret appears in no file and in no message. It reaches worker processes through the environment: a rule names
variables (`headers_env`), and the one header of the configuration travels as `DOWNLOADER_HEADER`, a variable that
distributed-downloader promises as well, while `settings.json` only has its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ray_downloader.config.settings import REDACTED, Settings
from ray_downloader.errors import UserError

#: Carries `downloader_parameters.header` to worker processes (`legacy_environment`).
HEADER_VARIABLE = "DOWNLOADER_HEADER"
PROXY_VARIABLE = "RAY_DOWNLOADER_PROXY"


@dataclass(frozen=True, slots=True)
class SecretHeaders:
    """The headers of requests for rows of the list, by server.

    Args:
        everywhere: Headers for every server of the list.
        by_rule: Globs over servers with the headers for them; the first that names a header counts.
    """

    everywhere: Mapping[str, str] = field(default_factory=dict, repr=False)
    by_rule: tuple[tuple[str, Mapping[str, str]], ...] = field(default=(), repr=False)

    @classmethod
    def read(cls, settings: Settings, environ: Mapping[str, str]) -> SecretHeaders:
        """The headers of a run.

        Raises:
            UserError: A named variable is not set, or contains what cannot be a header.
        """
        rules = settings.politeness.rules or ()
        by_rule = [(rule.server, _of_variables(rule.headers_env, environ)) for rule in rules if rule.headers_env]
        return cls(_everywhere(settings, environ), tuple(by_rule))

    def __bool__(self) -> bool:
        return bool(self.everywhere or self.by_rule)

    def of(self, server: str) -> Mapping[str, str]:
        """Headers for requests to a server of the list; a rule overrides the header for all."""
        if not self.by_rule:
            return self.everywhere
        found: dict[str, str] = {}
        matching = (headers for glob, headers in self.by_rule if fnmatchcase(server, glob))
        for headers in (*matching, self.everywhere):
            present = {name.lower() for name in found}
            found |= {name: value for name, value in headers.items() if name.lower() not in present}
        return found


def with_secret_proxy(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings of a file, with the user and password of the proxy that the file lacks.

    Raises:
        UserError: The variable in which they travel is not set.
    """
    proxy = settings.network.proxy
    if proxy is None or REDACTED not in proxy:
        return settings
    given = environ.get(PROXY_VARIABLE)
    if not given:
        raise UserError(
            f"network.proxy: the environment variable {PROXY_VARIABLE}, in which the password of the proxy travels to "
            "other processes, is not set in this process"
        )
    return settings.model_copy(update={"network": settings.network.model_copy(update={"proxy": given})})


def proxy_variable(settings: Settings) -> dict[str, str]:
    """The variable in which the proxy travels to processes that read `settings.json`, if it has a password."""
    proxy = settings.network.proxy
    return {PROXY_VARIABLE: proxy} if proxy is not None and "@" in proxy else {}


def secret_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a process needs to send the run's headers."""
    named = {variable for rule in settings.politeness.rules or () for variable in (rule.headers_env or {}).values()}
    if isinstance(settings.downloader_parameters.header, str):
        named.add(HEADER_VARIABLE)
    if settings.network.proxy is not None and "@" in settings.network.proxy:
        named.add(PROXY_VARIABLE)
    return {variable: environ[variable] for variable in sorted(named) if variable in environ}


def _everywhere(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    header = settings.downloader_parameters.header
    if not isinstance(header, str):
        return {}
    name, _, value = (part.strip() for part in header.partition(":"))
    if value != REDACTED:
        return {name: value}
    given = environ.get(HEADER_VARIABLE, "").partition(":")[2].strip()
    if not given:
        raise UserError(
            f"downloader_parameters.header: the environment variable {HEADER_VARIABLE}, in which the value of {name} "
            "travels to other processes, is not set in this process"
        )
    return {name: given}


def _of_variables(variables: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    headers = {}
    for name, variable in variables.items():
        value = environ.get(variable, "").strip()
        if not value:
            raise UserError(
                f"politeness.rules: headers_env takes {name} from the environment variable {variable}, which is not "
                f"set; export {variable}=... before the run"
            )
        if not re.fullmatch(r"[ -~\xa0-\xff]+", value):
            raise UserError(
                f"politeness.rules: the environment variable {variable} has a character that a header cannot contain"
            )
        headers[name] = value
    return headers
