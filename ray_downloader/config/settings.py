"""Configuration, parsed once into frozen models.

Hydra composes `conf/`; `Settings.from_config` validates the result, and from then on nothing reads a dictionary again.
The driver writes `settings.json`; MPI ranks, Slurm steps and Ray tasks load that file, so they cannot drift apart.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    ValidationError,
    field_serializer,
)

from ray_downloader.config.mistakes import sentence_of
from ray_downloader.config.store_url import StoreUrl, is_store_url, private_base
from ray_downloader.errors import TRANSIENT_KINDS, ErrorKind, UserError
from ray_downloader.machine import with_home

Stage = Literal["partition", "profile", "download"]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _not_blank(value: Any) -> Any:
    """A path that is not empty: an empty one, such as an unset variable of a shell, would be the working folder."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("it is empty; name a file or folder")
    return value


#: A column may have several names; the first that the file has is used.
ColumnNames = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]


def _kinds_by_name(value: object) -> object:
    """One kind or several; the name `transient` stands for all kinds that may pass."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return value
    known = {str(kind) for kind in ErrorKind}
    kinds: dict[str, None] = {}
    for name in map(str, names):
        if name == TRANSIENT:
            kinds.update(dict.fromkeys(sorted(str(kind) for kind in TRANSIENT_KINDS)))
        elif name in known:
            kinds[name] = None
        else:
            near = difflib.get_close_matches(name, [TRANSIENT, *known], n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"{name!r} is not a kind of error; {hint}choose {TRANSIENT} or from {', '.join(sorted(known))}"
            )
    return list(kinds)


#: Name of all failures that may pass, in `retry_errors`.
TRANSIENT = "transient"
RetryKinds = Annotated[tuple[ErrorKind, ...], BeforeValidator(_kinds_by_name)]


def _paths(value: object) -> object:
    """One path or several; none for null."""
    return () if value is None else _one_or_many(value)


BaseRuns = Annotated[tuple[Annotated[str, AfterValidator(_not_blank)], ...], BeforeValidator(_paths)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class OutputStructure(_Group):
    """Names of files and folders below `path_to_output`."""

    urls_folder: str = "urls"
    """Folder of the list by server: batches, index, rejected rows."""
    logs_folder: str = "logs"
    """Folder of the logs, one file per process, and of progress.json."""
    images_folder: str = "images"
    """Folder of the results: successes.parquet and errors.parquet per batch."""
    schedules_folder: str = "schedules"
    """Folder of what was learned about servers, and of orders."""
    profiles_table: str = "profiles.csv"
    """File with the profile of every server."""
    ignored_table: str = "ignored.csv"
    """File with servers to leave out, one per line."""
    inner_checkpoint_file: str = "checkpoint.json"
    """File that says which stages are done, for legacy scripts."""
    tools_folder: str = "tools"
    """Folder of the results of tools."""


MAX_PORT = 65_535
#: Replaces a value that must not appear in files.
REDACTED = "[redacted]"
#: The user and password of a proxy, with or without a scheme before them.
_PROXY_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@")
#: RFC 9110 section 5.6.2.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: Headers that the connection needs, that identify us, or that request something other than the complete, stored file.
_OUR_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "range", "te", "transfer-encoding", "upgrade"}
)


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("the name of a header is letters, digits and hyphens, such as Authorization")
    if name.lower() == "user-agent":
        raise ValueError("User-Agent is set by the program; identify yourself with politeness.contact")
    if name.lower() in _OUR_HEADERS:
        raise ValueError(f"{name} is set by the program itself")
    return "Cookie" if name.lower() == "cookie" else name


def _http_header(value: bool | str | None) -> bool | str | None:
    """Whether there is a header row, or an HTTP header as "Name: value"."""
    if not isinstance(value, str):
        return value
    name, colon, text = value.partition(":")
    if not (colon and re.fullmatch(r"[ -~\xa0-\xff]+", text) and text.strip()):
        raise ValueError('write true or false (the list has a header row), or an HTTP header as "Name: value"')
    return f"{_header_name(name.strip())}: {text.strip()}"


def _headers_env(variables: Mapping[str, str] | None) -> Mapping[str, str] | None:
    for variable in (variables or {}).values():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            raise ValueError("write the name of an environment variable, not the value itself")
    return {_header_name(name): variable for name, variable in variables.items()} if variables else None


class DownloaderParameters(_Group):
    """How much is downloaded at once, and how images are stored."""

    num_downloads: PositiveInt = 1
    """Number of jobs that a legacy configuration wants; one is enough here."""
    max_nodes: PositiveInt | None = None
    """Most nodes to use; null: all."""
    workers_per_node: PositiveInt | None = None
    """Worker tasks on each node; null: one per core."""
    cpu_per_worker: PositiveFloat = 1.0
    """Cores that each worker task reserves."""
    header: Annotated[bool | str | None, AfterValidator(_http_header), Field(repr=False)] = None
    """Whether the list has a header row (true or false), or an HTTP header "Name: value" that is sent to the list's
    servers and kept out of files."""
    image_size: PositiveInt = 224
    """Longer side of stored images in pixels; images are never enlarged."""
    logger_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe messages to log; DEBUG adds the start and the end of each image."""
    batch_size: PositiveInt = 10_000
    """Most rows per batch."""
    pool_below: NonNegativeInt = 200
    """Servers with fewer rows share batches and files (server_name=pooled)."""
    rate_multiplier: NonNegativeFloat = 0.5
    """A server's rate may rise to its profiled rate x (1 + this)."""
    default_rate_limit: PositiveFloat = 3.0
    """Requests/s with which a server without a profile begins."""

    @field_serializer("header", when_used="json")
    def _without_secret(self, header: bool | str | None) -> bool | str | None:
        return f"{header.partition(':')[0]}: {REDACTED}" if isinstance(header, str) else header


