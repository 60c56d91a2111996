"""Frames are read as they were written, up to the first that was not, on disks that fill up and disks that forget."""

from __future__ import annotations

import errno
import io
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from ray_downloader.errors import RunFolderError
from ray_downloader.output import frames
from ray_downloader.output.frames import FrameWriter, read_frame, read_frames
from tests.support.out_of_reach import no_more_files


def write(path: Path, *payloads: bytes) -> None:
    writer = FrameWriter(path)
    for payload in payloads:
        writer.write(payload)
    writer.close()


def test_frames_come_back_in_order_and_may_be_empty(tmp_path: Path) -> None:
    write(tmp_path / "file", b"one", b"", b"three" * 1000)
    assert list(read_frames(tmp_path / "file")) == [b"one", b"", b"three" * 1000]


def test_a_file_without_frames_has_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert list(read_frames(tmp_path / "file")) == []


def test_a_frame_from_elsewhere_in_the_file_is_no_frame_once_its_length_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"one", b"two")
    content = path.read_bytes()
    path.write_bytes(content[:4] + (10**15).to_bytes(8, "little") + content[12:])
    assert list(read_frames(path)) == []


def test_a_disk_that_takes_a_frame_in_parts_gets_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_some = os.write
    monkeypatch.setattr(frames.os, "writev", lambda fd, parts: write_some(fd, b"".join(parts)[:5]))
    monkeypatch.setattr(frames, "_MOST_PARTS", 2)
    write(tmp_path / "file", b"a payload", b"another")
    writer = FrameWriter(tmp_path / "pieces")
    assert writer.write(b"in", b"", memoryview(b" several"), b" pieces") == 0
    assert writer.write(b"one") == writer._size_bytes - len(b"one") - 16
    writer.close()
    assert list(read_frames(tmp_path / "file")) == [b"a payload", b"another"]
    assert list(read_frames(tmp_path / "pieces")) == [b"in several pieces", b"one"]


def test_a_frame_for_which_the_disk_has_no_room_leaves_those_before_and_after_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    writer = FrameWriter(path)
    writer.write(b"one")
    write_some = os.write

    def fills_up(fd: int, parts: list[memoryview]) -> int:
        if os.fstat(fd).st_size > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_some(fd, b"".join(parts)[:5])

    with monkeypatch.context() as patched:
        room = path.stat().st_size + 9
        patched.setattr(frames.os, "writev", fills_up)
        with pytest.raises(OSError, match="No space left"):
            writer.write(b"two")
    writer.write(b"three")
    writer.close()
    assert list(read_frames(path)) == [b"one", b"three"]


def test_a_frame_with_another_magic_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"one", b"two")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"RDJ2", b"RDJ1", 1))
    assert list(read_frames(path)) == []


def test_closing_closes_the_file(tmp_path: Path) -> None:
    writer = FrameWriter(tmp_path / "file")
    descriptor = writer._descriptor
    os.fstat(descriptor)
    writer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_frame_whose_content_has_changed_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"one", b"two", b"three")
    path.write_bytes(path.read_bytes().replace(b"two", b"tw0"))
    assert list(read_frames(path)) == [b"one"]


@pytest.mark.parametrize(("number", "is_damage"), [(errno.EIO, True), (errno.ESTALE, False), (errno.ETIMEDOUT, False)])
def test_only_a_bad_block_ends_a_file_but_not_a_lost_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_damage: bool
) -> None:
    path = tmp_path / "file"
    write(path, b"one", b"two")

    class Failing(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 16:
                raise OSError(number, "no longer")
            return super().read(-1 if size is None else size) or b""

    def opened(self: Path, mode: str) -> io.FileIO:
        return Failing(self, mode)

    monkeypatch.setattr(Path, "open", opened)
    payloads = read_frames(path)
    assert next(payloads) == b"one"
    with nullcontext() if is_damage else pytest.raises(RunFolderError):
        assert next(payloads, None) is None


def test_a_file_out_of_reach_is_not_taken_for_one_without_frames(tmp_path: Path) -> None:
    write(tmp_path / "file", b"one")
    with no_more_files(), pytest.raises(RunFolderError, match="too many files are open"):
        next(read_frames(tmp_path / "file"))


def test_a_header_alone_is_a_frame_only_if_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"one", b"")
    content = path.read_bytes()
    assert list(read_frames(path)) == [b"one", b""]
    path.write_bytes(content[:-1])
    assert list(read_frames(path)) == [b"one"]


def test_a_frame_is_read_by_its_place_alone_and_only_if_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    writer = FrameWriter(path)
    offsets = [writer.write(b"one"), writer.write(b"t", b"wo"), writer.write(b"")]
    writer.close()
    assert offsets == [0, 19, 38]
    assert [read_frame(path, offset) for offset in offsets] == [b"one", b"two", b""]
    assert read_frame(path, 1) is None, "no frame begins there"
    assert read_frame(path, path.stat().st_size) is None
    whole = path.read_bytes()
    path.write_bytes(whole[:18] + b"X" + whole[19:])
    assert [read_frame(path, offset) for offset in offsets] == [None, b"two", b""]
    path.write_bytes(whole[:37])
    assert [read_frame(path, offset) for offset in offsets] == [b"one", None, None]
