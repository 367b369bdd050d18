"""Patches of Task states that wait for a Batch job (submitJob.sync)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from moto.batch.models import batch_backends
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback as callback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch import (
    StateTaskServiceBatch,
)

from localaws.iam.authorizer import AccessDenied
from localaws.iam.permissions import MANAGED_RULE_ACTIONS, managed_rule_arn
from localaws.patches.failures import task_failure
from localaws.patches.running import current
from localaws.patches.states_clients import client_for

_CHECK_SECONDS: Final = 0.1


def wait_for_jobs() -> None:
    """moto asks the Batch API twice a second for each waiting task: a thousand children leave no time for work.

    Asked once at first (the role may lack batch:DescribeJobs), and again when the job has ended.
    """
    original = StateTaskServiceBatch._build_sync_resolver

    def build_sync_resolver(
        task: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> Callable[[], Any]:
        job_id = env.stack[-1]["JobId"]
        ask = original(task, env, resource_runtime_part, normalised_parameters, state_credentials)
        job = batch_backends[resource_runtime_part.account][resource_runtime_part.region]._jobs[job_id]
        asked = False

        def resolve() -> Any:
            nonlocal asked
            if asked and not job.job_stopped:
                return None
            asked = True
            return ask()

        return resolve

    callback._DELAY_SECONDS_SYNC_CONDITION_CHECK = _CHECK_SECONDS
    StateTaskServiceBatch._build_sync_resolver = build_sync_resolver


def retry_sync_tasks() -> None:
    """The Retry of a .sync task always ended in States.Timeout: the first attempt's callback was interrupted."""
    original = callback.StateTaskServiceCallback._eval_sync

    def eval_sync(
        task: Any,
        env: Any,
        sync_resolver: Any,
        timeout_seconds: Any,
        callback_endpoint: Any,  # noqa: ARG001  moto's signature
        heartbeat_endpoint: Any,  # noqa: ARG001  moto's signature
    ) -> Any:
        return original(
            task,
            env=env,
            sync_resolver=sync_resolver,
            timeout_seconds=timeout_seconds,
            callback_endpoint=None,
            heartbeat_endpoint=None,
        )

    callback.StateTaskServiceCallback._eval_sync = eval_sync


def terminate_abandoned_jobs() -> None:
    """A stopped execution and a task that timed out end their Batch job on AWS; moto lets it run on."""
    build, evaluate = StateTaskServiceBatch._build_sync_resolver, StateTaskServiceBatch._eval_sync

    def build_sync_resolver(
        task: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> Any:
        env.stepvec_job = (env.stack[-1]["JobId"], resource_runtime_part.region, state_credentials)
        return build(task, env, resource_runtime_part, normalised_parameters, state_credentials)

    def eval_sync(task: Any, env: Any, **keywords: Any) -> Any:
        outcome = evaluate(task, env=env, **keywords)
        if outcome is None and not current().context.closing.is_set():
            job_id, region, credentials = env.stepvec_job
            client_for(region, "batch", credentials).terminate_job(
                jobId=job_id, reason="The Step Functions execution or task that waited for this job has ended."
            )
        return outcome

    StateTaskServiceBatch._build_sync_resolver = build_sync_resolver
    StateTaskServiceBatch._eval_sync = eval_sync


def require_managed_rule() -> None:
    """.sync needs the EventBridge rule that tells of the job's end; moto polls, and makes no such call."""
    original = StateTaskServiceBatch._eval_service_task

    def eval_service_task(
        task: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> None:
        if task.resource.condition == ResourceCondition.Sync:
            context = current().context
            rule = managed_rule_arn(context.account, context.region)
            try:
                for action in MANAGED_RULE_ACTIONS:
                    context.authorizer.require(state_credentials.role_arn, action, rule)
            except AccessDenied as denied:
                raise task_failure(env, StatesErrorNameType.StatesPermissions, str(denied), task) from denied
        original(task, env, resource_runtime_part, normalised_parameters, state_credentials)

    StateTaskServiceBatch._eval_service_task = eval_service_task


PATCHES: Final[dict[str, Callable[[], None]]] = {
    "states_wait_for_jobs": wait_for_jobs,
    "states_sync_retry": retry_sync_tasks,
    "states_terminate_jobs": terminate_abandoned_jobs,
    "states_managed_rule": require_managed_rule,
}
