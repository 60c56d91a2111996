"""Every misbehaviour of a server, one function each, chosen by the first segment of the path.

What follows the first segment is free, so that URLs can be made distinct: `/status/503/a.jpg?retry_after=1`.
A path that names no misbehaviour is answered with a picture.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable

from tests.support.exchange import Exchange
from tests.support.manifests import collection, manifest
from tests.support.pictures import jpeg_of

Route = Callable[[Exchange], Awaitable[None]]

COOKIE = "Set-Cookie: also=2; Path=/"


async def picture(exchange: Exchange) -> None:
    """A JPEG that depends on the path; 304 for those who have it. With ?fail=n as /flaky."""
    if exchange.visits <= exchange.number("fail", 0):
        exchange.answer(int(exchange.number("status", 503)), b"not yet", "text/plain")
        return
    etag = f'"{zlib.crc32(exchange.path.encode()):x}"'
    validators = {"ETag": etag, "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"}
    if exchange.headers.get("if-none-match") == etag:
        exchange.answer(304, headers=validators)
    else:
        exchange.answer(body=jpeg_of(exchange.path), headers=validators)


async def changing(exchange: Exchange) -> None:
    """/changing: another picture, with another ETag, at each visit."""
    validators = {"ETag": f'"visit-{exchange.visits}"'}
    exchange.answer(body=jpeg_of(f"{exchange.path}{exchange.visits}"), headers=validators)


async def vague(exchange: Exchange) -> None:
    """/vague: the picture, with nothing by which to ask whether it has changed."""
    exchange.answer(body=jpeg_of(exchange.path))


async def status(exchange: Exchange) -> None:
    """/status/CODE?retry_after=: that status, with a small page."""
    code = int(exchange.path.split("/")[2])
    wait = exchange.query.get("retry_after")
    body = b"" if code in {204, 304} else b"<html>status</html>"
    exchange.answer(code, body, "text/html", {"Retry-After": wait} if wait else None)


async def flaky(exchange: Exchange) -> None:
    """/flaky?fail=n&status=CODE: the first n visits of this very URL fail, later ones get the picture."""
    exchange.query.setdefault("fail", "1")
    await picture(exchange)


async def delay(exchange: Exchange) -> None:
    """/delay?s=: the picture, late."""
    await asyncio.sleep(exchange.number("s", 1))
    await picture(exchange)


async def drip(exchange: Exchange) -> None:
    """/drip?interval_s=: headers at once, then one byte at a time."""
    body = jpeg_of(exchange.path)
    exchange.start(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(body))})
    for index in range(len(body)):
        exchange.writer.write(body[index : index + 1])
        await exchange.writer.drain()
        await asyncio.sleep(exchange.number("interval_s", 0.1))


async def drip_headers(exchange: Exchange) -> None:
    """/drip-headers?interval_s=: even the headers come one byte at a time, without end."""
    exchange.writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not exchange.writer.is_closing():
        exchange.writer.write(b"x")
        await exchange.writer.drain()
        await asyncio.sleep(exchange.number("interval_s", 0.05))


async def drop(exchange: Exchange) -> None:
    """/drop: half of the announced body, then the connection is closed."""
    body = jpeg_of(exchange.path)
    exchange.start(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(body))})
    exchange.writer.write(body[: len(body) // 2])
    exchange.leave()


async def short(exchange: Exchange) -> None:
    """/short: a whole picture, but Content-Length promised 100 bytes more."""
    body = jpeg_of(exchange.path)
    exchange.start(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(body) + 100)})
    exchange.writer.write(body)
    exchange.leave()


async def no_answer(exchange: Exchange) -> None:
    """/no-answer: the connection is closed politely instead of an answer."""
    exchange.leave()


async def reset(exchange: Exchange) -> None:
    """/reset: a TCP reset instead of an answer."""
    exchange.reset()


async def reset_midway(exchange: Exchange) -> None:
    """/reset-midway: half of the body, then a TCP reset."""
    body = jpeg_of(exchange.path)
    exchange.start(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(body))})
    exchange.writer.write(body[: len(body) // 2])
    await exchange.writer.drain()
    await asyncio.sleep(0.1)  # else the reset overtakes what was written
    exchange.reset()


async def hang(exchange: Exchange) -> None:
    """/hang: no answer, ever."""
    await exchange.until_client_leaves()


async def hang_after_headers(exchange: Exchange) -> None:
    """/hang-after-headers: headers, then nothing."""
    exchange.start(200, {"Content-Type": "image/jpeg", "Content-Length": "1000"})
    await exchange.until_client_leaves()


async def redirect(exchange: Exchange) -> None:
    """/redirect?n=&to=&status=: n hops, then to `to` (which may be relative or absolute)."""
    hops = int(exchange.number("n", 1))
    target = exchange.query.get("to", "/picture.jpg")
    location = target if hops <= 1 else f"/redirect?n={hops - 1}&to={target}"
    exchange.answer(int(exchange.number("status", 302)), b"moved", "text/plain", {"Location": location})


async def loop(exchange: Exchange) -> None:
    """/loop: a redirect to itself."""
    exchange.answer(302, b"", "text/plain", {"Location": exchange.target})


async def large(exchange: Exchange) -> None:
    """/large?bytes=&chunked=1: that many bytes, announced by Content-Length or chunked without announcement."""
    size_bytes = int(exchange.number("bytes", 1_000_000))
    if "chunked" not in exchange.query:
        exchange.answer(body=b"\xff" * size_bytes)
        return
    exchange.start(200, {"Content-Type": "image/jpeg", "Transfer-Encoding": "chunked"})
    for offset in range(0, size_bytes, 16384):
        part = b"\xff" * min(16384, size_bytes - offset)
        exchange.writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        await exchange.writer.drain()
    exchange.writer.write(b"0\r\n\r\n")


async def announced(exchange: Exchange) -> None:
    """/announced?bytes=: a Content-Length of that many bytes, and then no body at all."""
    exchange.start(200, {"Content-Type": "image/jpeg", "Content-Length": str(int(exchange.number("bytes", 1e12)))})
    await exchange.until_client_leaves()


async def broken_chunked(exchange: Exchange) -> None:
    """/broken-chunked: a chunk whose length is not a number."""
    exchange.start(200, {"Content-Type": "image/jpeg", "Transfer-Encoding": "chunked"})
    exchange.writer.write(b"5\r\nhello\r\nZZ\r\nworld\r\n0\r\n\r\n")
    exchange.leave()


async def unfinished_chunked(exchange: Exchange) -> None:
    """/unfinished-chunked: the connection is closed before the last chunk."""
    exchange.start(200, {"Content-Type": "image/jpeg", "Transfer-Encoding": "chunked"})
    exchange.writer.write(b"5\r\nhello\r\n")
    exchange.leave()


async def empty(exchange: Exchange) -> None:
    """/empty: 200 and no byte."""
    exchange.answer(200, b"")


async def until_close(exchange: Exchange) -> None:
    """/until-close: no Content-Length; the end of the connection is the end of the body (HTTP/1.0 style)."""
    exchange.start(200, {"Content-Type": "image/jpeg", "Connection": "close"})
    exchange.writer.write(jpeg_of(exchange.path))
    exchange.leave()


async def html(exchange: Exchange) -> None:
    """/html: a page where a picture should be, with status 200."""
    exchange.answer(200, b"<!doctype html><title>Sorry</title><p>No such picture.", "text/html; charset=utf-8")


async def gzip_encoded(exchange: Exchange) -> None:
    """/gzip-encoded: Content-Encoding gzip although nobody asked for it."""
    exchange.answer(body=gzip.compress(jpeg_of(exchange.path)), headers={"Content-Encoding": "gzip"})


async def x_robots(exchange: Exchange) -> None:
    """/x-robots?tag=: a picture whose owner opted out of machine learning."""
    tag = exchange.query.get("tag", "noai, noimageai")
    exchange.answer(body=jpeg_of(exchange.path), headers={"X-Robots-Tag": tag})


async def robots_txt(exchange: Exchange) -> None:
    """/robots.txt: what the options say for this host, else 404."""
    status_of_host = exchange.options.robots_statuses.get(exchange.host)
    if status_of_host is not None:
        wait = {"Retry-After": "90"} if status_of_host == 503 else None
        exchange.answer(status_of_host, b"trouble", "text/plain", wait)
        return
    text = exchange.options.robots.get(exchange.host)
    exchange.answer(404 if text is None else 200, (text or "").encode(), "text/plain")


async def garbage(exchange: Exchange) -> None:
    """/garbage: something that is not HTTP."""
    exchange.writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    exchange.leave()


async def raw(exchange: Exchange) -> None:
    """/raw?b64=: these very bytes as the whole answer, then the connection is closed."""
    exchange.writer.write(base64.urlsafe_b64decode(exchange.query["b64"]))
    exchange.leave()


async def refusal(exchange: Exchange) -> None:
    """/refusal?status=&page=&type=&price=: that status with that page."""
    price = exchange.query.get("price")
    page, kind = exchange.query.get("page", ""), exchange.query.get("type", "text/html; charset=utf-8")
    code = int(exchange.number("status", 403))
    exchange.answer(code, page.encode(), kind, {"crawler-price": price} if price else None)


async def wall(exchange: Exchange) -> None:
    """/wall: a consent wall: sets two cookies and leads back to the same URL until both come with the request."""
    if {"seen=1", "also=2"} <= set(exchange.headers.get("cookie", "").split("; ")):
        await picture(exchange)
        return
    exchange.start(302, {"Location": exchange.target, "Content-Length": "0", "Set-Cookie": "seen=1; Path=/"}, COOKIE)


async def echo(exchange: Exchange) -> None:
    """/echo: a refusal whose page repeats the request's Authorization and Cookie headers."""
    page = f"<p>You sent {exchange.headers.get('authorization')} and {exchange.headers.get('cookie')}.</p>"
    exchange.answer(403, page.encode(), "text/html")


