"""Patches of the Distributed Map."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.item_reader_decl import (
    ItemReader,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    distributed_iteration_component as distributed,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker as worker_module,
)
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramError,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.asl.eval.states import ItemData, MapData
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.quotas import is_within_size_quota

from localaws.iam.authorizer import AccessDenied
from localaws.patches.failures import map_failure
from localaws.patches.running import current

_Worker = worker_module.DistributedItemProcessorWorker
_tolerance_lock = threading.Lock()


def fail_over_tolerance() -> None:
    """moto takes null for a failed child and lets the Map succeed: the tolerance fields have no effect."""

    def eval_job(worker: Any, env: Any, job: Any) -> None:
        record = worker._map_run_record
        counters = (record.item_counter, record.execution_counter)
        for counter in counters:
            counter.total.count()
            counter.running.count()
        began, name = datetime.now(UTC), str(uuid.uuid4())
        ending, error = _run_child(worker, env, job, f"{_child_executions(record)}:{name}")
        if worker._job_pool.get_worker_exception() is not None and ending == "succeeded":
            # Not its own success: the Map has failed meanwhile, which ended this child.
            ending = "aborted"
        for counter in counters:
            counter.running.offset(-1)
            getattr(counter, ending).count()
            if ending == "succeeded":
                counter.results_written.count()
        job.job_output = (
            env.states.get_input() if ending == "succeeded" else _failed_result(record, job, ending, error, began, name)
        )
        if ending in ("failed", "timed_out") and _is_over_tolerance(record, worker._job_pool._jobs_number):
            job.job_output = map_failure(
                worker._env,
                StatesErrorNameType.StatesExceedToleratedFailureThreshold,
                "The specified tolerated failure threshold was exceeded",
            )

    _Worker._eval_job = eval_job


def _child_executions(record: Any) -> str:
    """The beginning of the ARNs of a Map run's children."""
    return str(record.map_state_machine_arn).replace(":stateMachine:", ":execution:", 1)


def _run_child(worker: Any, env: Any, job: Any, execution: str) -> tuple[str, Mapping[str, Any]]:
    """Runs one child workflow; the name of the counter it ends in, and its error and cause.

    Its context names its own execution, as on AWS; its input was still selected with the parent's.
    """
    env.states.context_object.context_object_data["Map"] = MapData(
        Item=ItemData(Index=job.job_index, Value=job.job_input)
    )
    env.states.reset(job.job_input)
    env.stack.append(env.states.get_input())
    try:
        worker._eval_input(env_frame=env)
    except FailureEventException as failure:
        error, cause = failure.extract_error_cause_pair() or (None, None)
        return "failed", {"error": error, "cause": cause}
    data = env.states.context_object.context_object_data
    data["Execution"] = {**data["Execution"], "Id": execution, "Name": execution.rpartition(":")[2]}
    job.job_program.eval(env)
    state = env.program_state()
    if isinstance(state, ProgramError):
        return "failed", state.error or {}
    if isinstance(state, ProgramStopped):
        return "aborted", {"error": state.error, "cause": state.cause}
    if isinstance(state, ProgramTimedOut):
        return "timed_out", {"error": StatesErrorNameType.StatesTimeout.to_name()}
    return "succeeded", {}


_STATUSES: Final = {"failed": "FAILED", "timed_out": "TIMED_OUT", "aborted": "ABORTED"}


def _failed_result(
    record: Any, job: Any, ending: str, error: Mapping[str, Any], began: datetime, name: str
) -> Mapping[str, Any]:
    """What a child that failed gives to the Map's result, by the reading of AWS's page that is the largest.

    "If a child workflow execution fails, Step Functions returns its execution result unchanged. The results would be
    equivalent to having set Transformation to NONE", which is "the output of the child workflow executions unchanged,
    in addition to the workflow metadata": https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
    """
    result = {
        "ExecutionArn": f"{_child_executions(record)}:{name}",
        "Input": to_json_str(job.job_input, separators=(",", ":")),
        "InputDetails": {"Included": True},
        "Name": name,
        "OutputDetails": {"Included": True},
        "RedriveCount": 0,
        "RedriveStatus": "REDRIVABLE",
        "StartDate": _milliseconds(began),
        "StateMachineArn": record.map_state_machine_arn,
        "Status": _STATUSES[ending],
        "StopDate": _milliseconds(datetime.now(UTC)),
    }
    return result | {key.capitalize(): text for key in ("error", "cause") if (text := error.get(key)) is not None}


