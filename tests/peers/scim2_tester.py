"""Drives scim2-tester against a SCIM service provider and tells each check's outcome.

What the tester does not look at is tried through scim2-client, which holds every answer against the standard and
against the server's own discovery: filters, sorting, cursors, searches by a body, versions, and bulk requests.

Usage: scim2_tester.py --base-url URL --token TOKEN

The server is described by its own discovery endpoints alone: what it does not publish there is not assumed. One JSON
object a line on standard output: ``{"check", "resource_type", "status", "reason"}``, then a summary
``{"passed", "failed", "resource_types"}``. Exit status 0 only if every check passed and both Users and Groups were
checked; a check that was skipped has not passed.
"""

import argparse
import json
import sys
import uuid

# This script has the name of the package that it drives; its own folder must not be searched first.
del sys.path[0]

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import BulkOperation
from scim2_models import BulkRequest
from scim2_models import Error
from scim2_models import SearchRequest
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


# Pages by cursor end after that many; more means that they go round.
MAX_PAGES = 20


class Beyond:
    """Checks beyond those of the tester, on people and a group of their own."""

    def __init__(self, http: Client) -> None:
        self.http = http
        self.client = SyncSCIMClient(http)
        self.client.discover()
        self.User = self.client.get_resource_model("User")
        self.Group = self.client.get_resource_model("Group")
        self.mark = uuid.uuid4().hex[:12]
        self.people = {}

    def prepare(self) -> None:
        for name, title in (("alice", "Engineer"), ("bob", None), ("carl", "clerk")):
            user = self.User(user_name=f"{name}.{self.mark}@beyond.test", title=title, display_name=name, active=True)
            self.people[name] = self.client.create(user)
        self.group = self.client.create(self.Group(display_name=f"Beyond {self.mark}"))

    def clean(self) -> None:
        for resource in [*self.people.values(), self.group]:
            self.client.delete(type(resource), resource.id)

    def names(self, **query) -> list[str]:
        listed = self.client.query(self.User, query_parameters=query)
        assert not isinstance(listed, Error), listed
        return [user.user_name.split(".")[0] for user in listed.resources or []]

    def check_filters(self) -> None:
        mine = f'userName co "{self.mark}"'
        for condition, expected in (
            ('userName sw "ALICE"', ["alice"]),
            ('userName ew "beyond.test"', ["alice", "bob", "carl"]),
            ('title pr', ["alice", "carl"]),
            ('not (title pr)', ["bob"]),
            ('title eq "engineer"', ["alice"]),
            ('title ne "engineer"', ["bob", "carl"]),
            ('title gt "clerk"', ["alice"]),
            ('title le "clerk"', ["carl"]),
            ('(displayName eq "bob" or displayName eq "carl") and active eq true', ["bob", "carl"]),
            ('meta.created gt "2000-01-01T00:00:00Z"', ["alice", "bob", "carl"]),
        ):
            found = self.names(filter=f"{mine} and {condition}")
            assert found == expected, f"{condition}: {found}"
        refused = self.client.query(self.User, query_parameters={"filter": "nonsense eq 1"}, raise_scim_errors=False)
        assert refused.status == 400 and refused.scim_type == "invalidFilter", refused

    def check_sorting(self) -> None:
        mine = f'userName co "{self.mark}"'
        assert self.names(filter=mine, sortBy="title") == ["carl", "alice", "bob"]
        assert self.names(filter=mine, sortBy="title", sortOrder="descending") == ["bob", "alice", "carl"]
        assert self.names(filter=mine, sortBy="userName", startIndex=2, count=1) == ["bob"]

    def check_cursors(self) -> None:
        query = {"filter": f'userName co "{self.mark}"', "count": 2, "cursor": ""}
        seen = []
        for _ in range(MAX_PAGES):
            page = self.client.query(self.User, query_parameters=query)
            seen += [user.id for user in page.resources or []]
            if not page.next_cursor:
                break
            query["cursor"] = page.next_cursor
        assert seen == [user.id for user in self.people.values()], seen
        other = {**query, "cursor": query["cursor"], "filter": "title pr"}
        refused = self.client.query(self.User, query_parameters=other, raise_scim_errors=False)
        assert refused.scim_type == "invalidCursor", refused

    def check_search_by_a_body(self) -> None:
        wish = SearchRequest(filter=f'userName eq "bob.{self.mark}@beyond.test"', attributes=["userName"])
        for target in (self.User, None):
            found = self.client.search(target, wish)
            assert [user.id for user in found.resources] == [self.people["bob"].id], found

    def check_versions(self) -> None:
        carl = self.people["carl"]
        path = f"/Users/{carl.id}"
        read = self.http.get(path)
        version = read.headers["ETag"]
        assert read.json()["meta"]["version"] == version
        assert self.http.get(path, headers={"If-None-Match": version}).status_code == 304
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": "nickName", "value": "c"}]}
        stale = self.http.patch(path, json=body, headers={"If-Match": 'W/"0"'})
        assert stale.status_code == 412 and stale.json()["status"] == "412", stale.text
        changed = self.http.patch(path, json=body, headers={"If-Match": version})
        assert changed.status_code == 200 and changed.headers["ETag"] != version, changed.text

    def check_bulk(self) -> None:
        person = self.User(user_name=f"dora.{self.mark}@beyond.test")
        group = self.Group(display_name=f"Bulk {self.mark}", members=[{"value": "bulkId:dora"}])
        answer = self.client.bulk(BulkRequest[self.User | self.Group](operations=[
            BulkOperation[self.Group](method="POST", path="/Groups", bulk_id="group", data=group),
            BulkOperation[self.User](method="POST", path="/Users", bulk_id="dora", data=person),
            BulkOperation[self.User](method="DELETE", path="/Users/nobody"),
        ]))
        statuses = [operation.status for operation in answer.operations]
        assert statuses == [201, 201, 404], answer
        ids = [operation.location.rsplit("/", 1)[1] for operation in answer.operations[:2]]
        made = self.client.query(self.Group, ids[0])
        assert [member.value for member in made.members] == [ids[1]], made
        self.client.delete(self.Group, ids[0])
        self.client.delete(self.User, ids[1])

    def run(self) -> list[dict]:
        lines = []
        self.prepare()
        try:
            for name in sorted(name for name in dir(self) if name.startswith("check_")):
                line = {"check": f"beyond.{name.removeprefix('check_')}", "resource_type": None}
                try:
                    getattr(self, name)()
                    lines.append({**line, "status": "success", "reason": None})
                except Exception as error:  # whatever it is, it is what went wrong with this check
                    detail = repr(error)[:MAX_DETAIL_CHARACTERS]
                    lines.append({**line, "status": "error", "reason": "not as the standard says", "detail": detail})
        finally:
            self.clean()
        return lines


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
        beyond = Beyond(client).run()

    failed = sum(line["status"] != "success" for line in beyond)
    for line in beyond:
        print(json.dumps(line))
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
    print(json.dumps({"passed": len(results) + len(beyond) + len(missing) - failed, "failed": failed, "resource_types": sorted(seen)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
