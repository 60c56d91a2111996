"""Bodies use no more memory and scratch than there is, and a gzip no more than it may become."""

from __future__ import annotations

import gzip
import os
import random
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch import receiver as module
from ray_downloader.fetch.receiver import BodyBuffer, BodyRoom, Receiver
from ray_downloader.spill import BodyFile, read_descriptor

MB = 2**20
PACKED = gzip.compress(bytes(range(256)) * 40, mtime=0)


def received(body: bytes, piece: int = 7, room: BodyRoom | None = None, **options: object) -> tuple[Receiver, bytes]:
    values: dict[str, object] = {"may_be_gzip": True, "max_unpacked_bytes": 100 * MB, **options}
    receiver = Receiver(room or BodyRoom(), None, **values)  # type: ignore[arg-type]  # options of a test
    for at in range(0, len(body), piece):
        if not receiver.write(body[at : at + piece]):
            break
    content = receiver.finish()
    return receiver, content if isinstance(content, bytes) else read_descriptor(content.descriptor)


@pytest.mark.parametrize("piece", [1, 2, 7, 100_000])
def test_gzip_is_taken_off_in_whatever_pieces_it_comes(piece: int) -> None:
    assert received(PACKED, piece)[1] == bytes(range(256)) * 40
    assert received(PACKED + b"more", piece)[1] == bytes(range(256)) * 40
    assert received(PACKED, piece, may_be_gzip=False)[1] == PACKED


@pytest.mark.parametrize("body", [b"\xff\xd8 a picture", b"", b"\x1f", zlib.compress(b"pixels")], ids=repr)
@pytest.mark.parametrize("piece", [1, 100])
def test_what_only_claims_to_be_gzip_stays_as_it_came(body: bytes, piece: int) -> None:
    receiver, content = received(body, piece)
    assert (receiver.problem, content) == (None, body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (PACKED[:-9], ErrorKind.TRUNCATED),
        (PACKED[:40], ErrorKind.TRUNCATED),
        (b"\x1f\x8bnonsense that is no gzip", ErrorKind.DECODE_FAILED),
        (PACKED[:-8] + bytes(8), ErrorKind.DECODE_FAILED),
    ],
    ids=["cut", "cut early", "nonsense", "checksum"],
)
def test_a_gzip_that_is_cut_or_damaged_has_its_kind(body: bytes, kind: ErrorKind) -> None:
    problem = received(body)[0].problem
    assert problem is not None
    assert problem.kind is kind


def test_a_bomb_is_left_at_the_limit_and_the_ratio() -> None:
    bomb = gzip.compress(bytes(200 * MB))
    for limit, most in ((100 * MB, 20 * MB), (MB, MB)):
        receiver, content = received(bomb, 16_384, max_unpacked_bytes=limit)
        assert receiver.problem is not None
        assert receiver.problem.kind is ErrorKind.TOO_LARGE
        assert len(content) <= most
    assert receiver.received_bytes <= 16_384 * 2


