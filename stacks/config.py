"""The settings of a deployment: the `stepvec` object of cdk.json's context, checked."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stacks.devices import DEVICES, Device
from stepvec import codec
from stepvec.errors import ConfigurationError, InvalidInputError, RecordError
from stepvec.estimate.capacity import Capacity
from stepvec.limits import (
    LOG_RETENTION_DAYS,
    MAP_CONCURRENCY,
    QUEUE_BATCH_WINDOW_SECONDS,
    SCHEDULE_WINDOW_MINUTES,
)
from stepvec.rows.item import VECTOR_TYPES
from stepvec.rows.model import ENGINES, PRECISIONS, PREPROCESSINGS, check_engine
from stepvec.runs.run_input import MAX_SHARD_SIZE, parse_run_input
from stepvec.schedules import parse_schedule

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
"""A stack's name has up to 128 of these; names of what is in it begin with it, and are shorter."""
CONTEXT_KEY: Final = "stepvec"
SETTINGS_VARIABLE: Final = "STEPVEC_SETTINGS"
_SETTINGS_EXAMPLE: Final = 'For example: {"upload_trigger": true}.'
WHERE: Final = "The `stepvec` settings of cdk.json"


def setting(
    default: Any, about: str, *, choices: tuple[Any, ...] = (), between: tuple[float, float] | None = None
) -> Any:
    """A field of PipelineConfig: its default, its line in docs/configuration.md, and the values it may have."""
    return dataclasses.field(default=default, metadata={"about": about, "choices": choices, "between": between})


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What a deployment may choose. docs/configuration.md is this class as a table (a test holds them together)."""

    name: str = setting(
        "Stepvec",
        "Beginning of the two stacks' names. Give each deployment of one account and region its own, and tell "
        "`stepvec run` of them: `--data-stack NAMEData --pipeline-stack NAMEPipeline`.",
    )
    device: str = setting(
        "cpu",
        "What embeds: `cpu`, or `gpu` (one GPU a job on g4dn, g5 or g6). **The GPU variant has never run.**",
        choices=tuple(DEVICES),
    )
    spot: bool = setting(
        True, "`true`: Spot instances first, on-demand ones when there is no Spot capacity. `false`: on-demand only."
    )
    max_vcpus: int = setting(
        64,
        "vCPUs that each compute environment may have; a shard takes 1 (`cpu`) or 4 (`gpu`). 0 run between runs.",
        between=(1, 100_000),
    )
    max_concurrency: int = setting(
        0,
        "Shards submitted at a time. 0: as many as `max_vcpus` runs with Spot, so that a queue that is merely long "
        "does not spill over to on-demand instances; twice as many without.",
        between=(0, MAP_CONCURRENCY),
    )
    shard_size: int = setting(
        5_000,
        "Images of a shard, where an input does not say. 5,000 take a vCPU some two minutes.",
        between=(1, MAX_SHARD_SIZE),
    )
    preprocessing: str = setting(
        "standard-1",
        "`standard-1`, or `sample-1` for people who already have the original sample's vectors.",
        choices=PREPROCESSINGS,
    )
    vector_type: str = setting(
        "float32",
        "`float32` (ResNet18: 3 write units an image), `float16` (2) or `int8` (1; its rows have a `Scale`). "
        "Rows keep the type that they were written in.",
        choices=VECTOR_TYPES,
    )
    engine: str = setting(
        "mxnet",
        "What computes the vectors: `mxnet`, the reference, or `openvino`, on CPUs only. Part of the rows' `Model`.",
        choices=ENGINES,
    )
    precision: str = setting(
        "float32",
        "`float32`, or with `openvino` also `bf16` (CPUs with AVX-512 BF16 or AMX) and `int8` (VNNI; the model must "
        "have been calibrated: `stepvec calibrate`). A CPU without them computes in float32, and the log says so.",
        choices=PRECISIONS,
    )
    network: str = setting(
        "public",
        "`public`: public subnets without ingress, no cost when idle. `private`: no internet at all, with interface "
        "endpoints that cost by the hour ([cost.md](cost.md)).",
        choices=("public", "private"),
    )
    image_bucket: str = setting(
        "", "Name of a bucket of yours that holds the images, in this account and region. Empty: one is created."
    )
    table: str = setting(
        "",
        "Name of a table of yours for the vectors, its partition key `ImageId` (a string), no sort key. "
        "Empty: one is created.",
    )
    deletion_protection: bool = setting(
        True, "Whether DynamoDB and CloudFormation refuse to delete the table and the data stack."
    )
    kms: bool = setting(
        False, "Encrypt buckets, table, topic and logs with a key of your own, $1 a month, instead of AWS's keys."
    )
    xray: bool = setting(False, "Trace the state machine and the functions with X-Ray.")
    log_retention_days: int = setting(30, "Days that logs are kept.", choices=LOG_RETENTION_DAYS)
    alarm_email: str = setting(
        "", "Who gets the alarms and each run's counts; AWS asks this address to confirm. Empty: nobody yet."
    )
    vcpu_hour_usd: float = setting(
        0.0, "What an hour of a vCPU costs you, for plans and reports. 0: unknown with Spot.", between=(0, 1_000)
    )
    schedule: str = setting("", "Starts runs by itself: `rate(1 day)` or `cron(0 3 * * ? *)`. Empty: no schedule.")
    schedule_timezone: str = setting("UTC", "By whose clocks the schedule goes.")
    schedule_paths: tuple[str, ...] = setting((), "The `Paths` of its runs.")
    schedule_window_minutes: int = setting(
        0, "A scheduled run may begin this much later. 0: on time.", between=(0, SCHEDULE_WINDOW_MINUTES)
    )
    upload_trigger: bool = setting(
        False,
        "Whether uploads to the image bucket are embedded as they come. A bucket of your own must "
        "send its events to EventBridge: switch it on in the bucket's properties.",
    )
    upload_prefixes: tuple[str, ...] = setting((), "Only uploads under these prefixes. None: the whole bucket.")
    upload_window_seconds: int = setting(
        60, "How long uploads are gathered for one run.", between=(1, QUEUE_BATCH_WINDOW_SECONDS)
    )

    @property
    def data_stack(self) -> str:
        """Name of the stack of what outlives the pipeline."""
        return f"{self.name}Data"

    @property
    def pipeline_stack(self) -> str:
        """Name of the stack of everything else."""
        return f"{self.name}Pipeline"

    @property
    def hardware(self) -> Device:
        """What one job gets and where it runs."""
        return DEVICES[self.device]

    @property
    def map_concurrency(self) -> int:
        """Child executions of the Map at a time."""
        if self.max_concurrency:
            return self.max_concurrency
        jobs = max(1, self.max_vcpus // self.hardware.vcpus)
        # Batch sends what the Spot environment has no room for to the on-demand one: docs/decisions/0011.
        return min(jobs if self.spot else 2 * jobs, MAP_CONCURRENCY)

    @property
    def capacity(self) -> Capacity:
        """What the deployment may use at a time, for plans and reports."""
        hardware = self.hardware
        return Capacity(
            device=self.device,
            jobs=max(1, min(self.map_concurrency, self.max_vcpus // hardware.vcpus)),
            vcpus_per_job=hardware.vcpus,
            families=hardware.families,
            root_volume_gib=hardware.root_volume_gib,
            spot=self.spot,
            shard_size=self.shard_size,
            vcpu_hour_usd=self.vcpu_hour_usd,
        )


def read_config(settings: Mapping[str, Any]) -> PipelineConfig:
    """The configuration in `settings`. Raises ConfigurationError naming the setting that is wrong."""
    try:
        config = codec.from_document(PipelineConfig, dict(settings), where=WHERE)
    except RecordError as error:
        raise ConfigurationError(error.message, remedy="See docs/configuration.md for what may be set.") from error
    for field in dataclasses.fields(config):
        _check(field.name, getattr(config, field.name), field.metadata)
    if config.max_vcpus < config.hardware.vcpus:
        raise ConfigurationError(
            f"{WHERE}: max_vcpus is {config.max_vcpus}, and one {config.device} job takes {config.hardware.vcpus}.",
            remedy=f"Use at least {config.hardware.vcpus}.",
        )
    if not _NAME.fullmatch(config.name):
        raise ConfigurationError(
            f"{WHERE}: name is {config.name!r}.", remedy="Use up to 40 letters, digits and hyphens, a letter first."
        )
    if config.alarm_email and "@" not in config.alarm_email:
        raise ConfigurationError(
            f"{WHERE}: alarm_email is {config.alarm_email!r}.", remedy="Use an e-mail address, or leave it empty."
        )
    check_engine(config.engine, config.precision)
    if config.device == "gpu" and config.engine != "mxnet":
        raise ConfigurationError(
            f"{WHERE}: engine is {config.engine}, which runs on CPUs only.",
            remedy="Use engine mxnet on a GPU, or device cpu.",
        )
    check_triggers(config)
    return config


def settings_of(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings in the variable STEPVEC_SETTINGS (JSON), which replace cdk.json's. Raises ConfigurationError."""
    text = environ.get(SETTINGS_VARIABLE) or "{}"
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{SETTINGS_VARIABLE} is not JSON: {error}.", remedy=_SETTINGS_EXAMPLE) from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{SETTINGS_VARIABLE} is no JSON object.", remedy=_SETTINGS_EXAMPLE)
    return settings


