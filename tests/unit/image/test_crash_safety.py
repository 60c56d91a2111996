from __future__ import annotations

import errno
import importlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.image import ImageError, ImageOptions, isolation, process
from ray_downloader.image.crash_note import CrashNote, find_suspect
from ray_downloader.image.isolation import DecoderProcess
from ray_downloader.image.model import Pixels

pytestmark = pytest.mark.stage

Saver = Callable[..., bytes]

#: A shell that starts this in the background lets its children ignore SIGINT.
AS_BY_DEFAULT = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL)"

#: A decoder process in which some bodies meet a decoder that crashes, hangs or eats memory.
HOSTILE = """
import ctypes, os, signal, time
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
    if body.endswith(b"KILLS"):
        os.kill(os.getpid(), signal.SIGKILL)
    if body.endswith(b"NAPS"):
        time.sleep(1.2)
    if b"ONCE-" in body and not os.path.exists("MARK"):
        open("MARK", "w").close()
        os.kill(os.getpid(), getattr(signal, body.split(b"-")[-2].decode()))
    return harmless(body, options, **facts)

decoder_main.process_carefully = hostile
decoder_main._TIME_LIMIT_S = 1
decoder_main.main()
"""


#: A decoder process that gets a signal when it first starts.
ONCE_AT_START = f"""
{AS_BY_DEFAULT}
import pathlib
mark = pathlib.Path({{mark!r}})
if not mark.exists():
    mark.touch()
    os.kill(os.getpid(), signal.{{signal}})
from ray_downloader.image import decoder_main
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


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGSEGV", "SIGHUP"])
def test_a_picture_is_not_blamed_for_what_ended_its_decoder_once(
    hostile: DecoderProcess, photo: Pixels, save: Saver, signal_name: str
) -> None:
    body = save(photo, "GIF") + f"ONCE-{signal_name}-".encode()
    assert process(body, ImageOptions()).original_format == "gif"
    hostile.close()


def test_a_decoder_that_was_stopped_is_replaced(hostile: DecoderProcess, photo: Pixels, save: Saver) -> None:
    decoder = DecoderProcess("hostile_decoder", idle_s=0.5)
    body = save(photo, "GIF")
    assert decoder.process(body + b"ONCE-SIGSTOP-", ImageOptions()).original_format == "gif"
    assert decoder._helper is not None
    decoder._helper.popen.send_signal(signal.SIGSTOP)
    assert decoder.process(body + bytes(2**22), ImageOptions()).original_format == "gif", "more than a pipe takes"
    decoder.close()


@pytest.mark.parametrize("signal_name", ["SIGSTOP", "SIGINT"])
def test_a_decoder_that_gets_a_signal_while_it_starts_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Pixels, save: Saver, signal_name: str
) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "late_decoder.py").write_text(ONCE_AT_START.format(mark=str(mark), signal=signal_name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(isolation, "_IDLE_START_S", 1.0)
    decoder = DecoderProcess("late_decoder")
    assert decoder.process(save(photo, "GIF"), ImageOptions()).original_format == "gif"
    decoder.close()


def test_a_picture_is_not_blamed_for_the_time_that_others_take(
    hostile: DecoderProcess, photo: Pixels, save: Saver
) -> None:
    assert process(save(photo, "GIF") + b"NAPS", ImageOptions()).original_format == "gif"
    hostile.close()


def test_a_decoder_that_is_always_killed_from_outside_may_be_tried_by_another_run(
    hostile: DecoderProcess, photo: Pixels, save: Saver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(isolation._MOST, isolation._Ending.FROM_OUTSIDE, 2)
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


def test_a_decoder_does_not_load_what_it_does_not_need() -> None:
    code = "import ray_downloader.image.decoder_main, sys; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


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
