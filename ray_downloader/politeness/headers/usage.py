"""What a server states about uses of its files, beside whether they may be fetched. Pure.

- `Content-Usage`, header and lines of robots.txt (IETF AIPREF: draft-ietf-aipref-attach, draft-ietf-aipref-vocab):
  `train-ai=n`; in robots.txt possibly for a path: `Content-Usage: /art/ train-ai=n`.
- `Content-Signal` in robots.txt (Cloudflare, since 2025): `ai-train=no`; also read as a header.
- `tdm-reservation` and `tdm-policy` (TDMRep of the W3C's community group), headers and `/.well-known/tdmrep.json`.
- `X-Robots-Tag`, or `Robots-Tag` as its successor may be called: `noai`, `noimageai`, `noml`.
- `License:` lines of robots.txt and `Link: <...>; rel="license"; type="application/rsl+xml"` (RSL 1.0): where the terms
  are; a price or permission is nothing that we can decide.

All of it is recorded (column `usage`); `politeness.opt_out=strict` leaves out what is reserved.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ray_downloader.politeness.headers.x_robots_tag import find_opt_out

#: Directives of `X-Robots-Tag` that speak of machine learning, beside those of `politeness.opt_out_directives`.
STRICT_DIRECTIVES = ("noai", "noimageai", "noml")
#: Uses whose refusal reserves a file; the more specific one decides if a statement has several.
_TRAINING = ("train-ai", "ai-train", "train-genai", "genai", "tdm", "ai", "bots", "all")
#: The names under which preferences are stated, in headers and in robots.txt.
_PREFERENCES = ("content-usage", "content-signal")
_REFUSED = frozenset({"n", "no", "?0", "0", "false"})
_MAX_STATEMENT = 200
_LINE = re.compile(r"^\s*([A-Za-z-]+)\s*:\s*(.*?)\s*(?:#.*)?$")
_ESCAPED = re.compile(r"%([0-9a-fA-F]{2})")
_UNRESERVED = frozenset(f"{string.ascii_letters}{string.digits}-._~")
_PATH = re.compile(r"([/*]\S*)\s+(.+)")
#: A link of a `Link` header to terms in RSL.
_RSL_LINK = re.compile(r"<([^>]*)>(?=[^<]*rel=\"?license\b)(?=[^<]*application/rsl\+xml)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Usage:
    """Statements about one file, and the first of them that reserves it, if one does."""

    statements: tuple[str, ...] = ()
    reserved_by: str = ""

    @property
    def text(self) -> str | None:
        """All statements, as the column `usage` has them."""
        return "; ".join(self.statements) or None

    def __add__(self, other: Usage) -> Usage:
        statements = tuple(dict.fromkeys((*self.statements, *other.statements)))
        return Usage(statements, self.reserved_by or other.reserved_by)


def usage_of_headers(headers: Mapping[str, str], product_token: str) -> Usage:
    """What the headers of an answer state; they have lower-case names, repeated ones as lines."""
    usage = Usage()
    for name in _PREFERENCES:
        if preference := headers.get(name):
            usage += _preference(name, preference)
    if (reservation := headers.get("tdm-reservation")) is not None:
        statement = _statement("tdm-reservation", reservation)
        is_reserved = "1" in re.split(r"[\s,]+", reservation)
        usage += Usage((statement,), statement if is_reserved else "")
    if policy := headers.get("tdm-policy"):
        usage += Usage((_statement("tdm-policy", policy),))
    for terms in _RSL_LINK.findall(headers.get("link", "")):
        usage += Usage((_statement("license", terms),))
    if tag := robots_tag(headers):
        directive = find_opt_out(tag, STRICT_DIRECTIVES, product_token)
        usage += Usage((_statement("x-robots-tag", tag),), f"x-robots-tag: {directive}" if directive else "")
    return usage


def robots_tag(headers: Mapping[str, str]) -> str | None:
    """`X-Robots-Tag`, and the same without its `X-`, as lines of one value."""
    return "\n".join(headers[name] for name in ("x-robots-tag", "robots-tag") if name in headers) or None


class TdmRepFile:
    """What a server's `/.well-known/tdmrep.json` reserves: rules in order, of which the first that fits a path counts.

    Args:
        text: The file; without rules in it, as TDMRep defines them, nothing is reserved.
    """

    def __init__(self, text: str = "") -> None:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        rules = document if isinstance(document, list) else [document]
        self._rules = [(str(rule["location"]), _tdm_rule(rule)) for rule in rules if _is_tdm_rule(rule)]

    def of(self, path: str) -> Usage:
        """What it states about a path."""
        return next((usage for pattern, usage in self._rules if _fits(pattern, path)), Usage())


def _is_tdm_rule(rule: object) -> bool:
    return isinstance(rule, dict) and "tdm-reservation" in rule and isinstance(rule.get("location"), str)


def _tdm_rule(rule: Mapping[str, object]) -> Usage:
    reservation, policy = rule["tdm-reservation"], rule.get("tdm-policy")
    statement = _statement("tdmrep.json tdm-reservation", str(reservation))
    usage = Usage((statement,), statement if reservation is True or str(reservation).strip() == "1" else "")
    return usage + Usage((_statement("tdm-policy", policy),)) if isinstance(policy, str) and policy else usage


class RobotsUsage:
    """What a robots.txt states about uses of files.

    Args:
        text: The file.
        product_token: The name in our User-Agent; a group that names it counts instead of the one for everybody.
    """

    def __init__(self, text: str, product_token: str) -> None:
        self._everywhere = Usage()
        self._rules: list[tuple[str, Usage]] = []
        ours: list[tuple[str, Usage]] = []
        names_us = False
        for agents, name, value in _lines(text):
            if name == "license":
                self._everywhere += Usage((_statement("license", value),))
                continue
            is_us = any(_names(agent, product_token) for agent in agents)
            names_us |= is_us
            if name in _PREFERENCES and (is_us or not agents or "*" in agents):
                found = _PATH.fullmatch(value)
                path, preference = found.groups() if found else ("", value)
                (ours if is_us else self._rules).append((path, _preference(f"robots.txt {name}", preference)))
        if names_us:
            self._rules = ours

    def of(self, path: str) -> Usage:
        """What it states about a path: its most specific rules, and what holds for the whole server."""
        fitting = [(pattern, usage) for pattern, usage in self._rules if _fits(pattern, path)]
        longest = max((len(pattern) for pattern, _ in fitting), default=0)
        usage = self._everywhere
        for pattern, one in fitting:
            if len(pattern) == longest:
                usage += one
        return usage


def _lines(text: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Lines in order, as the agents of their group, name and value; `User-agent` lines too."""
    agents: list[str] = []
    begins = False
    for line in text.splitlines():
        found = _LINE.match(line)
        if not found or not found[2]:
            continue
        name, value = found[1].lower(), found[2]
        if name == "user-agent":
            agents = [*(agents if begins else []), value.lower()]
        begins = name == "user-agent"
        yield tuple(agents), name, value


