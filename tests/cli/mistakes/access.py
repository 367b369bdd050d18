"""The way to AWS, and what it refuses."""

from __future__ import annotations

from typing import Final

from tests.cli.mistakes.case import Mistake
from tests.cli.mistakes.scenes import (
    denied_scan,
    of_dynamodb,
    of_s3,
    page_of_a_proxy,
    profiles,
    query_error,
    refused,
)

_REGION: Final = {"AWS_REGION": "eu-central-1"}
_KEYS: Final = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}

ACCESS: Final = (
    Mistake(
        "stepvec status",
        "no region",
        "No AWS region is set.",
        "Set AWS_REGION, or the region of a profile. Without an AWS account: `stepvec local up --detach`.",
        environment=_KEYS,
    ),
    Mistake(
        "stepvec status",
        "no credentials",
        "There are no AWS credentials.",
        "Run `aws configure` or set AWS_PROFILE. Without an AWS account: `stepvec local up --detach`.",
        environment=_REGION,
    ),
    Mistake(
        "stepvec status",
        "a secret key is missing",
        "The AWS credentials are not whole: AWS_SECRET_ACCESS_KEY is missing (env).",
        "Run `aws configure` or set AWS_PROFILE. Without an AWS account: `stepvec local up --detach`.",
        environment={**_REGION, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"},
    ),
    Mistake(
        "stepvec status --profile wrok",
        "a slip in the profile's name",
        "There is no AWS profile 'wrok'.",
        "Name one of home, work with --profile or AWS_PROFILE.",
        scene=profiles("[profile work]\nregion = eu-west-1\n[profile home]\n"),
    ),
    Mistake(
        "stepvec status",
        "a profile of the environment that is nowhere",
        "There is no AWS profile 'nope'.",
        "`aws configure` makes one; or unset it.",
        environment={**_REGION, "AWS_PROFILE": "nope"},
    ),
    Mistake(
        "stepvec status",
        "a configuration file that is no such file",
        "AWS's configuration cannot be used: Unable to parse config file: FOLDER/config.",
        "Correct that file (~/.aws/config, or AWS_CONFIG_FILE).",
        environment=_REGION,
        scene=profiles("region = eu-west-1\n"),
    ),
    Mistake(
        "stepvec status",
        "a profile whose sign-in was never made",
        "The sign-in to AWS has ended, or was never made: Error loading SSO Token: Token for s does not exist.",
        "Sign in again (`aws sso login`, `aws login`, or new temporary credentials).",
        environment={"AWS_PROFILE": "sso"},
        scene=profiles(
            "[profile sso]\nregion = eu-west-1\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session s]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n"
        ),
    ),
    Mistake(
        "stepvec status --region 'eu west'",
        "a region that cannot be one",
        "'eu west' is not the name of an AWS region.",
        "Set AWS_REGION to one, such as eu-central-1.",
        needs_aws=True,
    ),
    Mistake(
        "stepvec status --region eu-west-1",
        "another region than the deployment's",
        "There is no stack StepvecData in this account in eu-west-1.",
        "Deploy it with `make deploy`, set AWS_REGION, or use `stepvec local up`.",
        needs_aws=True,
        scene=refused(
            "Action=DescribeStacks", query_error("ValidationError", "Stack with id StepvecData does not exist")
        ),
    ),
    Mistake(
        "stepvec status",
        "keys that AWS does not know",
        "AWS does not know these credentials (InvalidClientTokenId).",
        "Correct them. Those of `stepvec local up` are good for its AWS_ENDPOINT_URL alone, while it is up.",
        environment=_KEYS,
        needs_aws=True,
    ),
    Mistake(
        "stepvec status",
        "an expired token",
        "The AWS credentials have expired (ExpiredToken).",
        "Sign in again (`aws sso login`, `aws login`, or new temporary credentials). An old AWS_SESSION_TOKEN in the environment does this too: unset it.",
        needs_aws=True,
        scene=refused(
            "Action=DescribeStacks",
            query_error("ExpiredToken", "The security token included in the request is expired", 403),
        ),
    ),
    Mistake(
        "stepvec status",
        "a secret key of another access key",
        "AWS refused DescribeStacks (SignatureDoesNotMatch): the secret access key is not that of the access key.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY as they belong together, or run `aws configure`.",
        needs_aws=True,
        scene=refused(
            "Action=DescribeStacks",
            query_error(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
                403,
            ),
        ),
    ),
    Mistake(
        "stepvec status",
        "the machine's clock is wrong",
        "AWS refused DescribeStacks (SignatureDoesNotMatch): this machine's clock is wrong by more than five minutes.",
        "Set it (`timedatectl set-ntp true`); a virtual machine's clock may have stood still while it slept.",
        needs_aws=True,
        scene=refused(
            "Action=DescribeStacks",
            query_error(
                "SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z", 403
            ),
        ),
    ),
    Mistake(
        "stepvec audit --sample 0",
        "the machine's clock is wrong, as S3 says it",
        "AWS refused ListObjectsV2 (RequestTimeTooSkewed): this machine's clock is wrong by more than five minutes.",
        "Set it (`timedatectl set-ntp true`); a virtual machine's clock may have stood still while it slept.",
        needs_aws=True,
        scene=refused(
            "/IMAGES?list-type=2",
            of_s3(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
        ),
    ),
    Mistake(
        "stepvec export --out vectors",
        "no right to read the table",
        "DynamoDB denied scanning table TABLE: An error occurred (AccessDeniedException) when calling the Scan operation: User: arn:aws:iam::123456789012:user/anna is not authorized to perform: dynamodb:Scan on resource: arn:aws:dynamodb:us-east-1:123456789012:table/TABLE with an explicit deny in an identity-based policy.",
        "Allow it in the policy of the role that AWS names.",
        needs_aws=True,
        scene=denied_scan,
    ),
    Mistake(
        "stepvec view",
        "no right to read the table",
        "DynamoDB denied scanning table TABLE: An error occurred (AccessDeniedException) when calling the Scan operation: User: arn:aws:iam::123456789012:user/anna is not authorized to perform: dynamodb:Scan on resource: arn:aws:dynamodb:us-east-1:123456789012:table/TABLE with an explicit deny in an identity-based policy.",
        "Allow it in the policy of the role that AWS names.",
        needs_aws=True,
        scene=denied_scan,
    ),
    Mistake(
        "stepvec audit --sample 0",
        "no right to list the bucket",
        "S3 denied listing s3://IMAGES/: An error occurred (AccessDenied) when calling the ListObjectsV2 operation: Access Denied.",
        "Allow it in the policy of the role that AWS names.",
        needs_aws=True,
        scene=refused("/IMAGES?list-type=2", of_s3(403, "AccessDenied", "Access Denied")),
    ),
    Mistake(
        "stepvec audit --sample 0",
        "the table is throttled, again and again",
        "AWS throttled Scan (ThrottlingException), and went on doing so when it was asked again.",
        "Wait a minute and run this again; see who else uses the account's quota.",
        needs_aws=True,
        scene=refused("DynamoDB_20120810.Scan", of_dynamodb("ThrottlingException", "Rate exceeded")),
    ),
    Mistake(
        "stepvec audit --sample 0",
        "the table was deleted",
        "AWS does not find what Scan asks for (ResourceNotFoundException): Requested resource not found.",
        "If it was deleted outside of Stepvec, deploy again (`stepvec deploy`); else check AWS_REGION.",
        needs_aws=True,
        scene=refused(
            "DynamoDB_20120810.Scan", of_dynamodb("ResourceNotFoundException", "Requested resource not found")
        ),
    ),
    Mistake(
        "stepvec audit --sample 0",
        "the image bucket was deleted",
        "S3 failed at listing s3://IMAGES/: An error occurred (NoSuchBucket) when calling the ListObjectsV2 operation: The specified bucket does not exist.",
        "Check that the bucket or table exists; then start again: only what is missing is done.",
        needs_aws=True,
        scene=refused("/IMAGES?list-type=2", of_s3(404, "NoSuchBucket", "The specified bucket does not exist")),
    ),
    Mistake(
        "stepvec report holiday --json",
        "the work bucket was deleted in the middle of the command",
        "The run holiday succeeded, and its report is gone: there is no s3://WORK/runs/holiday/report.json.",
        "If its bucket is gone too, deploy again; then start its paths again: what is stored costs next to nothing.",
        needs_aws=True,
        scene=refused(
            "/WORK/runs/holiday/report.json", of_s3(404, "NoSuchBucket", "The specified bucket does not exist")
        ),
    ),
    Mistake(
        "stepvec status",
        "CloudFormation fails",
        "AWS failed at DescribeStacks (InternalFailure): The request processing has failed because of an unknown error.",
        "Run this again; if it goes on, see health.aws.amazon.com.",
        needs_aws=True,
        scene=refused(
            "Action=DescribeStacks",
            query_error("InternalFailure", "The request processing has failed because of an unknown error.", 500),
        ),
    ),
    Mistake(
        "stepvec status",
        "a local AWS that has ended",
        "Nothing answers at http://127.0.0.1:9, where AWS_ENDPOINT_URL says that AWS is.",
        "If that was `stepvec local up`, it has ended: start it again. For AWS itself unset it.",
        environment={**_REGION, **_KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    ),
    Mistake(
        "stepvec status",
        "an endpoint without http://",
        "'127.0.0.1:4566' is not the address of an AWS.",
        "Write AWS_ENDPOINT_URL as http://HOST:PORT, or unset it.",
        environment={**_REGION, **_KEYS, "AWS_ENDPOINT_URL": "127.0.0.1:4566"},
    ),
    Mistake(
        "stepvec status",
        "an endpoint that no network leads to",
        "AWS does not answer at http://aws.invalid.",
        "Check the network, and AWS_REGION, HTTPS_PROXY and AWS_ENDPOINT_URL where they are set.",
        environment={**_REGION, **_KEYS, "AWS_ENDPOINT_URL": "http://aws.invalid"},
    ),
    Mistake(
        "stepvec status",
        "a network that answers everything with a page to sign in",
        "What answers at PROXY is not AWS: its answer cannot be read.",
        "Sign in to the network if it asks for that, or correct AWS_ENDPOINT_URL.",
        needs_aws=True,
        scene=refused("HTTP/1.1", page_of_a_proxy),
    ),
    Mistake(
        "stepvec status",
        "a proxy that is not there",
        'The proxy does not answer: Failed to connect to proxy URL: "http://127.0.0.1:9".',
        "Correct HTTPS_PROXY, or name in NO_PROXY what needs none.",
        environment={**_REGION, **_KEYS, "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": None, "no_proxy": None},
    ),
)
