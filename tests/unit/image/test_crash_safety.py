from __future__ import annotations

import errno
import importlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.image import ImageError, ImageOptions, process
from ray_downloader.image.crash_note import CrashNote, find_suspect
from ray_downloader.image.isolation import DecoderProcess
from ray_downloader.image.model import Pixels

pytestmark = pytest.mark.stage

Saver = Callable[..., bytes]

#: A shell that starts this in the background lets its children ignore SIGINT.
AS_BY_DEFAULT = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL)"

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
    if body.endswith(b"KILLS") or body.endswith(b"KILL") and not os.path.exists("MARK"):
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


def test_a_decoder_that_is_always_killed_from_outside_may_be_tried_by_another_run(
    hostile: DecoderProcess, photo: Pixels, save: Saver
) -> None:
    with pytest.raises(ImageError, match="SIGKILL") as caught:
        process(save(photo, "GIF") + b"KILLS", ImageOptions())
    assert caught.value.kind is ErrorKind.INTERNAL
    hostile.close()


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("raise MemoryError", "it ended \\(exit code 1\\)"),
        (f"{AS_BY_DEFAULT}; os.kill(os.getpid(), signal.SIGINT)", "it crashed \\(SIGINT\\)"),
    ],
    ids=["memory", "signal"],
)
def test_a_decoder_that_cannot_start_is_no_fault_of_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, reason: str
) -> None:
    (tmp_path / "no_decoder.py").write_text(start)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MachineError, match=f"no decoder process can be started on this machine: {reason}; what was"):
        DecoderProcess("no_decoder").process(b"GIF89a", ImageOptions())


def test_a_decoder_that_is_interrupted_while_it_starts_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Pixels, save: Saver
) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "late_decoder.py").write_text(
        f"{AS_BY_DEFAULT}\nimport pathlib\nmark = pathlib.Path({str(mark)!r})\n"
        "if not mark.exists():\n    mark.touch()\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "from ray_downloader.image import decoder_main\ndecoder_main.main()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    decoder = DecoderProcess("late_decoder")
    assert decoder.process(save(photo, "GIF"), ImageOptions()).original_format == "gif"
    decoder.close()


def test_a_machine_without_room_for_a_process_is_no_fault_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(MachineError, match="started on this machine: Resource temporarily unavailable"):
        DecoderProcess().process(b"GIF89a", ImageOptions())


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
