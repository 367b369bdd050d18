"""Somebody's own AWS settings, and environments without them: an AWS on this machine is asked with nothing of theirs.

The names are those that AWS's SDKs, the AWS CLI, CDK, moto and obstore read:
https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html, botocore/configprovider.py,
https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html. All SDKs' settings, also those to
come, begin with AWS_; proxies are whatever urllib takes for one: any variable that ends in _proxy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Final

_OF_SDKS: Final = ("AWS_", "BOTO")
_OF_TOOLS: Final = ("AMAZON_", "CDK_", "MOTO_")
_OTHERS: Final = frozenset(
    {
        # Certificates for TLS, of which a local run has none; a file that is not there is an error all the same.
        *("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE", "SSLKEYLOGFILE"),
        "_X_AMZN_TRACE_ID",
        # Those of moto that do not have its name (moto/settings.py, moto/s3/models.py).
        *("INITIAL_NO_AUTH_ACTION_COUNT", "MAX_SHARED_ACCOUNTS", "S3_UPLOAD_PART_MIN_SIZE"),
        *("SF_EXECUTION_HISTORY_TYPE", "TEST_PROXY_MODE", "TEST_SERVER_MODE", "VALIDATE_LAMBDA_S3"),
    }
)
NO_FILES: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""No settings from files either, and no questions to the address that an EC2 instance's credentials come from."""
_HERE: Final = ("127.0.0.1", "localhost")


def isolate_process() -> None:
    """Leave this process, and whatever it starts, nothing of its user's AWS settings: variables, files, service models.

    For a process that is all ours, before it uses any AWS.
    """
    from botocore.loaders import Loader  # takes a while to import, and who asks for names alone does without

    isolate(os.environ)
    # Found in the home folder, whatever the variables say.
    Loader.CUSTOMER_DATA_PATH = os.devnull


def isolate(environ: MutableMapping[str, str]) -> None:
    """Take every AWS setting and every proxy out of `environ`, the environment of a process of our own."""
    for name in list(environ):
        if name.startswith(_OF_TOOLS) or name in _OTHERS or name.lower().endswith("_proxy") or is_sdk_setting(name):
            del environ[name]
    # Of the operating system's own proxies, too, where it has any: https://docs.python.org/3.11/library/urllib.request.html
    environ.update({**NO_FILES, "NO_PROXY": "*", "no_proxy": "*"})


def is_sdk_setting(name: str) -> bool:
    """Whether the SDKs and the AWS CLI take the variable `name` for a setting."""
    return name.startswith(_OF_SDKS)


def past_the_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY and no_proxy with this machine in them: what else goes through a proxy still does."""
    known = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name.strip() for name in known.split(",") if name.strip()]
    if "*" not in names:
        names += [name for name in _HERE if name not in names]
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(names))