class ToolsParameters(_Group):
    """Resources and thresholds of the tools that run on finished images."""

    num_workers: PositiveInt | None = None
    """Most tasks of a tool at once; null: all cores."""
    max_nodes: PositiveInt | None = None
    """Most nodes that a tool uses; null: all."""
    workers_per_node: PositiveInt | None = None
    """Tasks of a tool on each node; null: one per core."""
    cpu_per_worker: PositiveFloat = 1.0
    """Cores that each task of a tool reserves."""
    threshold_size: PositiveInt = 224
    """size_based lists images whose shorter side is below this, in pixels."""
    new_resize_size: PositiveInt = 224
    """resize: longer side of the new images, in pixels."""
    apply: bool = False
    """Replace the run's images with the tool's result."""
    undo: bool = False
    """Restore the images that apply replaced."""
    reset: Literal["filtering", "scheduling", "runners"] | None = None
    """Start the tool over from this step."""
    modules: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    """Custom tools: dotted modules or .py files that register them."""
    options: Mapping[str, Any] = {}
    """Parameters of a custom tool."""
    max_distance: Annotated[int, Field(ge=0, le=8)] = 4
    """near_duplicates: bits of 64 in which perceptual hashes may differ."""
    base: str | None = None
    """merge_base: run folder or parquet files with the images that you already have."""
    match: Literal["hash", "url"] = "hash"
    """merge_base: what images are compared by, the hash of the bytes received or the URL."""
    uuids: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    """lookup: images to extract."""
    runs: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    """link_health: further run folders, or their URLs in an object store."""
    export_format: Literal["webdataset", "parquet", "imagefolder", "lance"] = "webdataset"
    """export: what to write."""
    shard_rows: PositiveInt = 10_000
    """export: approximate number of images per shard."""


class ExportSettings(_Group):
    """What an export is like (tool=export), beside its form and the size of its shards."""

    label: str | None = None
    """Column that becomes the label of each image, such as a column of dataset.keep; null: none."""
    shuffle: int | None = None
    """Seed by which images are shuffled; null: in the order of the run's files."""


_CHARACTERS = {
    "tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "bar": "|", "space": " ", "blank": " ",
    "blanks": " ", "none": "", "no": "", "double": '"', "single": "'",
}  # fmt: skip


def _character(value: object) -> object:
    """A character itself, or its name if a shell or YAML makes it hard to write."""
    if isinstance(value, str) and (text := _CHARACTERS.get(value.lower(), value)) is not None:
        if len(text) > 1:
            raise ValueError(f"write one character, or one of: {', '.join(_CHARACTERS)}")
        return text
    return "" if value is False else value


def _delimiter(value: object) -> object:
    """Characters themselves (four at most), or the name of one."""
    if isinstance(value, str) and 1 < len(value) <= 4 and value.lower() not in _CHARACTERS and not value.isalnum():
        return value
    return _character(value)


def _not_empty(value: str | None) -> str | None:
    if value == "":
        raise ValueError("write the character between cells, such as tab or ';'")
    return value


