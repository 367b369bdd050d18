"""The six questions that only an account can answer. Each check asks one, and answers with findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from resilience.proof_on_aws.changes import alarms, deploy_in_mid_run, image_bucket, removal
from resilience.proof_on_aws.findings import Finding
from resilience.proof_on_aws.jobs import job_environment, terminated_jobs
from resilience.proof_on_aws.subject import Subject

CHECKS: Final[dict[str, Callable[[Subject], Iterator[Finding]]]] = {
    "job environment": job_environment,
    "alarms": alarms,
    "terminated jobs": terminated_jobs,
    "deploy in mid-run": deploy_in_mid_run,
    "image bucket": image_bucket,
    "removal": removal,
}
"""In this order: the last one leaves nothing to ask."""
