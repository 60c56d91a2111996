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
    ValidationError,
    field_serializer,
)

from ray_downloader.config.mistakes import sentence_of
from ray_downloader.errors import TRANSIENT_KINDS, ErrorKind, UserError

Stage = Literal["partition", "profile", "download"]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


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


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False)


class OutputStructure(_Group):
    """Names of files and folders below `path_to_output`."""

    urls_folder: str = "urls"
    logs_folder: str = "logs"
    images_folder: str = "images"
    schedules_folder: str = "schedules"
    profiles_table: str = "profiles.csv"
    ignored_table: str = "ignored.csv"
    inner_checkpoint_file: str = "checkpoint.json"
    tools_folder: str = "tools"


#: Replaces a value that must not appear in files.
REDACTED = "[redacted]"
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
    max_nodes: PositiveInt | None = None
    workers_per_node: PositiveInt | None = None
    cpu_per_worker: PositiveFloat = 1.0
    header: Annotated[bool | str | None, AfterValidator(_http_header), Field(repr=False)] = None
    image_size: PositiveInt = 224
    logger_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    batch_size: PositiveInt = 10_000
    rate_multiplier: NonNegativeFloat = 0.5
    default_rate_limit: PositiveFloat = 3.0

    @field_serializer("header", when_used="json")
    def _without_secret(self, header: bool | str | None) -> bool | str | None:
        return f"{header.partition(':')[0]}: {REDACTED}" if isinstance(header, str) else header


class ToolsParameters(_Group):
    """Resources and thresholds of the tools that run on finished images."""

    num_workers: PositiveInt | None = None
    max_nodes: PositiveInt | None = None
    workers_per_node: PositiveInt | None = None
    cpu_per_worker: PositiveFloat = 1.0
    threshold_size: PositiveInt = 224
    new_resize_size: PositiveInt = 224
    apply: bool = False
    undo: bool = False
    reset: Literal["filtering", "scheduling", "runners"] | None = None
    modules: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    options: Mapping[str, Any] = {}
    max_distance: Annotated[int, Field(ge=0, le=8)] = 4
    base: str | None = None
    match: Literal["hash", "url"] = "hash"
    uuids: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    export_format: Literal["webdataset", "parquet", "imagefolder"] = "webdataset"
    shard_rows: PositiveInt = 10_000


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


def _not_empty(value: str | None) -> str | None:
    if value == "":
        raise ValueError("write the character between cells, such as tab or ';'")
    return value


class TextSettings(_Group):
    """How text lists are read; null: detected from their lines."""

    delimiter: Annotated[str | None, BeforeValidator(_character), AfterValidator(_not_empty)] = None
    quote: Annotated[str | None, BeforeValidator(_character)] = None
    header: bool | None = None
    encoding: str | None = None


class DatasetSettings(_Group):
    """Which columns of the input mean what, and which rows count."""

    name: str = "generic"
    input_help: str = "path_to_input is required: set path_to_input=... to a list of URLs"
    columns: Mapping[str, ColumnNames] | None = None
    text: TextSettings = TextSettings()
    keep: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    licenses: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    checksum: Literal["note", "require"] = "note"
    variant: Literal["best", "good", "medium", "lower", "thumbnail"] = "best"
    size: str | None = None
    drop_basis_of_record: tuple[str, ...] | None = None
    data_sources: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    excluded_servers: Path | None = None
    license: str | None = None


class ServerRule(_Group):
    """Limits for the servers whose canonical name matches the glob `server`."""

    server: str
    rate_rps: PositiveFloat | None = None
    burst: PositiveInt | None = None
    max_connections: PositiveInt | None = None
    max_bytes_per_s: PositiveFloat | None = None
    max_bytes_per_day: PositiveFloat | None = None
    max_requests_per_day: PositiveInt | None = None
    group: str | None = None
    verify_tls: bool | None = None
    headers_env: Annotated[Mapping[str, str] | None, AfterValidator(_headers_env)] = None
    source: str | None = None


