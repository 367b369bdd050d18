"""Write the arithmetic of docs/cost.md from the plan's core, so that it cannot drift: `python -m tools.cost_tables`.

tests/unit/test_cost_document.py holds the document against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stacks.config import PipelineConfig
from stepvec.adapters.figures import load_prices, load_throughput
from stepvec.estimate import request_counts
from stepvec.estimate.capacity import Capacity, Throughput, WorkerThroughput
from stepvec.estimate.plan import Plan, Workload, plan_run
from stepvec.estimate.prices import Prices
from stepvec.metrics import MAX_RUN_METRICS
from stepvec.rows.item import VectorType
from stepvec.rows.model import ModelIdentity
from stepvec_cli.views.plan import BOUNDS, duration
from tools.capacity_table import capacity_lines

DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "cost.md"
BEGIN: Final = "<!-- begin {}: python -m tools.cost_tables -->\n"
END: Final = "<!-- end {} -->\n"

IMAGES: Final = 1_000_000
IMAGE_BYTES: Final = 200_000
KEY_BYTES: Final = 60
MODEL: Final = "resnet18_v2/a81db45fd7b7/standard-1"
INT8_MODEL: Final = f"{MODEL}/openvino-int8-0123abcd"
GPU_IMAGES_PER_VCPU_SECOND: Final = 175.0
"""Assumed, never run: 4 vCPUs that fetch and decode in 5.7 ms an image keep a T4 waiting."""
SAMPLE_IMAGES_PER_VCPU_SECOND: Final = 9.5
"""Of the original sample's loop: the lower of 19 to 23 images/s on 2 vCPUs (docs/performance.md's peer)."""
SAMPLE_VCPUS: Final = 2


@dataclass(frozen=True, slots=True)
class Case:
    """A way to embed a million images."""

    name: str
    about: str
    model: str
    vector_type: VectorType
    capacity: Capacity
    throughput: Throughput

    @property
    def plan(self) -> Plan:
        """Its plan."""
        return plan_run(
            Workload(bytes=IMAGES * IMAGE_BYTES, key_bytes={KEY_BYTES: IMAGES}),
            ModelIdentity.parse(self.model),
            self.vector_type,
            self.capacity,
            prices=load_prices(),
            throughput=self.throughput,
        )


def cases() -> list[Case]:
    """The cases, the cheapest settings that were found first."""
    prices, throughput = load_prices(), load_throughput()
    spot = replace(PipelineConfig().capacity, vcpu_hour_usd=_spot_assumed(prices))
    few = replace(spot, jobs=32, shard_size=31_250)
    gpu = replace(PipelineConfig(device="gpu", max_vcpus=8, spot=False, shard_size=20_000).capacity, families=("g4dn",))
    assumed = WorkerThroughput(
        "gpu", ("resnet18_v2",), "mxnet", "float32", GPU_IMAGES_PER_VCPU_SECOND, "never", True, "an assumption"
    )
    with_gpu = replace(throughput, workers=(*throughput.workers, assumed))
    return [
        Case("A", "CPU, Spot, int8 engine and vectors, cdk.json's capacity", INT8_MODEL, "int8", spot, throughput),
        Case("B", "A with `max_vcpus` 32 and `ShardSize` 31,250", INT8_MODEL, "int8", few, throughput),
        Case("C", "CPU, Spot, float32 engine and vectors", MODEL, "float32", spot, throughput),
        Case("D", "two g4dn.xlarge on demand, int8 vectors: **never run**", MODEL, "int8", gpu, with_gpu),
    ]


def document(text: str) -> str:
    """`text` of docs/cost.md with its generated parts as they should be."""
    for name, lines in (("million", _section()), ("capacity", _capacity_section())):
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{chr(10).join(lines)}\n\n{end}{after}"
    return text


def _capacity_section() -> Iterator[str]:
    case, *_ = cases()
    return capacity_lines(lambda capacity: replace(case, capacity=capacity).plan, case.capacity, load_prices())


def _section() -> Iterator[str]:
    prices = load_prices()
    made = [(case, case.plan) for case in cases()]
    yield "| | | Time | vCPU-hour | DynamoDB | S3 | Instances | Rest | **Total** | Floor | All on demand |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for case, plan in made:
        usd = {name: float(amount) for name, amount in plan.cost.usd.items()}
        instances = usd["batch"] + usd["addresses_and_disks"]
        rest = usd["step_functions"] + usd["lambda"] + usd["cloudwatch"]
        hour = case.capacity.vcpu_hour_usd or prices.vcpu_hour_on_demand(case.capacity.families)
        yield (
            f"| {case.name} | {case.about} | {duration(plan.total_seconds)} | ${hour:.4f} | ${usd['dynamodb']:.3f} "
            f"| ${usd['s3']:.3f} | ${instances:.3f} | ${rest:.3f} | **${float(plan.cost.total_usd):.2f}** "
            f"| ${float(plan.floor_usd):.2f} | ${float(plan.at_most_usd):.2f} |"
        )
    yield from _sample_row(prices)
    for case, plan in made:
        yield ""
        yield f"{case.name}, {case.about}:"
        yield ""
        yield from _arithmetic(case, plan, prices)


def _arithmetic(case: Case, plan: Plan, prices: Prices) -> Iterator[str]:
    used, usd = plan.cost.usage, plan.cost.usd
    steps, vcpus_per_job = case.throughput.steps, case.capacity.vcpus_per_job
    rate = float(plan.images_per_second) / plan.vcpus
    hour = case.capacity.vcpu_hour_usd or prices.vcpu_hour_on_demand(case.capacity.families) or 0
    reads = (
        f"{request_counts.sharding_read_units(IMAGES):g} by ShardImages + "
        f"{request_counts.worker_read_units(IMAGES, plan.shards):,.0f} by the workers + {IMAGES:,} x "
        f"{request_counts.VERIFY_READ_UNITS:g} by VerifyShard"
    )
    starting = steps.instance_start_seconds
    instances = "; ".join(
        [
            f"{IMAGES:,} / {rate:.4g} images a vCPU-second, held by {BOUNDS[plan.bound_by]}",
            f"{plan.shards} x {vcpus_per_job * steps.job_start_seconds:g} vCPU-seconds of jobs' starts",
            f"{plan.vcpus} x {starting:g} of instances'; {_hours(plan):.2f} vCPU-hours x ${hour:.6g}",
        ]
    )
    size = prices.instance_vcpus(case.capacity.families)
    disks = f"as long, on instances of {size} vCPUs: one address and {case.capacity.root_volume_gib} GiB each"
    functions = f"{used['lambda_requests']:,} requests, {float(used['lambda_gb_seconds']):,.0f} GB-seconds"
    watching = f"{MAX_RUN_METRICS} metrics for an hour, {float(used['log_gb']) * 1000:.1f} MB of logs"

    def paid(of: str, price: str) -> float:
        return float(used[of]) * (prices.each(price) or 0)

    yield "| Part | Calculation | US dollars |"
    yield "|---|---|---|"
    for part, calculation, amount in (
        (
            "DynamoDB, writes",
            f"{IMAGES:,} rows, units each: {plan.write_units_an_image:g}",
            paid("write_units", "dynamodb_write_unit"),
        ),
        ("DynamoDB, reads", reads, paid("read_units", "dynamodb_read_unit")),
        ("S3, GET", f"{used['s3_gets']:,}: the images, and the run's files", paid("s3_gets", "s3_get")),
        ("S3, PUT and LIST", f"{used['s3_puts']:,}: {IMAGES // 1000:,} pages, and files", paid("s3_puts", "s3_put")),
        ("Instances", instances, usd["batch"]),
        ("Their addresses and disks", disks, usd["addresses_and_disks"]),
        ("Step Functions", f"{used['state_transitions']:,} transitions", usd["step_functions"]),
        ("Lambda", functions, usd["lambda"]),
        ("CloudWatch", watching, usd["cloudwatch"]),
    ):
        yield f"| {part} | {calculation} | {float(amount):.4f} |"
    yield f"| **All** | | **{float(plan.cost.total_usd):.4f}** |"
    yield f"| Beside it, a month of keeping the rows | storage and recovery | {float(plan.kept_usd_a_month):.4f} |"


def _sample_row(prices: Prices) -> Iterator[str]:
    """The original sample's design: one image at a time on one instance, float32 rows, nothing verified."""
    hours = IMAGES / (SAMPLE_IMAGES_PER_VCPU_SECOND * SAMPLE_VCPUS) / 3600
    hour = prices.vcpu_hour_on_demand(("c7i",)) or 0
    writes = IMAGES * 3 * (prices.each("dynamodb_write_unit") or 0)
    requests = IMAGES * (prices.each("s3_get") or 0) + IMAGES / 1000 * (prices.each("s3_put") or 0)
    instance = hours * SAMPLE_VCPUS * hour
    total = writes + requests + instance
    nat = IMAGES * IMAGE_BYTES / 1e9 * (prices.each("nat_gb") or 0) + hours * (prices.each("nat_hour") or 0)
    for name, about, rest in (
        ("E", f"the original sample's design: one at a time, {SAMPLE_VCPUS} vCPUs on demand, float32 rows", 0.0),
        ("F", "E in private subnets with a NAT gateway and no S3 endpoint", nat),
    ):
        yield (
            f"| {name} | {about} | {duration(hours * 3600)} | ${hour:.4f} | ${writes:.3f} | ${requests:.3f} "
            f"| ${instance:.3f} | ${rest:.3f} | **${total + rest:.2f}** | | ${total + rest:.2f} |"
        )


def _hours(plan: Plan) -> float:
    return (float(plan.cost.usage["vcpu_seconds"]) + float(plan.cost.usage["start_vcpu_seconds"])) / 3600


def _spot_assumed(prices: Prices) -> float:
    assumed = prices.spot_example.each
    assert assumed is not None  # noqa: S101 - it is in the file that this repository carries
    return assumed


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text()))
