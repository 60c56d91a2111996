"""Kill this process in thought: the n-th effect on the file system does not happen, nor does anything after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Killed(BaseException):
    """No `except Exception` survives it, as none survives SIGKILL."""


@contextmanager
def killed_at(effect: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Raise `Killed` instead of the effect with this number: a rename, a removal, a link, a new folder."""
    done = 0

    def counted(act: Callable[..., Any]) -> Callable[..., Any]:
        def perhaps(*arguments: Any, **options: Any) -> Any:
            nonlocal done
            if done >= effect:
                raise Killed
            done += 1
            return act(*arguments, **options)

        return perhaps

    with monkeypatch.context() as patched:
        for name in ("rename", "replace", "unlink", "rmdir"):
            patched.setattr(Path, name, counted(getattr(Path, name)))
        patched.setattr(shutil, "rmtree", counted(shutil.rmtree))
        patched.setattr(os, "link", counted(os.link))
        yield