def configuration_table() -> str:
    """PipelineConfig as the table of docs/configuration.md."""
    lines = ["| Setting | Default | |", "|---|---|---|"]
    for field in dataclasses.fields(PipelineConfig):
        default = codec.to_json(field.default)
        lines.append(f"| `{field.name}` | `{default}` | {field.metadata['about']} |")
    return "\n".join(lines) + "\n"


def _check(name: str, value: Any, metadata: Mapping[str, Any]) -> None:
    choices, between = metadata["choices"], metadata["between"]
    if choices and value not in choices:
        raise ConfigurationError(f"{WHERE}: {name} is {value!r}.", remedy=f"Use one of {', '.join(map(str, choices))}.")
    if between and not between[0] <= value <= between[1]:
        raise ConfigurationError(
            f"{WHERE}: {name} is {value}.", remedy=f"Use a number from {between[0]} to {between[1]:,}."
        )


def check_triggers(config: PipelineConfig) -> None:
    """Raises ConfigurationError for a schedule or prefixes that AWS, or the first run, would refuse."""
    if config.schedule and not config.schedule_paths:
        raise ConfigurationError(
            f"{WHERE}: schedule_paths is empty.", remedy='Name prefixes: "schedule_paths": ["images"].'
        )
    try:
        if config.schedule:
            parse_schedule(config.schedule, config.schedule_timezone)
        for paths in (config.schedule_paths, config.upload_prefixes):
            prefixes_of(paths)
    except (ConfigurationError, InvalidInputError) as error:
        raise ConfigurationError(f"{WHERE}: {error.message}", remedy=error.remedy) from error


def prefixes_of(paths: tuple[str, ...]) -> tuple[str, ...]:
    """`paths` as an execution reads them: "images" is "images/", "/" is "". Raises InvalidInputError."""
    if not paths:
        return ()
    document = {"Paths": list(paths)}
    return parse_run_input(document, image_bucket="", work_bucket="", default_shard_size=1).prefixes
