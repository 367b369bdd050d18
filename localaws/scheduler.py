"""EventBridge Scheduler: looks at the clock, and starts executions with the schedule's role when they are due.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from localaws.clients import make_client
from localaws.context import Context
from localaws.errors import LocalCloudError
from stepvec.errors import ConfigurationError
from stepvec.schedules import Schedule, parse_schedule

_TICK_SECONDS: Final = 0.1
_SERVICE: Final = "scheduler.amazonaws.com"
_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule as EventBridge Scheduler has it now."""

    arn: str
    name: str
    expression: str
    timezone: str
    modified: float
    is_enabled: bool
    target: Mapping[str, Any]


def start_ticking(context: Context, schedules: Callable[[], Iterable[ScheduleRecord]]) -> None:
    """Serves every schedule that there is or will be, in a thread of its own, until the embedded AWS is closed."""
    threading.Thread(target=_Ticker(context, schedules).run, name="scheduler", daemon=True).start()


@dataclass(slots=True)
class _Known:
    """A schedule as it was read, and when it is due next."""

    version: tuple[str, str, float]
    times: Schedule
    due: datetime | None


class _Ticker:
    def __init__(self, context: Context, schedules: Callable[[], Iterable[ScheduleRecord]]) -> None:
        self._context = context
        self._schedules = schedules
        self._known: dict[str, _Known] = {}

    def run(self) -> None:
        while not self._context.closing.wait(_TICK_SECONDS):
            try:
                self._tick()
            except Exception:
                # Last frame of the thread: trouble with one schedule must not end the others.
                if not self._context.closing.is_set():
                    _LOGGER.exception("schedules")

    def _tick(self) -> None:
        now = self._context.clock()
        schedules = {one.arn: one for one in self._schedules()}
        self._known = {arn: known for arn, known in self._known.items() if arn in schedules}
        for arn, schedule in schedules.items():
            known = self._current(arn, schedule, now)
            while known is not None and known.due is not None and known.due <= now:
                due, known.due = known.due, known.times.next_after(known.due)
                if schedule.is_enabled:
                    self._fire(schedule, due)

    def _current(self, arn: str, schedule: ScheduleRecord, now: datetime) -> _Known | None:
        """The schedule's times; a changed one starts over."""
        version = (schedule.expression, schedule.timezone, schedule.modified)
        known = self._known.get(arn)
        if known is None or known.version != version:
            try:
                times = parse_schedule(schedule.expression, schedule.timezone)
            except ConfigurationError as error:
                _LOGGER.warning("schedule %s does not fire: %s", schedule.name, error)
                return None
            known = self._known[arn] = _Known(version, times, times.first(now))
        return known

    def _fire(self, schedule: ScheduleRecord, due: datetime) -> None:
        target = schedule.target
        try:
            client = self._client("stepfunctions", target["RoleArn"], schedule.name)
            client.start_execution(stateMachineArn=target["Arn"], input=target.get("Input", "{}"))
        except (ClientError, BotoCoreError, LocalCloudError) as error:
            _LOGGER.warning("schedule %s could not start at %s: %s", schedule.name, due, error)
            self._put_aside(schedule, error)

    def _put_aside(self, schedule: ScheduleRecord, error: Exception) -> None:
        target = schedule.target
        dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
        if not dead_letters:
            return
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        attributes = {
            "ERROR_CODE": {"DataType": "String", "StringValue": code},
            "ERROR_MESSAGE": {"DataType": "String", "StringValue": str(error)},
            "SCHEDULE_ARN": {"DataType": "String", "StringValue": schedule.arn},
            "TARGET_ARN": {"DataType": "String", "StringValue": target["Arn"]},
        }
        body = target.get("Input") or json.dumps({})
        queue = f"{self._context.endpoint_url}/{self._context.account}/{dead_letters.rsplit(':', 1)[-1]}"
        try:
            client = self._client("sqs", target["RoleArn"], schedule.name)
            client.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes)
        except (ClientError, BotoCoreError, LocalCloudError) as denied:
            _LOGGER.warning("schedule %s could not send its dead letter: %s", schedule.name, denied)

    def _client(self, service: str, role_arn: str, session: str) -> Any:
        context = self._context
        return make_client(
            service,
            endpoint_url=context.endpoint_url,
            region=context.region,
            credentials=context.credentials.for_role(role_arn, session[:64], _SERVICE),
        )
