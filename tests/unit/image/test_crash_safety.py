from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError, ImageOptions, process
from ray_downloader.image.crash_note import CrashNote, find_suspect
from ray_downloader.image.isolation import DecoderProcess
from ray_downloader.image.model import Pixels

pytestmark = pytest.mark.stage

Saver = Callable[..., bytes]

#: A decoder process in which some bodies meet a decoder that crashes, hangs or eats memory.
HOSTILE = """
import ctypes, os, signal
from ray_downloader.image import decoder_main
harmless = decoder_main.process_carefully

def hostile(body, options, **facts):
    if body.endswith(b"SEGV"):
        ctypes.string_at(0)
    if body.endswith(b"ABRT"):
        os.abort()
    if body.endswith(b"LOOP"):
        while True:
            pass
    if body.endswith(b"EATS"):
        bytearray(64 << 30)
    if body.endswith(b"KILL") and not os.path.exists("MARK"):
        open("MARK", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return harmless(body, options, **facts)

decoder_main.process_carefully = hostile
decoder_main._TIME_LIMIT_S = 1
decoder_main.main()
"""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DecoderProcess:
    (tmp_path / "hostile_decoder.py").write_text(HOSTILE.replace("MARK", str(tmp_path / "killed")))
    monkeypatch.syspath_prepend(tmp_path)
    decoder = DecoderProcess("hostile_decoder")
    monkeypatch.setattr(importlib.import_module("ray_downloader.image.process"), "_decoder", decoder)
    return decoder


@pytest.mark.parametrize(
    ("ending", "reason"),
    [(b"SEGV", "SIGSEGV"), (b"ABRT", "SIGABRT"), (b"LOOP", "took too long"), (b"EATS", "memory")],
)
def test_a_decoder_that_dies_costs_its_row_and_no_other(
    hostile: DecoderProcess, photo: Pixels, save: Saver, ending: bytes, reason: str
) -> None:
    body = save(photo, "GIF")
    assert process(body, ImageOptions()).original_format == "gif"
    with pytest.raises(ImageError) as caught:
        process(body + ending, ImageOptions())
    assert caught.value.kind is ErrorKind.DECODE_FAILED
    assert reason in caught.value.message
    assert process(body, ImageOptions()).original_format == "gif"
    hostile.close()


def test_a_decoder_killed_from_outside_gets_a_second_chance(
    hostile: DecoderProcess, photo: Pixels, save: Saver
) -> None:
    assert process(save(photo, "GIF") + b"KILL", ImageOptions()).original_format == "gif"
    hostile.close()


def test_a_well_formed_jpeg_is_isolated_where_it_is_suspected(
    hostile: DecoderProcess, photo: Pixels, save: Saver
) -> None:
    body = save(photo, "JPEG") + b"SEGV"
    assert process(body, ImageOptions()).original_format == "jpeg"
    with pytest.raises(ImageError, match="SIGSEGV"):
        process(body, ImageOptions(), isolated=True)
    hostile.close()


def test_isolation_changes_nothing_in_the_result(photo: Pixels, save: Saver) -> None:
    for image_format in ("JPEG", "PNG", "WEBP"):
        body = save(photo, image_format, 6)
        assert process(body, ImageOptions(), isolated=True) == process(body, ImageOptions())


def test_a_note_names_the_row_that_a_dead_worker_was_at(tmp_path: Path) -> None:
    path = tmp_path / "under_decode"
    note = CrashNote(path)
    note.begin("first")
    note.clear()
    note.begin("second, longer")
    assert find_suspect(path) == "second, longer"
    note.clear()
    assert find_suspect(path) is None


def test_a_finished_batch_leaves_no_note(tmp_path: Path) -> None:
    path = tmp_path / "under_decode"
    note = CrashNote(path)
    note.begin("row")
    note.close()
    assert not path.exists()
    assert find_suspect(path) is None
