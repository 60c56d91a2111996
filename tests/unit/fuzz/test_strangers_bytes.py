"""What parses the bytes of strangers never raises, hangs or answers nonsense, whatever they are.

`make fuzz MINUTES=10` spends ten minutes on each parser and says how many examples that were; CI spends one, and
`make test` a second or two.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ray_downloader.errors import ErrorKind, UserError
from ray_downloader.fetch.answer import kind_of_status, read_head, redirect_target, said_of
from ray_downloader.fetch.cookies import RedirectCookies
from ray_downloader.fetch.receiver import BodyRoom, Receiver
from ray_downloader.image import ImageError
from ray_downloader.image.exif import exif_json, orientation_of
from ray_downloader.image.header import read_header
from ray_downloader.output.frames import FrameWriter
from ray_downloader.output.journal import read_journal
from ray_downloader.partition.server_key import BadUrlError, RequestUrl, without_user_info
from ray_downloader.politeness.headers.ratelimit import parse_ratelimit
from ray_downloader.politeness.headers.retry_after import parse_retry_after
from ray_downloader.politeness.headers.robots import RobotsRules
from ray_downloader.sources.dialect import TextRules, is_confirmed, read_sample
from ray_downloader.sources.meta import is_media, parse_meta

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
EXAMPLES = 500 if SECONDS else 100
#: CPU time, as a machine may do something else for seconds.
MOST_CPU_S = 5.0
BASE = RequestUrl.parse("http://a.example/folder/x.jpg")
NOW_S = 1.8e9

#: Bytes in which the words of protocols and formats are frequent.
WORDS = [
    b"HTTP/1.1 200 OK", b"HTTP/x:", b"\r\n", b"\n", b": ", b"Location: ", b"Content-Encoding: gzip",
    b"Set-Cookie: a=b", b"Retry-After: ", b"http://", b"[::1]", b"@", b"%00", b"\x00", b"\xff\xd8\xff",
    b"\xff\xda", b"\xff\xc0\x00\x11\x08", b"\xff\xd9", b"\x89PNG\r\n\x1a\n", b"IHDR", b"IDAT", b"RIFF",
    b"WEBP", b"VP8X", b"II*\x00", b"MM\x00*", b"ftypavif", b"User-agent: *", b"Disallow: /",
    b"Crawl-delay: ", b"GIF89a", b"Exif\x00\x00", b"BM", b"\x1f\x8b\x08", b"999999999999", b"Name:::::::::::::",
    b":" * 50, b"#define x_width 9", b"\xf0\x9f\x90\x88", b"inf", b"-1", b"1e999",
]  # fmt: skip
PIECES = st.one_of(st.sampled_from(WORDS), st.binary(max_size=40))
BYTES = st.lists(PIECES, max_size=30).map(b"".join)
TEXT = st.one_of(st.text(max_size=200), BYTES.map(lambda raw: raw.decode("latin-1")))


def head(raw: bytes) -> None:
    status, headers = read_head(raw.splitlines(keepends=True))
    assert 0 <= status <= 999
    assert all("\r" not in value and "\x00" not in value for value in headers.values())
    kind_of_status(status, headers) if status else None
    target = redirect_target(BASE, status, headers)
    assert target is None or (target and "\n" not in target)
    said = said_of(status, headers, raw, ["secret-value"])
    assert len(said) < 1000 and "\n" not in said
    cookies = RedirectCookies()
    cookies.add(BASE, headers, NOW_S)
    assert "\n" not in (cookies.header(BASE) or "")
    parse_ratelimit(headers, NOW_S)


def url(text: str) -> None:
    try:
        parsed = RequestUrl.parse(text)
    except BadUrlError:
        return
    assert RequestUrl.parse(parsed.text) == parsed, "parsing what was parsed changes nothing"
    assert parsed.text.isascii() and " " not in parsed.text
    assert "@" not in RequestUrl.parse(without_user_info(parsed.text)).text.partition("?")[0].split("/")[2]
    assert RequestUrl.parse(without_user_info(parsed.text)).server == parsed.server


def retry_after(text: str) -> None:
    wait_s = parse_retry_after(text, NOW_S)
    assert wait_s is None or 0 <= wait_s < float("inf")


def robots(raw: bytes) -> None:
    rules = RobotsRules.from_answer(200, raw, "ray_downloader")
    rules.can_fetch(BASE.text)
    assert rules.crawl_delay_s is None or 0 <= rules.crawl_delay_s < float("inf")


def image_header(raw: bytes) -> None:
    for start in (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\x00\x00WEBP", b"\x00\x00\x00\x1cftypavif"):
        try:
            header = read_header(start + raw)
        except ImageError as error:
            assert error.kind in ErrorKind
            continue
        assert header.size is None or min(header.size) > 0
        assert 1 <= header.orientation <= 8
    assert 1 <= orientation_of(raw, raw) <= 8
    exif_json(raw)


def body(raw: bytes) -> None:
    for packed in (raw, zlib.compress(raw), b"\x1f\x8b" + raw):
        room = BodyRoom()
        receiver = Receiver(room, None, may_be_gzip=True, max_unpacked_bytes=10_000)
        for at in range(0, len(packed), 7):
            if not receiver.write(packed[at : at + 7]):
                break
        assert len(receiver.finish()) <= max(10_000, len(packed))
        assert (room.in_memory_bytes, room.on_scratch_bytes) == (0, 0)


META = [
    "<archive>", '<archive xmlns="http://rs.tdwg.org/dwc/text/">', "<core", "<extension", ' rowType="x/Multimedia"',
    ' fieldsTerminatedBy="\\t"', ' linesTerminatedBy="\\n"', ' encoding="utf-7"', ' ignoreHeaderLines="-1"', ">", "/>",
    "<files><location>x.txt</location></files>", "<location/>", '<id index="0"/>', '<field index="nine" term="a/b"/>',
    "<coreid/>", "</core>", "</extension>", "</archive>", "<!DOCTYPE a>", "&amp;", "&#0;",
]  # fmt: skip
CELLS = ["http://a.example/1.jpg", "identifier", ",", "\t", ";", "|", '"', "'", " ", "a title", "", "\\", "\x00", "é"]


def _encoded(parts: list[str]) -> bytes:
    return "".join(parts).encode("utf-8", "replace")


def meta(raw: bytes) -> None:
    with suppress(UserError):
        for table in parse_meta(raw, "meta.xml"):
            is_media(table)


def dialect(lines: list[str]) -> None:
    reading = read_sample(lines, ".csv", TextRules())
    is_confirmed(reading)


NUMBERS = pa.record_batch({"row": pa.array(range(9), pa.int32()), "image": [b"pixels"] * 9})
#: The first frame of their journal: 16 bytes, then the schema.
HEAD_BYTES = 16 + NUMBERS.schema.serialize().size
#: Where a journal is damaged, and what is there instead; the second is how those of earlier versions begin.
DAMAGE = st.tuples(
    st.one_of(st.just(0), st.integers(0, 2000)), st.one_of(st.binary(min_size=1, max_size=20), st.just(b"\xff" * 4))
)


def journal(damage: list[tuple[int, bytes]]) -> None:
    """A journal with pieces overwritten, or more behind its end, gives its batches up to the first that is damaged."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "successes-one.arrows"
        writer = FrameWriter(path)
        for payload in (NUMBERS.schema.serialize(), *[NUMBERS.serialize()] * 3):
            writer.write(payload)
        writer.close()
        whole = path.read_bytes()
        damaged = bytearray(whole)
        for at, piece in damage:
            damaged[at : at + len(piece)] = piece
        path.write_bytes(damaged)
        batches = list(read_journal(path))
        assert all(batch.equals(NUMBERS) for batch in batches)
        sound = next((at for at, byte in enumerate(whole) if damaged[at : at + 1] != bytes([byte])), len(whole))
        assert len(batches) == max(0, sound - HEAD_BYTES) // ((len(whole) - HEAD_BYTES) // 3)


