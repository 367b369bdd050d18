"""The embedded AWS: starts it, deploys a cloud assembly, and ends it leaving nothing behind."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from localaws.batch.container_engine import ContainerEngine
from localaws.batch.job import BatchHost
from localaws.batch.slots import Slots
from localaws.clients import make_client
from localaws.cloudformation.api import CloudFormationApi
from localaws.cloudformation.assembly import read_assembly
from localaws.cloudformation.deployer import Deployer
from localaws.context import Context
from localaws.errors import InstallationError, LocalCloudError
from localaws.functions.pool import LambdaPool
from localaws.handlers.registry import NotLocal
from localaws.http_api.front import HttpApiFront
from localaws.iam.authorizer import Authorizer, Denial
from localaws.iam.credentials import Credentials, CredentialStore
from localaws.iam.gate import Application, Gate
from localaws.patches import install_patches
from localaws.patches.batch import lose_host
from localaws.patches.http_apis import MotoHttpApis
from localaws.patches.identities import MotoIdentities
from localaws.patches.moto_state import ACCOUNT, reset_moto, stop_work
from localaws.patches.running import Running, set_current
from localaws.patches.server import MotoApis, QuietRequestHandler, moto_application
from localaws.patches.triggers import schedules, send_event
from localaws.scheduler import start_ticking
from localaws.server import Server, by_service
from localaws.workspace import Workspace


class EmbeddedCloud:
    """An AWS account on this machine, holding the stacks of one cloud assembly.

    A context manager; `close` ends it. One at a time in a process; any number of processes at once.

    Attributes:
        endpoint_url: where AWS clients find it, on 127.0.0.1.
        region, account: what ARNs hold.
        access_key_id, secret_access_key: of an IAM user that may do everything.
        outputs: the stacks' outputs, by stack name and the output's logical id.
        not_local: what the template has and a local run does not, with reasons.
        denied: every call refused by IAM so far.
    """

    def __init__(
        self, running: Running, server: Server, own_services: dict[str, Application], workspace: Workspace | None
    ) -> None:
        context = running.context
        self._context = context
        self._batch = running.batch
        self._functions = running.functions
        self._server = server
        self._workspace = workspace
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._moto_port = os.environ.get("MOTO_PORT")
        operator = context.credentials.create_operator()
        self.endpoint_url = context.endpoint_url
        self.region = context.region
        self.account = context.account
        self.access_key_id = operator.access_key_id
        self.secret_access_key = operator.secret_access_key
        self._deployer = Deployer(context, running.batch, running.functions, self.client)
        self._own_services = own_services
        own_services["cloudformation"] = CloudFormationApi(self._deployer, self.account, self.region)
        atexit.register(self.close)

    @classmethod
    def start(
        cls,
        assembly: Path,
        *,
        lambda_python: Path,
        worker_python: Path,
        slots: int,
        region: str = "us-east-1",
        work_directory: Path | None = None,
        enforce_iam: bool = True,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] | None = None,
        container_engine: ContainerEngine | None = None,
        proxy: Callable[[str], str] | None = None,
        lambda_concurrency: int | None = None,
        port: int = 0,
    ) -> Self:
        """Deploys the cloud assembly (cdk.out) in `assembly`.

        `lambda_python` runs the functions and needs awslambdaric and boto3; `worker_python` runs the jobs'
        images. `slots` is how many vCPUs the jobs may take together. `work_directory` holds unpacked code and
        the processes' home folders (a Workspace of its own when None). `environment` is added
        to the environment of every function and job, and wins over the template's. `clock` is the time that
        schedules go by, with a time zone (the machine's time when None). `container_engine` runs the
        jobs in real containers of its image, instead of with `worker_python`. `proxy` is given the server's URL
        and returns the one that functions, jobs and state machines call instead. `lambda_concurrency` is how many
        invocations the account may have at once (10 in a new one; no limit when None). `port` is the server's on
        127.0.0.1 (any free one when 0).

        Raises LocalCloudError, and leaves nothing behind, when the assembly cannot be deployed.
        """
        for python in (lambda_python, worker_python):
            _check_executable(python)
        install_patches()
        context = _new_context(region, environment or {}, clock)
        batch = BatchHost(context, Slots(slots), worker_python.absolute(), container_engine)
        running = Running(context, batch, LambdaPool(context, lambda_python.absolute(), lambda_concurrency))
        set_current(running)
        try:
            reset_moto(context.account, region)
            own_services: dict[str, Application] = {}
            server = _start_server(context, own_services, port)
            context.endpoint_url = server.url
            context.client_url = proxy(server.url) if proxy else server.url
            workspace = None if work_directory else Workspace()
            context.work_directory = (workspace.path if workspace else work_directory or Path()).resolve()
            context.work_directory.mkdir(parents=True, exist_ok=True)
        except BaseException:
            set_current(None)
            raise
        cloud = cls(running, server, own_services, workspace)
        try:
            cloud._deploy(assembly.resolve(), enforce_iam=enforce_iam)
        except BaseException:
            cloud.close()
            raise
        return cloud

    @property
    def outputs(self) -> dict[str, dict[str, str]]:
        """The stacks' outputs, by stack name and the output's logical id."""
        return self._deployer.outputs

    @property
    def not_local(self) -> list[NotLocal]:
        """What the template has and a local run does not, with reasons."""
        return self._deployer.not_local

    @property
    def denied(self) -> list[Denial]:
        """Every call refused by IAM so far, oldest first."""
        return self._context.authorizer.denials

    def issued_secrets(self) -> frozenset[str]:
        """Every secret key and session token that it has given out: the operator's, and those of functions and jobs."""
        return self._context.credentials.secrets() | {self.secret_access_key}

    def client(self, service: str) -> Any:
        """A boto3 client of the operator, the same one at each call. Safe to use from several threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = make_client(
                    service,
                    endpoint_url=self.endpoint_url,
                    region=self.region,
                    credentials=Credentials(self.access_key_id, self.secret_access_key),
                )
            return self._clients[service]

    def physical_id(self, stack: str, logical_id: str) -> str:
        """What CloudFormation calls the physical id: a bucket's name, a queue's URL, a job definition's ARN.

        Raises LocalCloudError when the stack has no such resource here.
        """
        try:
            return self._deployer.physical_ids[stack, logical_id]
        except KeyError:
            raise LocalCloudError(
                f"Stack {stack} has no resource {logical_id} here.",
                remedy="Take the logical id from the template; what is not local is in `not_local`.",
            ) from None

    def role_of(self, access_key_id: str) -> str:
        """The name of the role whose session this access key is; "" for a user's key, and for an unknown one."""
        principal = self._context.credentials.principal(access_key_id)
        return (principal.role or "") if principal else ""

    def deploy(self, assembly: Path) -> None:
        """Deploys another cloud assembly over this one, as a stack update does: in place, while runs go on.

        Raises LocalCloudError for what AWS would replace or refuse; what was changed before it stays changed.
        """
        for stack in read_assembly(assembly.resolve()):
            self._deployer.deploy(stack)

    def lose_host(self, job_id: str) -> None:
        """Ends the host under a running Batch job, as a Spot interruption does: SIGTERM, then SIGKILL.

        The attempt's status reason begins with "Host EC2". Nothing happens to a job that does not run.
        """
        lose_host(self.account, self.region, job_id)

    def send_event(self, source: str, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Sends an event to the default event bus as a service of AWS does; `source` is "aws.batch", for example."""
        send_event(self.account, self.region, source, detail_type, detail)

    def close(self) -> None:
        """Kills every process that it started, stops the server and removes its temporary folder."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        self._context.closing.set()
        self._context.children.kill_all()
        if self._batch.container_engine is not None:
            self._batch.container_engine.remove_all()
        stop_work(self.account, self.region)
        self._functions.close()
        self._server.close()
        set_current(None)
        if self._moto_port is None:
            os.environ.pop("MOTO_PORT", None)
        else:
            os.environ["MOTO_PORT"] = self._moto_port
        if self._workspace is not None:
            self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _deploy(self, assembly: Path, *, enforce_iam: bool) -> None:
        # moto reads it where it calls itself; `close` puts back what was there.
        os.environ["MOTO_PORT"] = self.endpoint_url.rsplit(":", 1)[-1]
        self._context.authorizer.enforcing = enforce_iam
        start_ticking(self._context, lambda: schedules(self.account, self.region))
        self.deploy(assembly)


def _check_executable(python: Path) -> None:
    if not os.access(python, os.X_OK):
        raise InstallationError(f"There is no Python at {python}.", remedy="Make it with `make setup`.")


def _new_context(region: str, environment: Mapping[str, str], clock: Callable[[], datetime] | None) -> Context:
    credentials = CredentialStore(MotoIdentities(ACCOUNT, region))
    context = Context(
        region=region,
        account=ACCOUNT,
        credentials=credentials,
        authorizer=Authorizer(credentials, ACCOUNT, region),
        extra_environment=environment,
    )
    context.clock = clock or context.clock
    return context


def _start_server(context: Context, own_services: Mapping[str, Application], port: int) -> Server:
    gate = Gate(
        by_service(own_services, moto_application()),
        MotoApis(),
        credentials=context.credentials,
        authorizer=context.authorizer,
        account=context.account,
        region=context.region,
    )
    front = HttpApiFront(
        gate,
        MotoHttpApis(context.account, context.region),
        credentials=context.credentials,
        authorizer=context.authorizer,
        account=context.account,
        region=context.region,
    )
    return Server(front, QuietRequestHandler, port)
