"""The list of a soak: 20 servers, each of which misbehaves in its own way, and how each row may end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SERVERS = 20
#: What follows the host, and the kinds in which such a row may end ("" is a picture). Trouble that passes may also be
#: over before the row is asked again, or the server may be given up while it lasts.
BEHAVIOURS: dict[str, tuple[str, frozenset[str]]] = {
    "picture": ("photo/{n}.jpg", frozenset({""})),
    "missing": ("status/404/{n}.jpg", frozenset({"http_4xx"})),
    "broken": ("status/500/{n}.jpg", frozenset({"http_5xx", "server_refused"})),
    # Beside the pictures in the sorted list: neighbours that are refused at their first visit are simulated worlds.
    "flaky": ("photo/{n}.jpg?fail=1&status=503", frozenset({"", "http_5xx", "server_refused"})),
    "late": ("delay/{n}.jpg?s=2", frozenset({""})),
    "redirected": ("redirect/{n}.jpg?to=/photo/{n}r.jpg", frozenset({""})),
    "looping": ("loop/{n}.jpg", frozenset({"redirect_loop"})),
    "resetting": ("reset/{n}.jpg", frozenset({"reset", "server_dead", "server_refused"})),
    "torn": ("short/{n}.jpg", frozenset({"truncated", "server_refused"})),
    "chunks": ("broken-chunked/{n}.jpg", frozenset({"reset", "truncated", "server_refused"})),
    "page": ("html/{n}.jpg", frozenset({"not_image"})),
    "empty": ("empty/{n}.jpg", frozenset({"empty", "server_refused"})),
    "packed": ("gzip-encoded/{n}.jpg", frozenset({""})),
    "garbage": ("garbage/{n}.jpg", frozenset({"reset", "server_dead", "server_refused"})),
}
#: One row in so many is a misbehaviour; the rest are pictures.
ONE_IN = 10


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row, and the kinds in which it may end."""

    url: str
    may_end: frozenset[str]


def rows(per_server: int) -> Iterator[ListedRow]:
    """All rows; each server has pictures and two misbehaviours of its own."""
    names = list(BEHAVIOURS)[1:]
    for server in range(SERVERS):
        own = (names[server % len(names)], names[(server * 5 + 3) % len(names)])
        for number in range(per_server):
            name = own[number // ONE_IN % 2] if number % ONE_IN == 0 else "picture"
            path, may_end = BEHAVIOURS[name]
            yield ListedRow(f"http://s{server:02}.example/{path.format(n=number)}", may_end)
