"""Drives scim2-tester against a SCIM service provider and tells each check's outcome.

Usage: scim2_tester.py --base-url URL --token TOKEN

The server is described by its own discovery endpoints alone: what it does not publish there is not assumed. One JSON
object a line on standard output: ``{"check", "resource_type", "status", "reason"}``, then a summary
``{"passed", "failed", "resource_types"}``. Exit status 0 only if every check passed and both Users and Groups were
checked; a check that was skipped has not passed.
"""

import argparse
import json
import sys

# This script has the name of the package that it drives; its own folder must not be searched first.
del sys.path[0]

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status
from scim2_tester import check_server

# Checks that may end otherwise than passed, by name and resource type, each with the reason. Kept empty: whoever adds
# to it says here which sentence of which RFC makes the check wrong.
ALLOWED: dict[tuple[str, str | None], str] = {}

PASSED = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}

# What a directory of people must be able to hold; without both, too little was checked to mean anything.
EXPECTED_RESOURCE_TYPES = {"User", "Group"}

# A check on loopback that takes longer than this hangs.
MAX_REQUEST_S = 30.0

# Enough of a wrong answer to see what is wrong with it.
MAX_DETAIL_CHARACTERS = 2000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--token", required=True)
    arguments = parser.parse_args()

    # No proxy of the environment may stand between the tester and a server on loopback.
    with Client(
        base_url=arguments.base_url,
        headers={"Authorization": f"Bearer {arguments.token}"},
        timeout=MAX_REQUEST_S,
        trust_env=False,
    ) as client:
        results = check_server(SyncSCIMClient(client))

    failed = 0
    seen: set[str] = set()
    for result in results:
        passed = result.status in PASSED or (result.title, result.resource_type) in ALLOWED
        failed += not passed
        if result.resource_type:
            seen.add(result.resource_type)
        line = {
            "check": result.title,
            "resource_type": result.resource_type,
            "status": result.status.name.lower(),
            "reason": result.reason,
        }
        if not passed:
            line["detail"] = repr(result.data)[:MAX_DETAIL_CHARACTERS]
        print(json.dumps(line))

    missing = EXPECTED_RESOURCE_TYPES - seen
    for resource_type in sorted(missing):
        reason = "the server does not publish it, or discovery failed before it was reached"
        print(json.dumps({"check": "resource_type_tests", "resource_type": resource_type, "status": "missing", "reason": reason}))
    failed += len(missing)
    print(json.dumps({"passed": len(results) + len(missing) - failed, "failed": failed, "resource_types": sorted(seen)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
