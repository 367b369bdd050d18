"""The message and the event that end a run: its counts, to the deployment's topic and to EventBridge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from stepvec.adapters.telemetry import logger
from stepvec.limits import SUBJECT_CHARACTERS
from stepvec.runs.reports import RunReport

EVENT_SOURCE: Final = "stepvec"
EVENT_TYPE: Final = "Stepvec Run Ended"
CHAT_CHARACTERS: Final = 3_000
"""Of a text in Slack, the tightest of the chats. https://docs.slack.dev/reference/block-kit/blocks/section-block"""
_ELLIPSIS: Final = "..."


def publish_message(client: Any, topic_arn: str, report: RunReport, *, where: str) -> None:
    """Publish the result in `report`, which is stored at `where`: text for people, and for a chat its own form.

    A message that cannot be sent is logged, not raised: the run's result is its report, and the state machine must not
    fail for a mailbox.
    """
    subject, text = subject_of(report), text_of(report, where=where)
    # "https" is how Amazon Q Developer in chat applications subscribes; every other protocol gets the text.
    bodies = {"default": text, "https": json.dumps(chat_notification(report.run, subject, text))}
    message = json.dumps(bodies, ensure_ascii=False)
    try:
        client.publish(TopicArn=topic_arn, Subject=subject, MessageStructure="json", Message=message)
    except (BotoCoreError, ClientError) as error:
        logger.warning("the run's message could not be sent", topic=topic_arn, error=str(error))


def send_event(client: Any, execution: str, detail: Mapping[str, Any]) -> None:
    """Put "Stepvec Run Ended" of the run's `execution` on the account's default event bus, for others to start from.

    Like the message, an event that cannot be sent is logged and fails nothing.
    """
    entry = {
        "Source": EVENT_SOURCE,
        "DetailType": EVENT_TYPE,
        "Resources": [execution],
        "Detail": json.dumps(detail, ensure_ascii=False),
    }
    try:
        answer = client.put_events(Entries=[entry])
    except (BotoCoreError, ClientError) as error:
        logger.warning("the run's event could not be sent", error=str(error))
        return
    # PutEvents itself succeeds when it refuses an entry.
    if answer["FailedEntryCount"]:
        (refused,) = answer["Entries"]
        logger.warning("EventBridge refused the run's event", error=refused)


def chat_notification(run: str, title: str, text: str) -> dict[str, Any]:
    """A custom notification of Amazon Q Developer in chat applications: Slack, Microsoft Teams, Amazon Chime.

    https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
    """
    # Suffixes come from people's keys: Slack takes these three characters for markup.
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return {
        "version": "1.0",
        "source": "custom",
        "content": {"textType": "client-markdown", "title": title, "description": text[:CHAT_CHARACTERS]},
        "metadata": {"threadId": run},
    }


def subject_of(report: RunReport) -> str:
    """One line of ASCII, as SNS requires; execution names may contain any letters."""
    answer = "complete" if report.complete else "INCOMPLETE"
    line = f"Stepvec: {answer}, {report.embedded} embedded, run {report.run}"
    line = line.encode("ascii", "replace").decode()
    cut = SUBJECT_CHARACTERS - len(_ELLIPSIS) - 1
    return line if len(line) < SUBJECT_CHARACTERS else line[:cut] + _ELLIPSIS


def text_of(report: RunReport, *, where: str) -> str:
    """The counts, failures by reason, what was ignored by suffix, speed, and where the report is."""
    parts = {
        "Failed by reason:": report.failed_by_reason,
        "Failed in an earlier run, and not tried again:": report.failed_before_by_reason,
        "Ignored by suffix:": report.ignored_by_suffix,
    }
    return "\n".join(
        [
            report.message,
            *(
                line
                for title, counts in parts.items()
                if counts
                for line in (title, *(f"  {name}: {count}" for name, count in counts.items()))
            ),
            f"{report.images_per_second} images/s, {report.seconds} seconds.",
            f"{report.shards} shards, {report.shards_failed} with an error.",
            f"Model {report.model}, table {report.table}.",
            f"Report: {where}",
        ]
    )