PARSERS: dict[str, tuple[Callable[..., None], st.SearchStrategy[object]]] = {
    "head": (head, BYTES),
    "url": (url, st.one_of(TEXT, TEXT.map(lambda text: f"http://{text}"), TEXT.map(lambda text: f"http://a.b/{text}"))),
    "retry_after": (retry_after, TEXT),
    "robots": (robots, BYTES),
    "image_header": (image_header, BYTES),
    "body": (body, BYTES),
    "meta": (meta, st.lists(st.one_of(st.sampled_from(META), st.text(max_size=9)), max_size=30).map(_encoded)),
    "journal": (journal, st.lists(DAMAGE, max_size=3)),
    "dialect": (dialect, st.lists(st.lists(st.sampled_from(CELLS), max_size=12).map("".join), min_size=1, max_size=12)),
}


@pytest.mark.timeout(0 if SECONDS else 480)
@pytest.mark.parametrize("name", PARSERS)
def test_no_bytes_are_too_odd(name: str) -> None:
    parse, strategy = PARSERS[name]
    until_s = time.monotonic() + SECONDS
    number = 0
    while number == 0 or time.monotonic() < until_s:

        @seed(number)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def whatever_comes(given_bytes: object) -> None:
            began_s = time.process_time()
            parse(given_bytes)
            assert time.process_time() - began_s < MOST_CPU_S

        whatever_comes()
        number += 1
    sys.stdout.write(f"{name}: {number} x {EXAMPLES} examples\n")
