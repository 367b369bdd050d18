"""The embedded AWS: the synthesized CDK template runs on this machine, with no account and no Docker.

moto answers the API calls. Lambda functions and Batch jobs are real subprocesses, and each call is
checked against the template's own IAM policies. docs/local.md says what is as on AWS and what is not.
"""

from __future__ import annotations

from localaws.installation import check_installation

# Before anything of moto: another version may lack what is imported below.
check_installation()

from localaws.cloud import EmbeddedCloud  # noqa: E402
from localaws.reports import Denial, NotLocal  # noqa: E402

__all__ = ["Denial", "EmbeddedCloud", "NotLocal"]
