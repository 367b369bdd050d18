"""What it means to deploy another model than the one that is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from stepvec.adapters.aws_errors import error_code
from stepvec.adapters.figures import load_prices, load_throughput
from stepvec.client.deployment import NoSuchStackError, stack_outputs
from stepvec.client.session import new_client, translate_aws_errors
from stepvec.estimate.capacity import Capacity
from stepvec.estimate.plan import Plan, Workload, plan_run
from stepvec.rows.item import VectorType
from stepvec.rows.model import ModelIdentity

IMAGE_KB: Final = 200
"""Assumed size of an image, which the table does not say; and of its key:"""
KEY_BYTES: Final = 60


@dataclass(frozen=True, slots=True)
class ModelChange:
    """From one model to another: how many rows there are (DynamoDB counts every six hours), and a plan for them."""

    deployed: str
    new: str
    rows: int
    plan: Plan
    image_kb: int = IMAGE_KB


def find_model_change(
    model: ModelIdentity, vector_type: VectorType, capacity: Capacity, *, data_stack: str, pipeline_stack: str
) -> ModelChange | None:
    """What deploying `model` would change; None where nothing is deployed, or the same. Raises StepvecError."""
    client = new_client()
    with translate_aws_errors():
        try:
            deployed = stack_outputs(client("cloudformation"), pipeline_stack).get("Model", "")
            table = stack_outputs(client("cloudformation"), data_stack).get("TableName", "")
        except NoSuchStackError:
            return None
        if deployed in ("", str(model)):
            return None
        rows = _rows(client("dynamodb"), table)
    workload = Workload(bytes=rows * IMAGE_KB * 1000, key_bytes={KEY_BYTES: rows})
    plan = plan_run(workload, model, vector_type, capacity, prices=load_prices(), throughput=load_throughput())
    return ModelChange(deployed, str(model), rows, plan)


def _rows(dynamodb: object, table: str) -> int:
    try:
        return int(dynamodb.describe_table(TableName=table)["Table"]["ItemCount"])  # type: ignore[attr-defined]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return 0
