"""The settings of a deployment: the `stepvec` object of cdk.json's context, checked."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from stacks.devices import (
    ARM,
    CPU,
    DEVICE_NAMES,
    DEVICES,
    GPU,
    GPU_ENGINES,
    GPU_ONNXRUNTIME,
    MEMORY_OF_BYTE,
    MEMORY_OF_PIXEL,
    ROOMY,
    Device,
    DeviceName,
)
from stepvec import codec
from stepvec.errors import ConfigurationError, InvalidInputError, RecordError
from stepvec.estimate.capacity import Capacity
from stepvec.limits import (
    HTTP_API_BURST,
    LOG_RETENTION_DAYS,
    MAP_CONCURRENCY,
    MAP_ITEMS,
    NEW_TABLE_READ_UNITS_PER_SECOND,
    NEW_TABLE_WRITE_UNITS_PER_SECOND,
    QUEUE_BATCH_MESSAGES,
    QUEUE_BATCH_WINDOW_SECONDS,
    SCHEDULE_WINDOW_MINUTES,
)
from stepvec.rows.item import VECTOR_TYPES, VectorType
from stepvec.rows.model import ENGINES, PRECISIONS, PREPROCESSINGS, Engine, Precision, Preprocessing, check_engine
from stepvec.rows.processors import DEFAULT_ENGINES, PROCESSORS, Processor, check_processor
from stepvec.runs.images import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS, SuffixRule
from stepvec.runs.run_input import MAX_SHARD_SIZE, parse_run_input, parse_suffixes
from stepvec.schedules import parse_schedule

NetworkKind = Literal["public", "private"]
VectorIndexKind = Literal["", "s3vectors"]
Value = TypeVar("Value")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
"""A stack's name may have up to 128 characters; names of its resources begin with it, and have less room."""
CONTEXT_KEY: Final = "stepvec"
SETTINGS_VARIABLE: Final = "STEPVEC_SETTINGS"
_SETTINGS_EXAMPLE: Final = 'For example: {"upload_trigger": true}.'
HTTP_BURST_SECONDS: Final = 2
"""How many seconds' requests the API takes at once."""
WHERE: Final = "The `stepvec` settings of cdk.json"


def setting(
    default: Value, about: str, *, choices: tuple[Value, ...] = (), bounds: tuple[float, float] | None = None
) -> Value:
    """A field of PipelineConfig: its default, its line in docs/configuration.md, and the values it may have."""
    return dataclasses.field(default=default, metadata={"about": about, "choices": choices, "bounds": bounds})