def _names(agent: str, product_token: str) -> bool:
    return agent.partition("/")[0].strip().replace("-", "_") == product_token.lower().replace("-", "_")


def _fits(pattern: str, path: str) -> bool:
    path = _comparable(path)
    expression = re.escape(_comparable(pattern)).replace(r"\*", ".*")
    expression = f"{expression[:-2]}$" if expression.endswith(r"\$") else expression
    return bool(re.match(expression, path))


def _comparable(path: str) -> str:
    """A path in one of the forms that mean the same (RFC 9309 section 2.2.2): `/a%2fä` as `/a%2F%C3%A4`."""
    return _ESCAPED.sub(_unescaped, quote(path, safe=string.punctuation))


def _unescaped(escaped: re.Match[str]) -> str:
    character = chr(int(escaped[1], 16))
    return character if character in _UNRESERVED else escaped[0].upper()


def _preference(name: str, value: str) -> Usage:
    statement = _statement(name, value)
    stated = dict(_pairs(value))
    decisive = next((stated[use] for use in _TRAINING if use in stated), "")
    return Usage((statement,), statement if decisive in _REFUSED else "")


def _pairs(value: str) -> Iterable[tuple[str, str]]:
    for part in re.split(r"[,\n]", value.lower()):
        use, equals, answer = part.partition(";")[0].partition("=")
        if equals:
            yield use.strip(), answer.strip().strip('"')


def _statement(name: str, value: str) -> str:
    return f"{name}: {' '.join(value.split())[:_MAX_STATEMENT]}"
