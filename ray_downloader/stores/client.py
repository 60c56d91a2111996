"""S3 and Google Cloud Storage through `obstore`, whose only import this is.

Credentials, endpoint and region are those that the stores' own tools would use: environment, profile, or the machine's
role. They are never written anywhere, and messages have a store's code and words only, not the request.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_downloader.config.store_url import StoreUrl
from ray_downloader.errors import UserError
from ray_downloader.stores.base import ChangedMeanwhileError, StoredObject, StoreError

if TYPE_CHECKING:
    from obstore.store import GCSConfig, GCSStore, S3Config, S3Credential, S3Store

#: Larger files are sent in parts of this size, a few at once: at most 32 MB of one file are in memory.
PART_BYTES = 8 * 1024 * 1024
_PARTS_AT_ONCE = 4
#: How long boto3's credentials are used before it is asked for them again; it renews them itself.
_CREDENTIALS_S = 300
_HINT = "pip install 'ray-downloader[stores]'"

_STATUS = re.compile(r"status code: (\d{3})")
#: What `obstore` says if S3 sends it to the right region without saying where that is.
_ELSEWHERE = "redirect without LOCATION"
_CODE = re.compile(r"<Code>([^<]{1,100})</Code>(?:\s*<Message>([^<]{1,300})</Message>)?")


def open_store(url: StoreUrl, environ: Mapping[str, str] = os.environ) -> Client:
    """The run's place in its store; nothing is requested yet.

    Raises:
        UserError: The libraries or the credentials are missing.
    """
    try:
        from obstore.store import GCSStore, S3Store  # noqa: PLC0415 (only runs in a store need it)
    except ImportError:
        raise UserError(f"path_to_output={url} needs the extra `stores`: {_HINT}") from None
    if url.scheme == "gs":
        endpoint = environ.get("STORAGE_EMULATOR_HOST") or ""
    else:
        endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
    options: dict[str, Any] = {
        "prefix": url.prefix or None,
        # Our own loop waits for a store that does not answer; this is only for hiccups of single connections.
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
        "client_options": {
            "connect_timeout": "10s",
            "timeout": "180s",
            "allow_http": endpoint.startswith("http://"),
        },
    }
    try:
        if url.scheme == "gs":
            return Client(url, GCSStore(url.bucket, config=_gcs_access(endpoint), **options))
        config, credentials = _s3_access(url, environ, endpoint)
        return Client(url, S3Store(url.bucket, config=config, credential_provider=credentials, **options))
    except UserError:
        raise
    except Exception as error:  # what a library says about its own configuration
        raise UserError(f"path_to_output={url} cannot be used: {_first_line(error)}") from None


def _gcs_access(endpoint: str) -> GCSConfig:
    """Of Google's store itself `obstore` finds the credentials; an emulator, named as for Google's tools, has none."""
    if not endpoint:
        return {}
    account = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": "", "private_key": ""}
    return {"service_account_key": json.dumps({**account, "private_key_id": ""})}


def _s3_access(
    url: StoreUrl, environ: Mapping[str, str], endpoint: str
) -> tuple[S3Config, Callable[[], S3Credential] | None]:
    """Configuration and credentials as `aws s3` would find them."""
    try:
        import boto3  # noqa: PLC0415
    except ImportError:
        raise UserError(f"path_to_output={url} needs the extra `stores`: {_HINT}") from None
    try:
        session = boto3.Session()
        found = None if environ.get("AWS_SKIP_SIGNATURE") else session.get_credentials()
    except Exception as error:  # such as a profile that does not exist
        raise UserError(f"path_to_output={url} cannot be used: {_first_line(error)}") from None
    config: S3Config = {"region": environ.get("AWS_REGION") or session.region_name or "us-east-1"}
    if endpoint:
        config["endpoint"] = endpoint
    if environ.get("AWS_SKIP_SIGNATURE"):
        return {**config, "skip_signature": True}, None
    if found is None:
        raise UserError(
            f"path_to_output={url}: no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE, or run where the machine has a role"
        )

    def credentials() -> S3Credential:
        frozen = found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(timezone.utc) + timedelta(seconds=_CREDENTIALS_S),
        }

    return config, credentials


class Client:
    """An `ObjectStore` at a URL."""

    def __init__(self, url: StoreUrl, store: S3Store | GCSStore) -> None:
        import obstore  # noqa: PLC0415

        self._url = url
        self._store = store
        self._obstore = obstore
        #: By key and etag, what Google's store calls the generation of an object: it is replaced by that only.
        self._versions: dict[tuple[str, str], str | None] = {}

    def list(self) -> Iterator[StoredObject]:
        """As `ObjectStore`."""
        with self._sentences():
            for chunk in self._obstore.list(self._store):
                for found in chunk:
                    yield _stored(found)

    def read(self, key: str) -> tuple[bytes, StoredObject] | None:
        """As `ObjectStore`."""
        try:
            with self._sentences(may_be_missing=True):
                answer = self._obstore.get(self._store, key)
                stored = _stored(answer.meta)
                self._versions[key, stored.etag] = answer.meta["version"]
                return bytes(answer.bytes()), stored
        except FileNotFoundError:
            return None

    def download(self, key: str, path: Path) -> None:
        """As `ObjectStore`."""
        with self._sentences(), path.open("wb") as file:
            for chunk in self._obstore.get(self._store, key).stream(min_chunk_size=PART_BYTES):
                file.write(chunk)

    def put_file(self, key: str, path: Path) -> str:
        """As `ObjectStore`."""
        try:
            with self._sentences():
                answer = self._obstore.put(
                    self._store, key, path, chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
                )
        except StoreError:
            path.stat()  # a file that has vanished is no trouble of the store's
            raise
        return answer["e_tag"] or ""

    def put(self, key: str, content: bytes) -> str:
        """As `ObjectStore`."""
        with self._sentences():
            return self._obstore.put(self._store, key, content, use_multipart=False)["e_tag"] or ""

    def replace(self, key: str, content: bytes, etag: str | None) -> str:
        """As `ObjectStore`."""
        from obstore import exceptions  # noqa: PLC0415

        mode: Any = "create"
        if etag is not None:
            version = self._versions.get((key, etag))
            mode = {"e_tag": etag, **({"version": version} if version else {})}
        try:
            with self._sentences():
                answer = self._obstore.put(self._store, key, content, mode=mode, use_multipart=False)
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise ChangedMeanwhileError(key) from None
        replaced_by = answer["e_tag"] or ""
        self._versions.pop((key, etag or ""), None)
        self._versions[key, replaced_by] = answer["version"]
        return replaced_by

    def delete(self, key: str) -> None:
        """As `ObjectStore`."""
        try:
            with self._sentences(may_be_missing=True):
                self._obstore.delete(self._store, key)
        except FileNotFoundError:
            return

    @contextmanager
    def _sentences(self, *, may_be_missing: bool = False) -> Iterator[None]:
        """Turn what the library raises into one sentence.

        Args:
            may_be_missing: The caller handles an object that does not exist; a missing bucket is an error in any case.
        """
        from obstore import exceptions  # noqa: PLC0415

        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except OSError as error:
            is_of_a_file = error.errno is not None  # of this machine, such as a full disk: not the store's
            if is_of_a_file or (
                may_be_missing and isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error)
            ):
                raise
            raise self._error(error) from None
        except (exceptions.BaseError, ValueError) as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> StoreError:
        text = str(error)
        found, code = _STATUS.search(text), _CODE.search(text)
        status = int(found[1]) if found else None
        if code:
            why = f"{code[1]} ({code[2].rstrip('.')})" if code[2] else code[1]
        elif status:
            why = f"it answers with status {status}"
        elif _ELSEWHERE in text:
            status, why = 301, "the bucket is in another region; set AWS_REGION"
        else:
            why = "it cannot be reached" if "error sending request" in text else _first_line(error)
        if status in {401, 403}:
            why = f"permission denied, {why}"
        may_pass = (status is None and not isinstance(error, FileNotFoundError)) or status in {408, 429}
        is_trouble = status is not None and status >= 500
        return StoreError(f"path_to_output={self._url} cannot be used: {why}", may_pass=may_pass or is_trouble)


def _stored(found: Mapping[str, Any]) -> StoredObject:
    return StoredObject(str(found["path"]), int(found["size"]), str(found["e_tag"] or ""), found["last_modified"])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