class TextSettings(_Group):
    """How text lists are read; null: detected from their lines."""

    delimiter: Annotated[str | None, BeforeValidator(_delimiter), AfterValidator(_not_empty)] = None
    """Up to four characters between cells, or the name of one: tab, comma, semicolon, pipe, space."""
    quote: Annotated[str | None, BeforeValidator(_character)] = None
    """Character around cells, or none."""
    header: bool | None = None
    """Whether the first row names the columns."""
    encoding: str | None = None
    """Encoding such as utf-8, cp1252, utf-16, shift_jis."""


class DatasetSettings(_Group):
    """Which columns of the input mean what, and which rows count."""

    name: str = "generic"
    """Which list this is."""
    input_help: str = "path_to_input is required: set path_to_input=... to a list of URLs"
    """What to say if path_to_input is missing."""
    columns: Mapping[str, ColumnNames] | None = None
    """Names of the list's columns by role, such as {identifier: file_url, source_id: id}; null: those of the
    dataset."""
    text: TextSettings = TextSettings()
    """How text lists are read."""
    keep: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    """Columns of the list, or of an archive's occurrences, to carry through to successes.parquet."""
    licenses: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    """Licences to accept, such as [cc0, cc-by], in any spelling; others are rejected; []: all."""
    checksum: Literal["note", "require"] = "note"
    """What to do if a checksum in the list is not that of the file: note it in checksum_ok, or require it."""
    variant: Literal["best", "good", "medium", "lower", "thumbnail", "all"] = "best"
    """Which of an archive\'s several URLs of one medium to take; all: every row, where each has a row of its own."""
    size: str | None = None
    """Which of the sizes that a service offers to take."""
    drop_basis_of_record: tuple[str, ...] | None = None
    """Kinds of record whose rows are rejected."""
    data_sources: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    """tol200m: sources to take; []: all."""
    excluded_servers: Path | None = None
    """File with names of servers whose rows are rejected."""
    license: str | None = None
    """Licence of rows that state none."""


class ServerRule(_Group):
    """Limits for the servers whose canonical name matches the glob `server`."""

    server: str
    """Glob of canonical server names."""
    rate_rps: PositiveFloat | None = None
    """Most requests/s."""
    burst: PositiveInt | None = None
    """Requests that may be sent at once."""
    max_connections: PositiveInt | None = None
    """Most connections."""
    max_bytes_per_s: PositiveFloat | None = None
    """Most bytes/s."""
    max_bytes_per_day: PositiveFloat | None = None
    """Most bytes per day."""
    max_requests_per_day: PositiveInt | None = None
    """Most requests per day."""
    group: str | None = None
    """Name of a budget that all matching servers share."""
    verify_tls: bool | None = None
    """Whether the server's certificate must be valid."""
    headers_env: Annotated[Mapping[str, str] | None, AfterValidator(_headers_env)] = None
    """HTTP headers by name, each with the environment variable that has its value."""
    source: str | None = None
    """Where the server's operator states these limits."""


class PolitenessSettings(_Group):
    """What the whole cluster together may request from one server."""

    name: str = "polite"
    """Which limits apply: polite, or unlimited for servers of your own."""
    enabled: bool = True
    """Whether there are limits at all."""
    contact: str | None = None
    """Your e-mail address or web page, for the User-Agent; required if public servers are requested."""
    info_url: str | None = None
    """A page for server operators that says what the run is for and how to slow or stop it, for the User-Agent."""
    signature_key: Path | None = None
    """File with an Ed25519 key (PEM) that signs requests (Web Bot Auth); null: they are not signed."""
    signature_agent: str | None = None
    """Site whose directory has the public key; null: that of info_url."""
    max_connections: PositiveInt = 4
    """Most connections to one server, from the whole cluster."""
    burst: PositiveInt = 1
    """Requests that may be sent to a server at once."""
    adaptive: bool = True
    """Whether rates are learned during the run."""
    max_rate_limit: PositiveFloat | None = None
    """Requests/s that no server ever exceeds."""
    robots: Literal["delay", "obey", "ignore"] = "delay"
    """robots.txt: heed only its Crawl-delay, obey it, or ignore it. One that names ray_downloader is obeyed always."""
    opt_out: Literal["default", "strict"] = "default"
    """What to leave out: what opt_out_directives name, or (strict) also what Content-Usage, Content-Signal, TDMRep or
    noml reserve. The column usage records it in any case; tdmrep.json is only requested if strict."""
    opt_out_directives: tuple[str, ...] = ("noai", "noimageai", "noindex", "noimageindex")
    """Words of X-Robots-Tag for which an image is left out (opted_out)."""
    max_bytes_per_s: PositiveFloat | None = None
    """Most bytes/s from one server."""
    max_bytes_per_day: PositiveFloat | None = None
    """Most bytes per day from one server."""
    dead_probe_delays_s: tuple[PositiveFloat, ...] = (5.0, 15.0, 45.0)
    """Seconds between the first probes of a server that cannot be reached."""
    patience_s: PositiveFloat = 900.0
    """How long a server in trouble is waited for while nothing else is left to do."""
    published_rules: bool = True
    """Whether the shipped table of published policies applies."""
    rules: tuple[ServerRule, ...] | None = None
    """Limits of single servers, such as [{server: "*.example.org", rate_rps: 2}]."""


