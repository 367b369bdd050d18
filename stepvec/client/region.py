"""One region and one profile for all readers of AWS's variables: every command begins with it."""

from __future__ import annotations

from collections.abc import MutableMapping


def unify_region(environ: MutableMapping[str, str]) -> None:
    """Make every reader of these variables take the same region and profile.

    CDK and the AWS CLI look at AWS_REGION first, botocore only at AWS_DEFAULT_REGION; of profiles, CDK and the AWS CLI
    take AWS_PROFILE first, botocore AWS_DEFAULT_PROFILE. The first of each pair wins, and fills the other; an empty
    variable, which botocore would take for a value, counts as unset.
    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html, botocore.configprovider
    """
    for first, second in (("AWS_REGION", "AWS_DEFAULT_REGION"), ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")):
        if value := environ.get(first) or environ.get(second):
            environ[first] = environ[second] = value
        else:
            environ.pop(first, None)
            environ.pop(second, None)
