"""Somebody's own AWS settings, whatever they are, change nothing of a local run."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import botocore.configprovider
import pytest

from stepvec.adapters.isolation import isolate, past_the_proxy
from stepvec.client.local_aws import LocalAws
from tests.local.conftest import photo
from tests.local.test_cli import STEPVEC

BOTOCORE = {
    name
    for _, names, *_ in (
        *botocore.configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES.values(),
        *botocore.configprovider.DEFAULT_S3_CONFIG_VARS.values(),
    )
    for name in (names if isinstance(names, list) else [names])
    if name
}
OTHERS = {
    # https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html, and what else botocore reads in its code.
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ACCOUNT_ID",
    "AWS_CREDENTIAL_EXPIRATION", "AWS_REGION", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CREDENTIAL_FILE", "AWS_LOGIN_CACHE_DIRECTORY", "AWS_BEARER_TOKEN_BEDROCK", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_DISABLE_EC2_METADATA_V1", "AWS_STS_USE_GLOBAL_ENDPOINT", "AWS_CLI_AUTO_PROMPT", "AWS_PAGER",
    "BOTO_CONFIG", "BOTO_DISABLE_CRT", "BOTOCORE_EXPERIMENTAL__PLUGINS",
    # obstore: https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html
    "AWS_ALLOW_HTTP", "AWS_SKIP_SIGNATURE", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_UNSIGNED_PAYLOAD",
    "AWS_S3_EXPRESS", "AWS_COPY_IF_NOT_EXISTS", "AWS_CONDITIONAL_PUT", "AWS_METADATA_ENDPOINT", "AWS_IMDSV1_FALLBACK",
    "AWS_ENDPOINT", "AWS_BUCKET", "AWS_TOKEN", "AWS_SERVER_SIDE_ENCRYPTION", "AWS_REQUEST_PAYER",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE",
    # moto and CDK
    "MOTO_ACCOUNT_ID", "MOTO_S3_CUSTOM_ENDPOINTS", "MOTO_S3_DEFAULT_MAX_KEYS", "MOTO_LAMBDA_CONCURRENCY_QUOTA",
    "MOTO_PORT", "INITIAL_NO_AUTH_ACTION_COUNT", "S3_UPLOAD_PART_MIN_SIZE", "SF_EXECUTION_HISTORY_TYPE",
    "CDK_DEFAULT_ACCOUNT", "CDK_DEFAULT_REGION", "CDK_CONTEXT_JSON", "CDK_OUTDIR",
}  # fmt: skip
SWITCHES = ("_CHECKSUM_", "DISABLE", "ENABLED", "FALLBACK", "IGNORE", "_USE_", "_V1_", "VALIDATION", "SKIP_", "ALLOW_")
"""In the names of those that are on or off, or one of a few words: where they are on, others have no effect."""
TO_SOMEWHERE = {
    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SFN",
    "AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_BATCH", "AWS_ENDPOINT_URL_STS", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_METADATA_ENDPOINT", "AWS_ENDPOINT", "http_proxy", "https_proxy",
    "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "grpc_proxy",
}  # fmt: skip


class Listener:
    """An address that nobody may talk to: what it is told, by whoever does."""

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                self.told.append(connection.recv(4096))


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def poisoned_home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    settings = home / ".aws"
    (settings / "models" / "s3" / "2006-03-01").mkdir(parents=True)
    (settings / "models" / "s3" / "2006-03-01" / "service-2.json").write_text("{")
    (settings / "config").write_text("[default\nregion = nowhere")
    (settings / "credentials").write_text("not credentials at all")
    (home / ".boto").write_text("[Credentials\n")
    return home


def poison(listener: Listener, *, switches: bool) -> dict[str, str]:
    """Every variable with a value that breaks, or misleads, whoever believes it."""
    names = BOTOCORE | OTHERS
    found = {name: "true" if _is_switch(name) else "/no/such poison" for name in names if _is_switch(name) is switches}
    # Of those, nobody may have it in a place where it would hide what the others do.
    return found | ({} if switches else dict.fromkeys(TO_SOMEWHERE, listener.url) | {"NO_PROXY": "", "no_proxy": ""})


def _is_switch(name: str) -> bool:
    return any(part in name for part in SWITCHES)


@pytest.mark.parametrize("switches", [False, True])
def test_a_local_run_sees_no_setting_of_its_user(
    listener: Listener, poisoned_home: Path, tmp_path: Path, switches: bool
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(2):
        (photos / f"{number}.jpg").write_bytes(photo(number))
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX", "TMPDIR") if name in os.environ}
    result = subprocess.run(
        [STEPVEC, "local", "run", str(photos), "--out", str(out)],
        env={**kept, **poison(listener, switches=switches), "HOME": str(poisoned_home)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((out / "report.json").read_text())["embedded"] == 2
    assert listener.told == []


@pytest.mark.parametrize("name", sorted(BOTOCORE | OTHERS | TO_SOMEWHERE))
def test_every_setting_is_taken_out_of_our_own_process(name: str) -> None:
    environ = {name: "poison", "HOME": "/home/me", "STEPVEC_SETTINGS": "{}", "PATH": "/bin"}
    isolate(environ)
    assert environ == {
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*", "no_proxy": "*", "HOME": "/home/me", "STEPVEC_SETTINGS": "{}", "PATH": "/bin",
    }  # fmt: skip


def test_botocore_reads_no_variable_that_is_not_taken_out() -> None:
    """A new botocore may read others: those in its code are found here."""
    folder = Path(botocore.configprovider.__file__).parent
    text = "\n".join(path.read_text() for path in folder.rglob("*.py") if "vendored" not in path.parts)
    read = set(re.findall(r"environ(?:\.get\(|\[)\s*['\"](\w+)['\"]", text))
    assert {"AWS_REGION", "REQUESTS_CA_BUNDLE", "SSLKEYLOGFILE"} <= read
    environ = dict.fromkeys(read - {"FOO"}, "poison")  # FOO is of an example
    isolate(environ)
    assert "poison" not in environ.values()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "intern.example"}, "intern.example,127.0.0.1,localhost"),
        ({"no_proxy": " localhost , .corp ", "NO_PROXY": "other"}, "localhost,.corp,127.0.0.1"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_only_this_machine_is_added_to_what_goes_past_a_proxy(before: dict[str, str], after: str) -> None:
    assert past_the_proxy(before) == {"NO_PROXY": after, "no_proxy": after}
    assert past_the_proxy(past_the_proxy(before)) == past_the_proxy(before)


def test_a_command_for_the_local_aws_keeps_its_other_variables() -> None:
    local = LocalAws("local", 1, "now", "http://127.0.0.1:1", "key", "secret", "us-east-1", "i", "w", "t", "arn")
    before = {"AWS_PROFILE": "nope", "AWS_ENDPOINT_URL_S3": "x", "BOTO_CONFIG": "x", "http_proxy": "p", "EDITOR": "vi"}
    environment = local.environment(before)
    assert environment["http_proxy"] == "p"
    assert environment["EDITOR"] == "vi"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "BOTO_CONFIG"} & set(environment)
