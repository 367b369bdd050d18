"""`make proof-on-aws`: what no emulator can know, asked of an AWS account, and what it answered as a table.

    python -m resilience.proof_on_aws [--name StepvecProof] [--embedded]

Deploys under a name of its own, asks, removes everything again (also after an error), and prints a table to paste into
an issue. It takes an hour at most and costs less than a dollar: some minutes of two vCPUs, a VPC without NAT.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Final

from resilience.proof_on_aws.changes import SETTINGS
from resilience.proof_on_aws.checks import CHECKS
from resilience.proof_on_aws.embedded import embedded_account
from resilience.proof_on_aws.findings import Finding, NotHere, Verdict, table
from resilience.proof_on_aws.places import AwsAccount, Place
from resilience.proof_on_aws.subject import Subject, empty_and_delete
from stepvec.client.removal import exists
from stepvec.errors import ConfigurationError, StepvecError

NAME: Final = "StepvecProof"


def prove(
    place: Place,
    say: Callable[[str], None],
    checks: Mapping[str, Callable[[Subject], Iterator[Finding]]] = CHECKS,
) -> list[Finding]:
    """Deploy in `place`, make the checks, and remove it all, whatever happened."""
    findings: list[Finding] = []
    say(f"Deploying {place.name} in {place.where}")
    try:
        subject = Subject(place, place.deploy(SETTINGS))
    except BaseException:
        place.destroy()
        raise
    try:
        for name, check in checks.items():
            say(f"Asking: {name}")
            findings += _ask(name, check, subject)
    finally:
        if "removal" not in {finding.check for finding in findings if finding.verdict is not Verdict.FAILED}:
            say("Removing it")
            place.destroy()
        for bucket in subject.buckets:
            empty_and_delete(place, bucket)
    return findings


def _ask(name: str, check: Callable[[Subject], Iterator[Finding]], subject: Subject) -> list[Finding]:
    """The check's findings. One that fails says so, and the next one is asked all the same."""
    question = (check.__doc__ or "").strip()
    findings: list[Finding] = []
    try:
        findings.extend(check(subject))
    except NotHere as reason:
        findings.append(Finding(name, question, "", str(reason), Verdict.NOT_HERE))
    except Exception as error:  # noqa: BLE001 - whatever went wrong is an answer, too, and what was deployed must go
        findings.append(Finding(name, question, "", f"{type(error).__name__}: {error}", Verdict.FAILED))
    return findings


def main() -> int:
    """Ask, and print the table. 1 if an answer differs from what the texts say, or could not be had."""
    parser = argparse.ArgumentParser(prog="proof_on_aws", description=__doc__, allow_abbrev=False)
    parser.add_argument("--name", default=NAME, help="beginning of the stacks' names; must not be in use")
    parser.add_argument("--embedded", action="store_true", help="rehearse the flow on the embedded AWS")
    options = parser.parse_args()
    with ExitStack() as stack:
        try:
            if options.embedded:
                place: Place = stack.enter_context(embedded_account(options.name))
            else:
                place = account = AwsAccount(options.name)
                _check_unused(account)
                if not _is_agreed(account):
                    return 1
            findings = prove(place, lambda text: print(text, file=sys.stderr))
        except StepvecError as error:
            print(f"error: {error.message}\n       {error.remedy}", file=sys.stderr)
            return 1
        print(table(findings, place.where))
    return 1 if any(finding.verdict in (Verdict.DIFFERS, Verdict.FAILED) for finding in findings) else 0


def _check_unused(account: AwsAccount) -> None:
    for stack in (f"{account.name}Data", f"{account.name}Pipeline"):
        if exists(account.client, stack):
            raise ConfigurationError(
                f"There is a stack {stack} already, and everything of this name is removed in the end.",
                remedy="Take another name (NAME=...), or remove what an earlier proof left.",
            )


def _is_agreed(account: AwsAccount) -> bool:
    print(
        f"This deploys {account.name}Data and {account.name}Pipeline in account {account.account}, {account.where}, "
        "runs a dozen small pictures, and removes all of it with its data.\n"
        "It takes up to an hour and costs less than a dollar.",
        file=sys.stderr,
    )
    return input(f"Type {account.name} to go on: ").strip() == account.name


if __name__ == "__main__":
    sys.exit(main())