def _mapping_or_json(value: object) -> object:
    """A mapping, which may be written as JSON if a shell or a YAML file makes that easier."""
    return json.loads(value) if isinstance(value, str) else value


def _curl_connect_to(value: Mapping[str, str] | None) -> Mapping[str, str] | None:
    for source, target in (value or {}).items():
        host, _, port = target.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"the target of {source!r} is {target!r}; write it as host:port")
    return value


class NetworkSettings(_Group):
    """How connections are made, and when a request is given up. Sizes in bytes, times in seconds."""

    name: str = "default"
    """Which network settings apply."""
    allow_private_addresses: bool = False
    """Whether loopback, private and link-local addresses may be requested."""
    connect_to: Annotated[
        Mapping[str, str] | None, BeforeValidator(_mapping_or_json), AfterValidator(_curl_connect_to)
    ] = None
    """Where to connect instead, {"host:port": "host:port"} with "*" for any, as curl's --connect-to."""
    proxy: Annotated[str | None, Field(repr=False)] = None
    """Address of a proxy for all requests."""
    ca_bundle: Path | None = None
    """File with the certificates to trust; null: those of certifi."""
    verify_tls: bool = True
    """Whether servers' certificates must be valid."""
    connect_timeout_s: PositiveFloat = 20.0
    """Seconds until a connection must be there."""
    request_timeout_s: PositiveFloat = 300.0
    """Seconds for one request; a redirect is another one."""
    low_speed_bytes_per_s: NonNegativeInt = 500
    """A transfer slower than this for low_speed_s ends as too_slow."""
    low_speed_s: PositiveInt = 30
    """Seconds for which a transfer may be that slow."""
    max_bytes: PositiveInt = 256 * 1024 * 1024
    """Most bytes of one file."""
    max_unpacked_bytes: PositiveInt = 256 * 1024 * 1024
    """Most bytes that a gzip body may become; above 16 MB it may also be at most 100 times what was received."""
    max_redirects: NonNegativeInt = 5
    """Most redirects for one image."""
    max_attempts: PositiveInt = 3
    """Most requests for one image, including retries."""
    outage_patience_s: PositiveFloat = 600.0
    """How long the run waits while no server at all can be reached; then exit code 3."""

    @field_serializer("proxy", when_used="json")
    def _without_password(self, proxy: str | None) -> str | None:
        return proxy if proxy is None or "@" not in proxy else _PROXY_USER.sub(rf"\1{REDACTED}@", proxy)


class FetcherSettings(_Group):
    """Which library moves the bytes."""

    name: str = "curl"
    """Which library moves the bytes: curl or requests."""


def _off(value: object) -> object:
    """YAML takes the word off for a boolean."""
    return "off" if value is False else value