def _milliseconds(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_over_tolerance(record: Any, total: int) -> bool:
    """Count and percentage are both limits; 0 is what both are when the definition does not name them."""
    with _tolerance_lock:
        failed = record.item_counter.failed.get() + record.item_counter.timed_out.get()
    count = int(record.tolerated_failure_count or 0)
    percentage = float(record.tolerated_failure_percentage or 0)
    limits = ([float(count)] if count else []) + ([percentage * total / 100] if percentage else [])
    return bool(failed > min(limits, default=0.0))


def run_items_in_a_loop() -> None:
    """moto calls itself for each next item, and ends in RecursionError on a long list with few workers."""

    def eval_pool(worker: Any, job: Any, worker_frame: Any) -> None:
        while job is not None:
            frame = worker_frame.open_inner_frame()
            worker._eval_job(env=frame, job=job)
            worker_frame.delete_frame(frame)
            failed = isinstance(job.job_output, Exception) or worker.stopped()
            following = None if failed else worker._job_pool.next_job()
            if following is None:
                # The frame first: the Map goes on as soon as its last item is closed.
                worker._env.delete_frame(worker_frame)
            worker._job_pool.close_job(job)
            job = following
        worker._env.delete_frame(worker_frame)

    _Worker._eval_pool = eval_pool


def launch_needed_workers() -> None:
    """moto starts a thread for each of MaxConcurrency, however few items there are."""
    original = distributed.DistributedIterationComponent._launch_worker

    def launch_worker(component: Any, env: Any, eval_input: Any, job_pool: Any) -> Any:
        if job_pool._open_jobs:
            return original(component, env=env, eval_input=eval_input, job_pool=job_pool)
        return None

    distributed.DistributedIterationComponent._launch_worker = launch_worker


def name_reader_errors() -> None:
    """A list that cannot be read is States.ItemReaderFailed on AWS; moto gives States.Runtime."""
    original = ItemReader._eval_body

    def eval_body(reader: Any, env: Any) -> None:
        try:
            original(reader, env)
        except FailureEventException:
            raise
        except Exception as error:
            raise map_failure(env, StatesErrorNameType.StatesItemReaderFailed, str(error)) from error

    ItemReader._eval_body = eval_body


def limit_map_result() -> None:
    """A Map without a ResultWriter fails when its children's outputs are more than 256 KiB together."""
    original = distributed.DistributedIterationComponent._map_run

    def map_run(component: Any, env: Any, eval_input: Any) -> None:
        original(component, env, eval_input)
        if not is_within_size_quota(env.stack[-1]):
            raise map_failure(
                env,
                StatesErrorNameType.StatesStatesDataLimitExceeded,
                "The state/task 'map' returned a result with a size exceeding the maximum number of bytes "
                "service limit.",
            )

    distributed.DistributedIterationComponent._map_run = map_run


def require_start_execution() -> None:
    """A Distributed Map starts its children with states:StartExecution on its own machine; moto makes no call."""
    original = distributed.DistributedIterationComponent._eval_body

    def eval_body(component: Any, env: Any) -> None:
        context = current().context
        machine = env.states.context_object.context_object_data["StateMachine"]["Id"]
        try:
            context.authorizer.require(env.aws_execution_details.role_arn, "states:StartExecution", machine)
        except AccessDenied as denied:
            raise map_failure(env, StatesErrorNameType.StatesPermissions, str(denied)) from denied
        original(component, env)

    distributed.DistributedIterationComponent._eval_body = eval_body


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "map_tolerance": fail_over_tolerance,
    "map_loop": run_items_in_a_loop,
    "map_workers": launch_needed_workers,
    "map_reader_errors": name_reader_errors,
    "map_result_limit": limit_map_result,
    "map_start_execution": require_start_execution,
}
