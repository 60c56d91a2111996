"""The client of object stores against a real S3 server, and against servers that refuse, fail and talk nonsense."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ray_downloader.config.store_url import StoreUrl
from ray_downloader.errors import FolderBusyError, UserError
from ray_downloader.stores.base import ChangedMeanwhileError, StoreError
from ray_downloader.stores.client import PART_BYTES, Client, open_store
from ray_downloader.stores.lease import StoreLease
from ray_downloader.stores.mirror import etag_of
from tests.support.google_store import google_store
from tests.support.object_store import BUCKET, KEY, SECRET, RunningStore, running_store

PLACE = f"s3://{BUCKET}/a/run"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def store(server: RunningStore, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.open(PLACE)


@pytest.mark.parametrize(
    "key", ["run.json", "images/server_name=a.example%3A80/partition_id=0/_completed", "a b/ü+&%25"]
)
def test_an_object_has_the_key_of_its_file_and_comes_back_whole(
    server: RunningStore, store: Client, tmp_path: Path, key: str
) -> None:
    etag = store.put(key, b"content")
    found = server.objects(PLACE)[key]
    assert (found.size_bytes, found.etag) == (7, etag)
    read = store.read(key)
    assert read is not None and read[0] == b"content" and read[1].etag == etag
    store.download(key, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert server.objects(f"s3://{BUCKET}")[f"a/run/{key}"].etag == etag, "the key itself is not escaped"
    store.delete(key)
    store.delete(key)
    assert store.read(key) is None
    assert key not in server.objects(PLACE)


@pytest.mark.parametrize("size_bytes", [0, 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 5])
def test_a_file_goes_up_in_parts_and_is_recognised_by_its_etag(store: Client, tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256))
    etag = store.put_file("file", path)
    assert etag == etag_of(path, etag)
    assert ("-" in etag) == (size_bytes > PART_BYTES)
    store.download("file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_an_object_is_replaced_only_if_it_is_the_one_that_was_read(store: Client) -> None:
    first = store.replace("lease", b"1", None)
    with pytest.raises(ChangedMeanwhileError):
        store.replace("lease", b"2", None)
    second = store.replace("lease", b"2", first)
    with pytest.raises(ChangedMeanwhileError):
        store.replace("lease", b"3", first)
    assert second != first
    store.delete("lease")


def test_a_file_that_vanishes_here_is_no_trouble_of_the_store(store: Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file("file", tmp_path / "missing")
    store.put("there", b"x")
    with pytest.raises(FileNotFoundError):
        store.download("there", tmp_path / "missing" / "file")


def test_a_missing_bucket_is_one_sentence(server: RunningStore, store: Client) -> None:
    other = server.open("s3://no-such-bucket/run")
    for request in (lambda: list(other.list()), lambda: other.read("x"), lambda: other.replace("x", b"", None)):
        with pytest.raises(
            StoreError, match=r"^path_to_output=s3://no-such-bucket/run cannot be used: NoSuchBucket"
        ) as told:
            request()
        assert not told.value.may_pass
        assert "\n" not in str(told.value)


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """A server that answers everything like this; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
WRONG = f"<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>"


@pytest.mark.parametrize(
    ("status", "body", "sentence", "may_pass"),
    [
        (403, DENIED, "permission denied, AccessDenied (Access Denied)", False),
        (403, WRONG, "permission denied, SignatureDoesNotMatch (No)", False),
        (403, "", "permission denied", False),
        (503, "<Error><Code>SlowDown</Code></Error>", "SlowDown", True),
        (500, "", "500", True),
        (
            301,
            "<Error><Code>PermanentRedirect</Code></Error>",
            "the bucket is in another region; set AWS_REGION",
            False,
        ),
        (400, "<html>a proxy</html>", "400", False),
    ],
    ids=["denied", "wrong-key", "403", "slow-down", "500", "elsewhere", "400"],
)
def test_every_refusal_is_one_sentence_without_the_request(
    store: Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    body: str,
    sentence: str,
    may_pass: bool,
) -> None:
    (tmp_path / "file").write_text("x")
    with answering(status, body) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        broken = open_store(StoreUrl.parse(PLACE))
        for request in (
            lambda: list(broken.list()),
            lambda: broken.put_file("x", tmp_path / "file"),
            lambda: broken.replace("x", b"", None),
        ):
            with pytest.raises(StoreError) as told:
                request()
            text = str(told.value)
            assert text.startswith(f"path_to_output={PLACE} cannot be used: ")
            assert sentence in text
            assert "\n" not in text and KEY not in text and SECRET not in text and len(text) < 400
            assert told.value.may_pass is may_pass


def test_a_store_that_cannot_be_reached_may_come_back(store: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, "") as endpoint:
        pass
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    with pytest.raises(StoreError, match=r"cannot be used: it cannot be reached$") as told:
        list(open_store(StoreUrl.parse(PLACE)).list())
    assert told.value.may_pass


def test_without_credentials_there_is_one_sentence(store: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError, match="no credentials were found; set AWS_ACCESS_KEY_ID"):
        open_store(StoreUrl.parse(PLACE))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UserError, match="nobody"):
        open_store(StoreUrl.parse(PLACE))


def test_a_profile_has_the_credentials(
    server: RunningStore, store: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    profile = tmp_path / "credentials"
    profile.write_text(f"[lab]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    server.open(PLACE).put("by-profile", b"x")
    assert "by-profile" in server.objects(PLACE)


@pytest.mark.parametrize("missing", ["obstore.store", "boto3"])
def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(UserError, match=r"needs the extra `stores`: pip install 'ray-downloader\[stores\]'"):
        open_store(StoreUrl.parse(PLACE))


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    with google_store() as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.endpoint)
        yield open_store(StoreUrl.parse("gs://pictures/a/run"))


def test_googles_store_holds_the_same_objects(google: Client, tmp_path: Path) -> None:
    key = "images/server_name=a.example%3A80/partition_id=0/_completed"
    etag = google.put(key, b"content")
    assert [(found.key, found.size_bytes, found.etag) for found in google.list()] == [(key, 7, etag)]
    read = google.read(key)
    assert read is not None and (read[0], read[1].etag) == (b"content", etag)
    path = tmp_path / "file"
    path.write_bytes(bytes(PART_BYTES + 1))
    google.put_file("big", path)
    google.download("big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    google.delete(key)
    google.delete(key)
    assert google.read(key) is None


def test_in_googles_store_too_an_object_is_replaced_only_if_it_is_the_one_that_was_read(
    google: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = google.replace("lease", b"1", None)
    with pytest.raises(ChangedMeanwhileError):
        google.replace("lease", b"2", None)
    second = google.replace("lease", b"2", first)
    other = open_store(StoreUrl.parse("gs://pictures/a/run"))
    read = other.read("lease")
    assert read is not None and read[1].etag == second
    third = other.replace("lease", b"3", second)
    with pytest.raises(ChangedMeanwhileError):
        google.replace("lease", b"4", second)
    assert third not in {first, second}


def test_a_run_in_googles_store_is_held_and_given_back(google: Client) -> None:
    lease = StoreLease(google, Path("/tmp/mine"), "gs://pictures/a/run")
    assert lease.acquire() == ""
    lease.claim("w1")
    with pytest.raises(FolderBusyError):
        StoreLease(google, Path("/tmp/other"), "gs://pictures/a/run").acquire()
    lease.release()
    again = StoreLease(google, Path("/tmp/other"), "gs://pictures/a/run")
    assert again.acquire() == "w1"
    again.release()
