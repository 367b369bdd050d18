"""The embedded AWS with the pipeline deployed to it, and the deployment that clients find there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local_pipeline.assembly_cache import assembly_key, cache_folders, provide_assembly
from local_pipeline.installation import LAMBDA_PYTHON, WORKER_PYTHON, check_installation, local_settings, synthesize
from stepvec.client.deployment import Deployment, suffixes_of
from stepvec.client.local_aws import LocalAws
from stepvec.runs.http_start import HTTP_OUTPUT

if TYPE_CHECKING:
    from localaws import EmbeddedCloud

PROGRESS_SECONDS: Final = "1"
"""Seconds between two progress files of a worker: someone is watching."""


@contextmanager
def embedded_cloud(
    slots: int,
    settings: Mapping[str, Any] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    *,
    port: int = 0,
) -> Iterator[EmbeddedCloud]:
    """The embedded AWS with both stacks deployed, ended when the block is left.

    Raises ConfigurationError, and LocalCloudError where it cannot start.

    `settings` replace those of cdk.json; where nobody names an engine, it is this machine's. `on_step` is told, in
    words, what is about to be done. `port` is the one that it listens on; any free one if 0.
    """
    check_installation()
    chosen = local_settings(settings)
    # moto takes a second to import, and only a local run needs it.
    from localaws import EmbeddedCloud, Workspace, check_port

    check_port(port)  # before what takes seconds

    with Workspace() as workspace:

        def make(outdir: Path) -> None:
            on_step("Synthesizing the CDK app")
            synthesize(outdir, chosen, temporary=workspace.folder("synthesis"))

        assembly = workspace.folder("assembly")
        provide_assembly(assembly, assembly_key(chosen), make, cache_folders(os.environ))
        on_step("Deploying its template on the embedded AWS")
        cloud = EmbeddedCloud.start(
            assembly,
            lambda_python=LAMBDA_PYTHON,
            worker_python=WORKER_PYTHON,
            slots=slots,
            work_directory=workspace.folder("aws"),
            port=port,
            environment={"STEPVEC_PROGRESS_SECONDS": PROGRESS_SECONDS},
        )
        with cloud:
            yield cloud


def deployment_of(cloud: EmbeddedCloud) -> Deployment:
    """Where the pipeline's parts are on `cloud`, by the stacks' outputs."""
    # Whatever the stacks are called: the setting `name` changes that.
    outputs = {name: value for stack in cloud.outputs.values() for name, value in stack.items()}
    return Deployment(
        image_bucket=outputs["ImageBucketName"],
        work_bucket=outputs["WorkBucketName"],
        table=outputs["TableName"],
        state_machine_arn=outputs["StateMachineArn"],
        model=outputs["Model"],
        client=cloud.client,
        suffixes=suffixes_of(outputs),
        vector_index=outputs.get("VectorIndexArn", ""),
        http_url=outputs.get(HTTP_OUTPUT, ""),
    )


def local_aws_of(cloud: EmbeddedCloud, name: str) -> LocalAws:
    """`cloud`, which lives in this process, as others find it under `name`."""
    deployment = deployment_of(cloud)
    return LocalAws(
        name=name,
        pid=os.getpid(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        endpoint_url=cloud.endpoint_url,
        access_key_id=cloud.access_key_id,
        secret_access_key=cloud.secret_access_key,
        region=cloud.region,
        image_bucket=deployment.image_bucket,
        work_bucket=deployment.work_bucket,
        table=deployment.table,
        state_machine_arn=deployment.state_machine_arn,
        http_url=deployment.http_url,
    )