class PolitenessSettings(_Group):
    """What the whole cluster together may request from one server."""

    name: str = "polite"
    enabled: bool = True
    contact: str | None = None
    max_connections: PositiveInt = 4
    burst: PositiveInt = 1
    adaptive: bool = True
    max_rate_limit: PositiveFloat | None = None
    robots: Literal["delay", "obey", "ignore"] = "delay"
    opt_out_directives: tuple[str, ...] = ("noai", "noimageai", "noindex", "noimageindex")
    max_bytes_per_s: PositiveFloat | None = None
    max_bytes_per_day: PositiveFloat | None = None
    dead_probe_delays_s: tuple[PositiveFloat, ...] = (5.0, 15.0, 45.0)
    patience_s: PositiveFloat = 900.0
    published_rules: bool = True
    rules: tuple[ServerRule, ...] | None = None


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
    allow_private_addresses: bool = False
    connect_to: Annotated[
        Mapping[str, str] | None, BeforeValidator(_mapping_or_json), AfterValidator(_curl_connect_to)
    ] = None
    proxy: str | None = None
    ca_bundle: Path | None = None
    verify_tls: bool = True
    connect_timeout_s: PositiveFloat = 20.0
    request_timeout_s: PositiveFloat = 300.0
    low_speed_bytes_per_s: NonNegativeInt = 500
    low_speed_s: PositiveInt = 30
    max_bytes: PositiveInt = 256 * 1024 * 1024
    max_redirects: NonNegativeInt = 5
    max_attempts: PositiveInt = 3
    outage_patience_s: PositiveFloat = 600.0


class FetcherSettings(_Group):
    """Which library moves the bytes."""

    name: str = "curl"


class ImageSettings(_Group):
    """What is stored of an image."""

    name: str = "jpeg"
    encode: Literal["jpeg", "png", "webp", "original", "raw"] = "jpeg"
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    chroma: Literal[420, 444] = 420
    decode: Literal["fast", "exact"] = "fast"
    fast_gap: Annotated[int, Field(ge=1, le=8)] = 2
    max_pixels: PositiveInt = 178_956_970
    resize: Literal["keep_ratio_longest", "keep_ratio_shortest", "center_crop", "border", "none"] = "keep_ratio_longest"
    min_size: PositiveInt | None = None
    max_aspect_ratio: Annotated[float, Field(ge=1)] | None = None
    icc: Literal["ignore", "srgb"] = "ignore"
    extra_columns: tuple[Literal["exif", "sha256", "phash"], ...] = ()


class ClusterSettings(_Group):
    """Where Ray runs, and how work is divided for it."""

    name: Literal["local", "existing", "slurm"] = "local"
    address: str | None = None
    namespace: str | None = None
    num_cpus: PositiveInt | None = None
    server_actors: Literal["auto", "dedicated", "shared"] = "auto"
    task_seconds: PositiveFloat = 60.0
    worker_memory_mb: PositiveInt = 400
    dashboard_port: PositiveInt | None = None
    token_file: Path | None = None
    scratch: str = "/tmp"
    start_timeout_s: PositiveFloat = 90.0


class ProfileSettings(_Group):
    """How servers are measured before the download."""

    name: str = "default"
    launcher: Literal["auto", "mpiexec", "inline"] = "auto"
    samples_per_server: PositiveInt = 5
    max_seconds: PositiveFloat = 60.0


class Settings(_Group):
    """The complete configuration of a run."""

    path_to_input: str
    path_to_output: Path
    mode: Literal["run", "plan"] = "run"
    stages: tuple[Stage, ...] = ("partition", "profile", "download")
    reset: Literal["batched", "profiled"] | None = None
    retry_errors: RetryKinds = ()
    demo: bool = False
    account: str | None = None
    output_structure: OutputStructure = OutputStructure()
    downloader_parameters: DownloaderParameters = DownloaderParameters()
    tools_parameters: ToolsParameters = ToolsParameters()
    dataset: DatasetSettings = DatasetSettings()
    politeness: PolitenessSettings = PolitenessSettings()
    network: NetworkSettings = NetworkSettings()
    fetcher: FetcherSettings = FetcherSettings()
    image: ImageSettings = ImageSettings()
    cluster: ClusterSettings = ClusterSettings()
    profile: ProfileSettings = ProfileSettings()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Validate a composed configuration.

        Raises:
            UserError: A key is unknown or missing, or a value is not allowed; one line per key.
        """
        try:
            return cls.model_validate(config)
        except ValidationError as error:
            raise UserError("\n".join(sentence_of(detail, cls) for detail in error.errors())) from None

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read a file that `save` wrote.

        Raises:
            UserError: The file does not exist, or is not a settings file.
        """
        try:
            return cls.from_config(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise UserError(f"{path} does not exist; it is written by a run into its output folder") from None
        except json.JSONDecodeError as error:
            raise UserError(f"{path} is not a settings file: {error}") from None

    def to_json(self) -> str:
        """The settings as the content of `settings.json`."""
        return self.model_dump_json(indent=2) + "\n"