def _listed(families: tuple[str, ...]) -> str:
    return ", ".join(families)


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What a deployment may choose. docs/configuration.md is this class as a table (a test holds them together)."""

    name: str = setting(
        "Stepvec",
        "Prefix of the names of both stacks. Each deployment in an account and region needs its own; tell "
        "`stepvec run` about it: `--data-stack NAMEData --pipeline-stack NAMEPipeline`.",
    )
    device: DeviceName = setting(
        "cpu",
        "What computes the vectors: `cpu`, or `gpu` (one GPU per job, on g4dn, g5 or g6: [gpu.md](gpu.md)). "
        "**The GPU variant has never been run.**",
        choices=DEVICE_NAMES,
    )
    architecture: Processor = setting(
        "x86_64",
        "Processor of the instances: `x86_64`, or `arm64` (Graviton; `engine` is then `onnxruntime`, and there is no "
        "GPU). **On Graviton itself it has never been run**: [arm.md](arm.md).",
        choices=PROCESSORS,
    )
    spot: bool = setting(
        True, "`true`: Spot instances first, on-demand ones when there is no Spot capacity. `false`: on-demand only."
    )
    instance_families: tuple[str, ...] = setting(
        (),
        f"Instance families, all of which the region must have: `stepvec doctor` says which it has. Empty: "
        f"{_listed(CPU.families)}; with `arm64` {_listed(ARM.families)}; with `gpu` {_listed(GPU.families)}. "
        f"Also allowed: {_listed(CPU.other_families)}; with `arm64` {_listed(ARM.other_families)}; with `gpu` "
        f"{_listed(GPU.other_families)}, and with `onnxruntime` {_listed(GPU_ONNXRUNTIME.other_families)}; their "
        "prices are not known here, so that plans and reports say `unknown`.",
    )
    availability_zones: int = setting(
        2, "Availability zones of the instances: 3, where the region has three, give Spot more choice.", choices=(2, 3)
    )
    max_vcpus: int = setting(
        64,
        "Maximum vCPUs of each compute environment; a shard takes 1 (`cpu`) or 4 (`gpu`). None run between runs.",
        bounds=(1, 100_000),
    )
    max_concurrency: int = setting(
        0,
        "Shards submitted at a time. 0: as many as fit into `max_vcpus` with Spot, so that a long queue "
        "does not spill over to on-demand instances; twice as many without.",
        bounds=(0, MAP_CONCURRENCY),
    )
    shard_size: int = setting(
        5_000,
        "Images per shard, unless an input says otherwise. 5,000 take one vCPU about two minutes.",
        bounds=(1, MAX_SHARD_SIZE),
    )
    preprocessing: Preprocessing = setting(
        "standard-1",
        "`standard-1`, or `sample-1` if you already have vectors of the original sample.",
        choices=PREPROCESSINGS,
    )
    vector_type: VectorType = setting(
        "float32",
        "`float32` (ResNet18: 3 write units per image), `float16` (2) or `int8` (1; its rows have a `Scale`). "
        "Existing rows keep the type they were written with.",
        choices=VECTOR_TYPES,
    )
    engine: Engine = setting(
        "mxnet",
        "Inference engine: `mxnet`, the reference; `openvino`, the fastest, or `onnxruntime`. On a GPU: `mxnet` or "
        "`onnxruntime` ([gpu.md](gpu.md)). Part of the rows' `Model`. ONNX Runtime computes an encoder of your own, on "
        "CPUs, and in `int8` OpenVINO ([encoders.md](encoders.md)).",
        choices=ENGINES,
    )
    precision: Precision = setting(
        "float32",
        "`float32`; with `openvino` also `bf16` (CPUs with AVX-512 BF16 or AMX) and `int8` (VNNI; the model must "
        "have been calibrated: `stepvec calibrate`). Other CPUs compute in float32, and the log says so. With "
        "`onnxruntime` on a GPU also `float16`.",
        choices=PRECISIONS,
    )
    network: NetworkKind = setting(
        "public",
        "`public`: public subnets without ingress, free when idle. `private`: no internet access at all, with "
        "interface endpoints that are billed by the hour ([cost.md](cost.md)).",
        choices=("public", "private"),
    )
    image_bucket: str = setting(
        "", "Name of an existing bucket that holds the images, in this account and region. Empty: one is created."
    )
    table: str = setting(
        "",
        "Name of an existing table for the vectors, with partition key `ImageId` (a string) and no sort key. "
        "Empty: one is created.",
    )
    warm_throughput: tuple[int, ...] = setting(
        (),
        "Write units and read units that the created table takes a second from the start, for example "
        "`[12000, 12000]`; `stepvec plan` says which a run needs. AWS charges for it once, and never lowers it again. "
        "Empty: those of a new table, `[4000, 12000]`, free.",
    )
    vector_index: VectorIndexKind = setting(
        "",
        "`s3vectors`: an index of S3 Vectors gets each vector, too, verified like the rows ([s3-vectors.md]"
        "(s3-vectors.md)). The next run over images that are stored already fills it from their rows. Empty: none.",
        choices=("", "s3vectors"),
    )
    deletion_protection: bool = setting(
        True, "Whether DynamoDB and CloudFormation refuse to delete the table and the data stack."
    )
    kms: bool = setting(
        False,
        "Encrypt buckets, table, topic and logs with a customer managed key ($1 a month) instead of AWS managed keys.",
    )
    xray: bool = setting(False, "Trace the state machine and the functions with X-Ray.")
    log_retention_days: int = setting(30, "How many days logs are kept.", choices=LOG_RETENTION_DAYS)
    alarm_email: str = setting(
        "",
        "E-mail address for alarms and the counts of each run; AWS asks it to confirm the subscription. Empty: none.",
    )
    vcpu_hour_usd: float = setting(
        0.0,
        "Your price of a vCPU-hour, for plans and reports. 0: list price on demand; unknown with Spot.",
        bounds=(0, 1_000),
    )
    suffixes: tuple[str, ...] = setting(
        (),
        'Suffixes of images beside those of the formats that are read: `["raw"]`; `["(none)"]` for keys without one, '
        '`["*"]` for all keys. `Suffixes` of an input replace them.',
    )
    max_image_bytes: int = setting(
        MAX_IMAGE_BYTES,
        "Bytes of the largest object that is taken for an image. Larger ones fail as `TooLarge`.",
        bounds=(1_000, 1_000_000_000),
    )
    max_image_pixels: int = setting(
        MAX_IMAGE_PIXELS,
        "Pixels that an image may have as it is decoded: a JPEG of 200 megapixels is decoded at 1/8 of its sides and "
        "counts 3, other formats count whole. Where this or `max_image_bytes` is above its default, the job gets the "
        "memory for it (16 bytes a pixel, 4 a byte) and runs on the m families, which have it.",
        bounds=(1_000, 1_000_000_000),
    )
    schedule: str = setting("", "When to start runs: `rate(1 day)` or `cron(0 3 * * ? *)`. Empty: no schedule.")
    schedule_timezone: str = setting("UTC", "Time zone of the schedule.")
    schedule_paths: tuple[str, ...] = setting((), "`Paths` of the scheduled runs.")
    schedule_window_minutes: int = setting(
        0, "How much later a scheduled run may start. 0: on time.", bounds=(0, SCHEDULE_WINDOW_MINUTES)
    )
    schedule_max_failures: int = setting(
        0, "How many images may newly fail before a scheduled run does (`MaxFailures`).", bounds=(0, MAP_ITEMS)
    )
    http_start: bool = setting(
        False,
        "Whether runs can be started by HTTP: an API whose callers sign their requests with IAM credentials "
        "([http.md](http.md)).",
    )
    http_rate: int = setting(
        10,
        "Requests a second that the API takes, and twice as many at once; beyond that it answers 429.",
        bounds=(1, HTTP_API_BURST // HTTP_BURST_SECONDS),
    )
    upload_trigger: bool = setting(
        False,
        "Whether images are embedded when they are uploaded to the image bucket. A bucket of your own must "
        "send its events to EventBridge: turn that on in the bucket's properties.",
    )
    upload_prefixes: tuple[str, ...] = setting((), "Only uploads under these prefixes. Empty: the whole bucket.")
    upload_max_failures: int = setting(
        -1,
        "How many of a run's uploads may newly fail before it does. -1: all of them, since the report names each.",
        bounds=(-1, QUEUE_BATCH_MESSAGES),
    )
    upload_window_seconds: int = setting(
        60, "How long uploads are collected before they start a run.", bounds=(1, QUEUE_BATCH_WINDOW_SECONDS)
    )

    @property
    def suffix_rule(self) -> SuffixRule:
        """`suffixes` as listings read them. Raises InvalidInputError."""
        return parse_suffixes(self.suffixes)

    @property
    def data_stack(self) -> str:
        """Name of the stack of what outlives the pipeline."""
        return f"{self.name}Data"

    @property
    def pipeline_stack(self) -> str:
        """Name of the stack of everything else."""
        return f"{self.name}Pipeline"

    @property
    def base_hardware(self) -> Device:
        """What one job gets and where it runs, whatever limits and families are set."""
        if self.device == "gpu" and self.engine in GPU_ENGINES:
            return GPU_ENGINES[self.engine]
        return DEVICES[self.device, self.architecture]

    @property
    def hardware(self) -> Device:
        """What one job gets and where it runs."""
        device = self.base_hardware
        memory_mib = device.memory_mib + self.more_memory_mib(device)
        families = self.instance_families or device.families
        if self.device == "cpu" and memory_mib > device.memory_mib and not self.instance_families:
            families = tuple(family for family in families if family.startswith(ROOMY))
        return dataclasses.replace(device, families=families, memory_mib=memory_mib)

    def more_memory_mib(self, device: Device) -> int:
        """What images larger than the default limits need beyond the device's own memory."""
        pixels = max(0, self.max_image_pixels - MAX_IMAGE_PIXELS) * device.decoders * MEMORY_OF_PIXEL
        of_bytes = max(0, self.max_image_bytes - MAX_IMAGE_BYTES) * device.decoders * MEMORY_OF_BYTE
        return max(0, -(-(pixels + of_bytes) // 2**20) - device.spare_mib)

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
            processor=self.architecture,
            jobs=max(1, min(self.map_concurrency, self.max_vcpus // hardware.vcpus)),
            vcpus_per_job=hardware.vcpus,
            families=hardware.families,
            root_volume_gib=hardware.root_volume_gib,
            spot=self.spot,
            shard_size=self.shard_size,
            vcpu_hour_usd=self.vcpu_hour_usd,
            table_write_units=self.warm_units[0],
            table_read_units=self.warm_units[1],
            vector_index=bool(self.vector_index),
            http_start=self.http_start,
        )

    @property
    def warm_units(self) -> tuple[int, int]:
        """Write and read units a second that the table takes from the start."""
        write, read = self.warm_throughput or (NEW_TABLE_WRITE_UNITS_PER_SECOND, NEW_TABLE_READ_UNITS_PER_SECOND)
        return write, read


def read_config(settings: Mapping[str, Any]) -> PipelineConfig:
    """The configuration in `settings`. Raises ConfigurationError naming the setting that is wrong."""
    fields = dataclasses.fields(PipelineConfig)
    for field in fields:
        if field.name in settings:
            _check_choice(field.name, settings[field.name], field.metadata["choices"])
    try:
        config = codec.from_document(PipelineConfig, _with_engine(settings), where=WHERE)
    except RecordError as error:
        raise ConfigurationError(error.message, remedy="See docs/configuration.md for what may be set.") from error
    for field in fields:
        _check_bounds(field.name, getattr(config, field.name), field.metadata["bounds"])
    if (config.device, config.architecture) not in DEVICES:
        raise ConfigurationError(
            f"{WHERE}: device {config.device} with architecture {config.architecture} there is not.",
            remedy="Leave architecture out for a GPU, or use device cpu.",
        )
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
    _check_warm_throughput(config)
    _check_families(config)
    _check_memory(config)
    check_processor(config.engine, config.architecture, WHERE)
    check_engine(config.engine, config.precision)
    if config.device == "gpu" and config.engine not in GPU_ENGINES:
        raise ConfigurationError(
            f"{WHERE}: engine is {config.engine}, which runs on CPUs only.",
            remedy=f"Use engine {' or '.join(GPU_ENGINES)} on a GPU, or device cpu.",
        )
    if config.device == "cpu" and config.precision == "float16":
        raise ConfigurationError(
            f"{WHERE}: precision is float16, which is for GPUs.", remedy="Use float32 on a CPU, or device gpu."
        )
    check_triggers(config)
    return config


def _with_engine(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings`, and the processor's own engine where they name none."""
    processor: Processor = settings.get("architecture", PipelineConfig().architecture)
    return {"engine": DEFAULT_ENGINES[processor], **settings}


def settings_of(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings in the variable STEPVEC_SETTINGS (JSON), which replace cdk.json's. Raises ConfigurationError."""
    text = environ.get(SETTINGS_VARIABLE) or "{}"
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{SETTINGS_VARIABLE} is not JSON: {error}.", remedy=_SETTINGS_EXAMPLE) from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{SETTINGS_VARIABLE} is not a JSON object.", remedy=_SETTINGS_EXAMPLE)
    return settings


def configuration_table() -> str:
    """PipelineConfig as the table of docs/configuration.md."""
    lines = ["| Setting | Default | |", "|---|---|---|"]
    for field in dataclasses.fields(PipelineConfig):
        default = codec.to_json(field.default)
        lines.append(f"| `{field.name}` | `{default}` | {field.metadata['about']} |")
    return "\n".join(lines) + "\n"


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if choices and value not in choices:
        raise ConfigurationError(f"{WHERE}: {name} is {value!r}.", remedy=f"Use one of {', '.join(map(str, choices))}.")


def _check_bounds(name: str, value: float, bounds: tuple[float, float] | None) -> None:
    if bounds and not bounds[0] <= value <= bounds[1]:
        raise ConfigurationError(
            f"{WHERE}: {name} is {value}.", remedy=f"Use a number from {bounds[0]} to {bounds[1]:,}."
        )


def _check_warm_throughput(config: PipelineConfig) -> None:
    units = config.warm_throughput
    if not units:
        return
    if config.table:
        raise ConfigurationError(
            f"{WHERE}: warm_throughput is {list(units)}, and table is a table of your own, which is used as it is.",
            remedy="Leave warm_throughput empty, and warm the table itself: aws dynamodb update-table "
            f"--table-name {config.table} --warm-throughput ...",
        )
    least = (NEW_TABLE_WRITE_UNITS_PER_SECOND, NEW_TABLE_READ_UNITS_PER_SECOND)
    # No upper bound: an account's quota may have been raised, and DynamoDB refuses what is beyond it.
    if len(units) != len(least) or units[0] < least[0] or units[1] < least[1]:
        raise ConfigurationError(
            f"{WHERE}: warm_throughput is {list(units)}.",
            remedy=f"Give write and read units a second, at least what a new table has: [{least[0]}, {least[1]}].",
        )


def _check_families(config: PipelineConfig) -> None:
    device = config.base_hardware
    usable = device.families + device.other_families
    wrong = [family for family in config.instance_families if family not in usable]
    if wrong:
        raise ConfigurationError(
            f"{WHERE}: instance_families has {', '.join(wrong)}, not for device {config.device} "
            f"with architecture {config.architecture}.",
            remedy=f"Use some of {_listed(usable)}.",
        )
    if len(set(config.instance_families)) < len(config.instance_families):
        raise ConfigurationError(f"{WHERE}: instance_families names a family twice.", remedy="Name each once.")


def _check_memory(config: PipelineConfig) -> None:
    """Raises ConfigurationError where images of the size that the limits allow would not fit into a job's memory."""
    device, needed = config.base_hardware, config.hardware.memory_mib
    limits = f"max_image_pixels is {config.max_image_pixels:,} and max_image_bytes {config.max_image_bytes:,}"
    if needed > device.largest_memory_mib:
        spare = (device.largest_memory_mib - device.memory_mib + device.spare_mib) * 2**20 // device.decoders
        raise ConfigurationError(
            f"{WHERE}: {limits}: a job would need {needed:,} MiB, and may have {device.largest_memory_mib:,}.",
            remedy=f"Use at most {MAX_IMAGE_PIXELS + spare // MEMORY_OF_PIXEL:,} pixels with the default bytes, or "
            f"{MAX_IMAGE_BYTES + spare // MEMORY_OF_BYTE:,} bytes with the default pixels.",
        )
    tight = [family for family in config.hardware.families if not family.startswith(ROOMY)]
    if config.device == "cpu" and needed > device.memory_mib and tight:
        raise ConfigurationError(
            f"{WHERE}: {limits}: a job needs {needed:,} MiB, and {', '.join(tight)} have 2 GiB per vCPU.",
            remedy=f"Name families that have 4: {_listed(_roomy(device))}. Or lower the limits.",
        )


def _roomy(device: Device) -> tuple[str, ...]:
    return tuple(family for family in device.families + device.other_families if family.startswith(ROOMY))


def check_triggers(config: PipelineConfig) -> None:
    """Raises ConfigurationError for a schedule or prefixes that AWS, or the first run, would refuse."""
    try:
        if config.schedule:
            parse_schedule(config.schedule, config.schedule_timezone)
        for paths in (config.schedule_paths, config.upload_prefixes):
            prefixes_of(paths)
        parse_suffixes(config.suffixes)
    except (ConfigurationError, InvalidInputError) as error:
        raise ConfigurationError(f"{WHERE}: {error.message}", remedy=error.remedy) from error
    if config.schedule and not config.schedule_paths:
        raise ConfigurationError(
            f"{WHERE}: schedule_paths is empty, and there is a schedule.",
            remedy='Name prefixes: "schedule_paths": ["images"].',
        )


def prefixes_of(paths: tuple[str, ...]) -> tuple[str, ...]:
    """`paths` as an execution reads them: "images" is "images/", "/" is "". Raises InvalidInputError."""
    if not paths:
        return ()
    document = {"Paths": list(paths)}
    return parse_run_input(document, image_bucket="", work_bucket="", default_shard_size=1).prefixes