@pytest.mark.parametrize("content", [random.Random(1).randbytes(MB) + bytes(2 * MB), bytes(MB)], ids=["3:1", "small"])
def test_what_is_no_bomb_is_whole_whatever_its_size(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a size the ratio does not matter, and below a ratio the size does not."""
    monkeypatch.setattr(module, "ANY_RATIO_BYTES", MB)
    receiver, found = received(gzip.compress(content, 1), 65_536)
    assert (receiver.problem, found == content) == (None, True)


def test_what_is_enough_is_cut_there_whether_packed_or_not() -> None:
    for body, packed in ((b"pixels" * 9, False), (gzip.compress(b"pixels" * 9), True)):
        receiver, content = received(body, may_be_gzip=packed, enough_bytes=10)
        assert (receiver.problem, receiver.has_enough, content) == (None, True, (b"pixels" * 9)[:10])
    assert not received(b"pixels", enough_bytes=6)[0].has_enough


def test_announced_bodies_are_charged_before_they_come_and_large_ones_go_to_a_file(tmp_path: Path) -> None:
    room = BodyRoom(10 * MB, tmp_path)
    first = BodyBuffer(room, 6 * MB)
    assert room.in_memory_bytes == 6 * MB
    second = BodyBuffer(room, 5 * MB)
    second.write(b"pixels")
    assert (room.in_memory_bytes, room.on_scratch_bytes) == (6 * MB, 6)
    file = second.finish()
    assert isinstance(file, BodyFile)
    assert b"".join(file.pieces()) == b"pixels"
    file.close()
    first.write(b"pix")
    assert first.finish() == b"pix"
    assert (room.in_memory_bytes, room.on_scratch_bytes) == (0, 0)


def test_a_body_without_a_size_moves_to_a_file_once_it_is_large(tmp_path: Path) -> None:
    room = BodyRoom(64 * MB, tmp_path)
    piece = os.urandom(MB)
    buffer = BodyBuffer(room, None)
    for _ in range(16):
        buffer.write(piece)
    assert room.in_memory_bytes == 16 * MB
    buffer.write(piece)
    assert (room.in_memory_bytes, room.on_scratch_bytes) == (0, 17 * MB)
    file = buffer.finish()
    assert isinstance(file, BodyFile)
    assert read_descriptor(file.descriptor) == piece * 17
    assert not list(tmp_path.iterdir()), "it has no name, so nothing is left behind by a kill"
    file.close()
    assert room.on_scratch_bytes == 0


def test_once_scratch_is_full_all_but_the_oldest_wait(tmp_path: Path) -> None:
    room = BodyRoom(0, tmp_path, scratch_bytes=10)
    oldest, other = BodyBuffer(room, None), BodyBuffer(room, None)
    for buffer in (oldest, other):
        assert buffer.may_grow
        buffer.write(b"123456")
    assert (oldest.may_grow, other.may_grow) == (True, False)
    oldest.finish()
    assert other.may_grow, "now it is the oldest"
    other.discard()
    del oldest
    assert room.on_scratch_bytes == 0


@pytest.mark.parametrize("announced", [None, 17 * MB], ids=["grows", "announced"])
@pytest.mark.parametrize("body", [b"pixels", b"x"], ids=["body", "body of a byte"])
def test_scratch_that_cannot_be_written_is_a_lack_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, announced: int | None
) -> None:
    def full(_file: BodyFile, _chunk: bytes) -> None:
        raise OSError(28, "No space left on device")

    for is_there in (True, False):
        room = BodyRoom(0, tmp_path)
        receiver = Receiver(room, announced, may_be_gzip=True, max_unpacked_bytes=100 * MB)
        with monkeypatch.context() as patch:
            if is_there:
                patch.setattr(BodyFile, "write", full)
            else:
                tmp_path.rmdir()
            receiver.write(body)
            receiver.finish()
        problem = receiver.problem
        assert problem is not None and problem.lack is not None
        assert (problem.kind, problem.message) == (ErrorKind.INTERNAL, str(problem.lack))
        reason = "No space left on device" if is_there else "No such file or directory"
        assert problem.message.startswith(f"cluster.scratch={tmp_path} cannot take a large body: {reason}; what was")
        assert (room.in_memory_bytes, room.on_scratch_bytes) == (0, 0)


def test_on_a_disk_that_is_nearly_full_bodies_go_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = BodyRoom(0, tmp_path)
    oldest, other = BodyBuffer(room, None), BodyBuffer(room, None)
    for buffer in (oldest, other):
        buffer.write(b"123456")
    assert oldest.may_grow and other.may_grow
    monkeypatch.setattr(room, "_free_bytes", lambda: module.LEAST_FREE_BYTES - 1)
    assert oldest.may_grow and not other.may_grow
    whole = oldest.finish()
    assert isinstance(whole, BodyFile)
    assert not other.may_grow, "the body that is complete will be gone soon"
    whole.close()
    assert other.may_grow


def test_charges_add_up_whatever_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IN_MEMORY_BYTES", 50)
    rng = random.Random(1)
    room = BodyRoom(100, tmp_path, scratch_bytes=200)
    for _ in range(300):
        buffers = [BodyBuffer(room, rng.choice([None, rng.randrange(120)])) for _ in range(rng.randrange(1, 6))]
        for _ in range(20):
            rng.choice(buffers).write(bytes(rng.randrange(30)))
            assert room.in_memory_bytes <= 100
        for buffer in buffers:
            if rng.random() < 0.5:
                buffer.discard()
            elif isinstance(body := buffer.finish(), BodyFile):
                body.close()
        assert (room.in_memory_bytes, room.on_scratch_bytes) == (0, 0)


def test_a_body_that_fits_to_the_byte_fits() -> None:
    packed = gzip.compress(bytes(1000))
    receiver, content = received(packed, max_unpacked_bytes=1000)
    assert (receiver.problem, len(content)) == (None, 1000)
    receiver, _ = received(gzip.compress(bytes(1001)), max_unpacked_bytes=1000)
    assert receiver.problem is not None


@pytest.mark.parametrize(
    ("blocks", "block_bytes", "may_grow"),
    [(16_383, 4096, False), (16_384, 4096, True), (67_108_863, 1, False), (67_108_864, 1, True)],
)
def test_a_disk_is_nearly_full_with_less_than_64_megabytes_for_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, block_bytes: int, may_grow: bool
) -> None:
    room = BodyRoom(0, tmp_path)
    first, second = room.new_file(1), room.new_file(2)
    disk = SimpleNamespace(f_bavail=blocks, f_frsize=block_bytes, f_bfree=10**9)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    assert room.may_grow(2) is may_grow
    assert room.may_grow(1), "the oldest always may"
    first.close()
    second.close()