async def opt_outs(exchange: Exchange) -> None:
    """/opt-outs: a picture with two X-Robots-Tag lines, the first for somebody else."""
    body = jpeg_of(exchange.path)
    framing = {"Content-Type": "image/jpeg", "Content-Length": str(len(body)), "X-Robots-Tag": "otherbot: noindex"}
    exchange.start(200, framing, "X-Robots-Tag: noai")
    exchange.writer.write(body)


async def placeholder(exchange: Exchange) -> None:
    """/placeholder/...: the same picture, whatever was asked for."""
    exchange.answer(body=jpeg_of("not available"))


async def presentation(exchange: Exchange) -> None:
    """/presentation/NAME?pages=n: an IIIF manifest with so many pages; ?books=a,b&shelves=c: a collection of others."""
    at = f"http://{exchange.host}"
    if "books" in exchange.query or "shelves" in exchange.query:
        books, shelves = (exchange.query.get(key, "").split() for key in ("books", "shelves"))
        document = collection(at + exchange.target, [at + book for book in books], [at + shelf for shelf in shelves])
    else:
        name = exchange.path.split("/")[2]
        document = manifest(at + exchange.target, exchange.host, name, int(exchange.number("pages", 1)))
    exchange.answer(200, json.dumps(document).encode(), "application/json")


ROUTES: dict[str, Route] = {
    "placeholder": placeholder,
    "presentation": presentation,
    "status": status,
    "changing": changing,
    "vague": vague,
    "flaky": flaky,
    "delay": delay,
    "drip": drip,
    "drip-headers": drip_headers,
    "drop": drop,
    "short": short,
    "no-answer": no_answer,
    "reset": reset,
    "reset-midway": reset_midway,
    "hang": hang,
    "hang-after-headers": hang_after_headers,
    "redirect": redirect,
    "loop": loop,
    "large": large,
    "announced": announced,
    "broken-chunked": broken_chunked,
    "unfinished-chunked": unfinished_chunked,
    "empty": empty,
    "until-close": until_close,
    "html": html,
    "gzip-encoded": gzip_encoded,
    "x-robots": x_robots,
    "robots.txt": robots_txt,
    "garbage": garbage,
    "raw": raw,
    "refusal": refusal,
    "wall": wall,
    "echo": echo,
    "opt-outs": opt_outs,
}


def route_of(path: str) -> Route:
    """The misbehaviour that the first segment of `path` names, else a picture."""
    return ROUTES.get(path.split("/", 2)[1] if "/" in path else "", picture)
