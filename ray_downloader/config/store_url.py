"""An object store as `path_to_output`: what `s3://bucket/run` names, and where its run works on this machine."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from ray_downloader.errors import UserError

#: What a scheme is called in messages and keys; others are names that tools use for the same stores.
SCHEMES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
#: A URL that lost a slash, as `os.path.normpath` and shells' completions cost it.
_ALMOST_URL = re.compile(rf"({'|'.join(SCHEMES)}):(.*)", re.DOTALL | re.IGNORECASE)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
#: Characters of keys that some store, shell or client takes for something else.
_ODD = re.compile(r"[\x00-\x1f\x7f\\?#*\[\]{}^`|<>\"]")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A place in an object store.

    Args:
        scheme: `s3` or `gs`.
        prefix: Of all keys of the run, without slashes around it; empty: the whole bucket.
    """

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> StoreUrl:
        """Read a URL.

        Raises:
            UserError: It names no place that a run can be in; without what may be a password.
        """
        found = _URL.fullmatch(text.strip())
        if found is None:
            almost = _ALMOST_URL.fullmatch(text.strip())
            rest = (almost[2] if almost else "").lstrip("/")
            raise UserError(f"path_to_output={text} is not a URL: write two slashes, {(almost or '?')[1]}://{rest}")
        scheme, (bucket, _, prefix) = found[1].lower(), found[2].partition("/")
        if "@" in bucket:
            raise UserError(
                f"path_to_output={scheme}://...: leave out what is before the @; credentials are found in the "
                "environment, as the store's own tools find them"
            )
        if scheme == "file":
            raise UserError(f"path_to_output={text}: write the path itself, /{prefix}")
        if scheme not in SCHEMES:
            raise UserError(f"path_to_output={text}: results go to a folder, or to an object store at s3:// or gs://")
        if not _BUCKET.fullmatch(bucket):
            raise UserError(
                f"path_to_output={text}: {bucket!r} is not the name of a bucket; write {scheme}://bucket/run"
            )
        url = cls(SCHEMES[scheme], bucket, prefix.strip("/"))
        if _ODD.search(url.prefix) or {"", ".", ".."} & set(url.prefix.split("/") if url.prefix else []):
            raise UserError(
                f"path_to_output={text}: name the run's place as {url.scheme}://{bucket}/folder/run, without empty "
                "names, . and .., and without characters that have a meaning in URLs and patterns"
            )
        return url

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    @property
    def name(self) -> str:
        """The name of the run, as that of a run folder."""
        return self.prefix.rpartition("/")[2] or self.bucket

    def work_folder(self, base: Path) -> Path:
        """Where the run works on this machine: the same for the same URL.

        Args:
            base: The folder of all such runs of this user.
        """
        return base / hashlib.sha256(str(self).encode()).hexdigest()[:12] / self.name


def is_store_url(text: object) -> TypeGuard[str]:
    """Whether a `path_to_output` is meant to be a URL; a name with a colon may be that of a folder."""
    return isinstance(text, str) and bool(_URL.fullmatch(text.strip()) or _ALMOST_URL.fullmatch(text.strip()))


def private_base(parent: Path) -> Path:
    """The folder of this user's work folders: the same at every call."""
    return parent / f"ray_downloader-{os.getuid()}"
