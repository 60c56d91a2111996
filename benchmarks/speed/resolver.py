"""A DNS server on loopback that counts what it is asked: names that begin with `gone` do not exist, others are here."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_A = 1
_NXDOMAIN = 0x8183
_FOUND = 0x8180
ADDRESS = "127.0.0.1"


@dataclass(slots=True)
class Queries:
    """What was asked: time, name and record type (1: A, 28: AAAA), in order of arrival."""

    asked: list[tuple[float, str, int]] = field(default_factory=list)


@contextmanager
def counting_resolver(address: str) -> Iterator[Queries]:
    """A resolver on port 53 of `address`, for as long as the `with` block lasts (needs the right to open that port)."""
    queries = Queries()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        server.settimeout(0.2)
        is_over = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, queries, is_over))
        thread.start()
        try:
            yield queries
        finally:
            is_over.set()
            thread.join()


def _serve(server: socket.socket, queries: Queries, is_over: threading.Event) -> None:
    while not is_over.is_set():
        try:
            packet, client = server.recvfrom(2048)
        except TimeoutError:
            continue
        name, end = _name(packet)
        (kind,) = struct.unpack_from(">H", packet, end)
        queries.asked.append((time.monotonic(), name, kind))
        server.sendto(_answer(packet[:2], packet[12 : end + 4], name, kind), client)


def _name(packet: bytes) -> tuple[str, int]:
    """The name of the first question, and where it ends."""
    labels, at = [], 12
    while length := packet[at]:
        labels.append(packet[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def _answer(identity: bytes, question: bytes, name: str, kind: int) -> bytes:
    is_gone = name.startswith("gone")
    has_record = kind == _A and not is_gone
    header = identity + struct.pack(">HHHHH", _NXDOMAIN if is_gone else _FOUND, 1, int(has_record), 0, 0)
    record = struct.pack(">HHHLH", 0xC00C, _A, 1, 3600, 4) + socket.inet_aton(ADDRESS)
    return header + question + (record if has_record else b"")
