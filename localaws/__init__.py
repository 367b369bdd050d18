"""The embedded AWS: the synthesized CDK template runs on this machine, with no account and no Docker.

moto answers the API calls. Lambda functions and Batch jobs are real subprocesses, and each call is
checked against the template's own IAM policies. docs/local.md says what is as on AWS and what is not.
"""

from __future__ import annotations

from localaws.cloud import EmbeddedCloud
from localaws.handlers.registry import NotLocal
from localaws.iam.authorizer import Denial
from localaws.server import check_port
from localaws.workspace import Workspace

__all__ = ["Denial", "EmbeddedCloud", "NotLocal", "Workspace", "check_port"]