class ImageSettings(_Group):
    """What is stored of an image."""

    name: str = "jpeg"
    """Which image settings apply."""
    encode: Literal["jpeg", "png", "webp", "original", "raw"] = "jpeg"
    """What is stored: an encoded picture, the original file, or raw pixels."""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """Quality of JPEG and WebP."""
    chroma: Literal[420, 444] = 420
    """Resolution of colour in JPEGs: 420 halves it in both directions, 444 keeps it."""
    decode: Literal["fast", "exact"] = "fast"
    """fast: libjpeg's scaled decoding; exact: full decoding."""
    fast_gap: Annotated[int, Field(ge=1, le=8)] = 2
    """Scaled decoding keeps at least this many times the target size."""
    max_pixels: PositiveInt = 178_956_970
    """Pictures with more pixels are refused before they are decoded."""
    resize: Literal["keep_ratio_longest", "keep_ratio_shortest", "center_crop", "border", "none"] = "keep_ratio_longest"
    """How a picture becomes image_size; no way enlarges it."""
    renditions: Annotated[Literal["off", "auto"], BeforeValidator(_off)] = "off"
    """auto: request the smallest version that a known host serves and that is fast_gap times image_size, or larger."""
    placeholders: Literal["keep", "reject"] = "keep"
    """reject: a picture that a server sends for ten links or more becomes an error (not_image) at the end."""
    min_size: PositiveInt | None = None
    """Pictures with a side below this many pixels end as errors."""
    max_aspect_ratio: Annotated[float, Field(ge=1)] | None = None
    """Pictures whose longer side is more than this times the shorter end as errors."""
    icc: Literal["ignore", "srgb"] = "ignore"
    """Whether embedded colour profiles are converted to sRGB."""
    extra_columns: tuple[Literal["exif", "sha256", "phash"], ...] = ()
    """Further columns of successes.parquet."""
    changed: Literal["refuse", "new"] = "refuse"
    """What different image settings mean for a run that holds images: refused, or for new pictures only."""


def _port(value: object) -> object:
    """A port, `auto`, or nothing."""
    text = str(value).strip()
    if value is None or text == "auto":
        return value if value is None else "auto"
    if isinstance(value, bool) or not (text.isdecimal() and 1 <= int(text) <= MAX_PORT):
        raise ValueError(f"write a port from 1 to {MAX_PORT}, auto, or null for none")
    return int(text)


class ClusterSettings(_Group):
    """Where Ray runs, and how work is divided for it."""

    name: Literal["local", "existing", "slurm"] = "local"
    """Where Ray runs: embedded, one that runs already, or on the nodes of a Slurm job."""
    address: str | None = None
    """existing: host:port of the Ray to join; null: RAY_ADDRESS."""
    namespace: str | None = None
    """Ray namespace of the run; null: one of its own."""
    num_cpus: PositiveInt | None = None
    """local: cores to use; null: all."""
    server_actors: Literal["auto", "dedicated", "shared"] = "auto"
    """Whether big servers get an actor of their own, all do, or none."""
    task_seconds: PositiveFloat = 60.0
    """After this time a task returns its unfinished batches."""
    worker_memory_mb: Annotated[int, Field(ge=256)] = 400
    """Memory of a worker task; bodies that do not fit wait in files below `scratch`."""
    decoder_memory_mb: Annotated[int, Field(ge=256)] = 768
    """Memory of its decoder process, which reads big and odd pictures; those that need more are refused."""
    dashboard_port: Annotated[int | Literal["auto"] | None, BeforeValidator(_port)] = "auto"
    """Port of Ray's dashboard on 127.0.0.1; auto: for Slurm and for runs planned to take over 5 minutes; null: none."""
    token_file: Path | None = None
    """existing: file with the token of a Ray that requires one."""
    scratch: str = "/tmp"
    """Folder on each node for large bodies and for Ray's sockets and logs; its path must be short."""
    work_folder: str | None = None
    """Folder in which a run works whose path_to_output is a URL; null: scratch. All nodes of a job must see it."""
    interface: str | None = None
    """slurm: network interface that connects the nodes, such as ib0; null: the one towards the second node."""
    start_timeout_s: PositiveFloat = 90.0
    """How long Ray may take to start, in seconds."""


class LoggingSettings(_Group):
    """How messages are written."""

    format: Literal["text", "json"] = "text"
    """Lines of text, or one JSON object per line."""


class ProfileSettings(_Group):
    """How servers are measured before the download."""

    name: str = "default"
    """Which profile settings apply."""
    launcher: Literal["auto", "mpiexec", "inline"] = "auto"
    """How ranks are started: with MPI, in this process, or whatever works."""
    samples_per_server: PositiveInt = 5
    """Requests to each server."""
    max_seconds: PositiveFloat = 60.0
    """Most seconds for one server."""


def known_keys(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The values without keys that the model does not have: another version wrote them."""
    known = {}
    for key, value in values.items():
        field = model.model_fields.get(key)
        if field is not None:
            kind: Any = field.annotation
            is_group = isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, Mapping)
            known[key] = known_keys(value, kind) if is_group else value
    return known


class Settings(_Group):
    """The complete configuration of a run."""

    path_to_input: str
    """The list: file, folder, glob, or Darwin Core Archive."""
    path_to_output: Annotated[Path, BeforeValidator(_not_blank)]
    """The run folder, or its URL in an object store (s3://bucket/run, gs://bucket/run); the same command continues."""
    mode: Literal["run", "plan"] = "run"
    """run, or plan: no image is fetched, but servers, rows and the expected time are shown."""
    stages: Annotated[tuple[Stage, ...], BeforeValidator(_one_or_many)] = ("partition", "profile", "download")
    """Stages to run."""
    reset: Literal["batched", "profiled"] | None = None
    """Start over: batched from the list, which removes all images; profiled from the partitions."""
    confirm: str | None = None
    """Name of the run folder, to confirm reset=batched."""
    list: Literal["extend", "keep"] | None = None
    """What a changed list means: extend adds its new rows, keep continues without them."""
    verify: bool = False
    """Check every stored picture against its checksum, and fetch what is damaged again."""
    retry_errors: RetryKinds = ()
    """Kinds of error to try again, such as [dns, timeout]; transient: all that may pass."""
    base: BaseRuns = ()
    """Run folders of earlier lists, or their URLs in an object store: pictures that they have are not fetched but taken
    from there."""
    refetch: Literal["changed"] | None = None
    """changed: ask servers whether the pictures of base are still the same, and fetch those that are not."""
    demo: bool = False
    """Start the demo's servers and download their list (+experiment=demo sets it)."""
    account: str | None = None
    """Account of the Slurm cluster, for scripts and custom tools."""
    output_structure: OutputStructure = OutputStructure()
    """Names of files and folders in the run folder."""
    downloader_parameters: DownloaderParameters = DownloaderParameters()
    """How much is downloaded at once, and how images are stored."""
    tools_parameters: ToolsParameters = ToolsParameters()
    """Resources and thresholds of tools."""
    export: ExportSettings = ExportSettings()
    """What an export is like."""
    dataset: DatasetSettings = DatasetSettings()
    """Which columns mean what, and which rows count."""
    politeness: PolitenessSettings = PolitenessSettings()
    """What the whole cluster together may request from one server."""
    network: NetworkSettings = NetworkSettings()
    """How connections are made, and when a request is given up."""
    fetcher: FetcherSettings = FetcherSettings()
    """Which library moves the bytes."""
    image: ImageSettings = ImageSettings()
    """What is stored of an image."""
    cluster: ClusterSettings = ClusterSettings()
    """Where Ray runs, and how work is divided for it."""
    logging: LoggingSettings = LoggingSettings()
    """How messages are written."""
    profile: ProfileSettings = ProfileSettings()
    """How servers are measured before the download."""

    _store: StoreUrl | None = PrivateAttr(None)

    @property
    def store(self) -> StoreUrl | None:
        """Where results go beyond `path_to_output`, which then is the run's work folder; None: nowhere.

        It is not part of `settings.json`: a copy of a work folder is a run folder like any other.
        """
        return self._store

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Validate a composed configuration; a `path_to_output` that is a URL becomes the path of the work folder.

        Raises:
            UserError: A key is unknown or missing, or a value is not allowed; one line per key.
        """
        place = config.get("path_to_output")
        store = StoreUrl.parse(place) if is_store_url(place) else None
        try:
            settings = cls.model_validate({**config, "path_to_output": store.name} if store else config)
        except ValidationError as error:
            raise UserError("\n".join(sentence_of(detail, cls) for detail in error.errors())) from None
        return settings._in_store(store) if store else settings

    def _in_store(self, store: StoreUrl) -> Settings:
        parent = with_home(self.cluster.work_folder or self.cluster.scratch).absolute()
        settings = self.model_copy(update={"path_to_output": store.work_folder(private_base(parent))})
        settings._store = store
        return settings

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read a file that `save` wrote.

        Raises:
            UserError: The file does not exist, or is not a settings file.
        """
        try:
            return cls.from_config(known_keys(json.loads(path.read_text("utf-8")), cls))
        except FileNotFoundError:
            raise UserError(f"{path} does not exist; it is written by a run into its output folder") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, AttributeError, RecursionError) as error:
            raise UserError(f"{path} is not a settings file: {error}") from None

    def to_json(self) -> str:
        """The settings as the content of `settings.json`."""
        return self.model_dump_json(indent=2) + "\n"
