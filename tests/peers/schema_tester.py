"""Drives schemathesis against the administration API or a directory's SCIM surface, and tells what it found.

Usage: schema_tester.py api|scim --base-url URL --token TOKEN --seconds N --examples N --seed N

`api` holds the answers against the server's own OpenAPI document. `scim` holds them against a document that is made of
what the server publishes about itself at `/Schemas`: what it declares there, it must answer. Ids that answers name are
used by later calls, because a made-up id only finds out what a 404 looks like.

Schemathesis tells its findings on standard output; the last line is a JSON object ``{"calls", "by_status",
"operations", "undone", "failed"}``, where ``undone`` names the operations that were never carried out. Exit status 0 only
if nothing was found.
"""

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

# Answers must be declared: the status, the media type, the headers and the body; and none may be the server's fault.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# The first phase sends what no schema allows; the second what every schema allows, so that more than refusals is seen.
SETTINGS = """
[phases.coverage]
unexpected-methods = []

[phases.fuzzing]
generation.mode = "positive"
"""
# A call on loopback that takes longer than this hangs.
MAX_REQUEST_S = 30
# How many ids of one kind are remembered.
MAX_KNOWN = 50
# How often an id that is known takes the place of a made-up one.
KNOWN_RATIO = 0.8
# Where the hooks, which run inside schemathesis, leave their counts.
COUNTS = "PORTCULLIS_TESTER_COUNTS"
SURFACE = "PORTCULLIS_TESTER_SURFACE"
SEED = "PORTCULLIS_TESTER_SEED"
WORLD = "PORTCULLIS_TESTER_WORLD"

# Operations that a user and a group take: of those that the schema makes up next to none is carried out whole.
GOOD_PATCHES = [
    [{"op": "replace", "path": "displayName", "value": "Engines"}],
    [{"op": "add", "path": "externalId", "value": "e1"}, {"op": "Replace", "value": {"displayName": "Machines"}}],
    [{"op": "remove", "path": "externalId"}],
]

SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def call(base: str, token: str, method: str, path: str, body=None):
    """One call outside of schemathesis: the world that it is to find."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{base}{path}", data=data, headers=headers, method=method)
    # No proxy of the environment may stand between the tester and a server on loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=MAX_REQUEST_S) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        raise SystemExit(f"{method} {path}: {refused.code} {refused.read().decode(errors='replace')}") from refused


# --- the document of the SCIM surface -------------------------------------------------------------------------------


def schema_of(attribute: dict) -> dict:
    """One attribute of a SCIM schema (RFC 7643 section 7) as JSON Schema."""
    kinds = {"string": "string", "boolean": "boolean", "decimal": "number", "integer": "integer",
             "dateTime": "string", "binary": "string", "reference": "string"}
    if attribute["type"] == "complex":
        one = object_of(attribute["subAttributes"])
    else:
        one = {"type": kinds[attribute["type"]]}
        if attribute["type"] == "dateTime":
            one["format"] = "date-time"
    return {"type": "array", "items": one} if attribute["multiValued"] else one


def object_of(attributes: list[dict]) -> dict:
    readable = [a for a in attributes if a["returned"] != "never"]
    return {
        "type": "object",
        "properties": {a["name"]: schema_of(a) for a in readable},
        "required": [a["name"] for a in readable if a["required"]],
    }


def scim_document(base: str, token: str) -> dict:
    """What the surface declares about itself, as an OpenAPI document."""
    schemas = {s["id"]: s for s in call(base, token, "GET", "/Schemas")["Resources"]}
    types = call(base, token, "GET", "/ResourceTypes")["Resources"]
    parts, paths = {}, {}
    for kind in types:
        core = object_of(schemas[kind["schema"]]["attributes"])
        core["properties"]["schemas"] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        core["properties"]["id"] = {"type": "string", "minLength": 1}
        core["properties"]["externalId"] = {"type": "string"}
        core["properties"]["meta"] = {
            "type": "object",
            "properties": {
                "resourceType": {"const": kind["name"]},
                "created": {"type": "string", "format": "date-time"},
                "lastModified": {"type": "string", "format": "date-time"},
                "location": {"type": "string", "format": "uri"},
                "version": {"type": "string"},
            },
            "required": ["resourceType", "created", "lastModified", "location"],
        }
        for extension in kind.get("schemaExtensions", []):
            core["properties"][extension["schema"]] = object_of(schemas[extension["schema"]]["attributes"])
        sent = json.loads(json.dumps(core))
        whole = json.loads(json.dumps(core))
        whole["required"] = sorted({*core["required"], "schemas", "id", "meta"})
        # A projection leaves out whatever it is told to, but these (RFC 7644 section 3.9).
        core["required"] = ["schemas", "id"]
        name = kind["name"]
        parts |= {name: core, f"New{name}": sent, f"Whole{name}": whole, f"ListOf{name}": list_of(name)}
        paths |= paths_of(kind["endpoint"], name)
    parts["Error"] = {
        "type": "object",
        "properties": {"schemas": {"const": [SCIM_ERROR]}, "status": {"type": "string", "pattern": "^[45][0-9][0-9]$"},
                       "scimType": {"type": "string"}, "detail": {"type": "string", "minLength": 1}},
        "required": ["schemas", "status", "detail"],
    }
    parts["ListOfAny"] = list_of(None)
    parts["Patch"] = {
        "type": "object",
        "properties": {
            "schemas": {"const": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]},
            "Operations": {"anyOf": [{"enum": GOOD_PATCHES}, {
                "type": "array", "minItems": 1, "maxItems": 4,
                "items": {
                    "type": "object",
                    "properties": {
                        "op": {"enum": ["add", "replace", "remove", "Add", "Replace", "Remove"]},
                        "path": {"enum": [
                            "active", "displayName", "userName", "externalId", "emails", "emails[type eq \"work\"].value",
                            "name.givenName", "name", "title", "members", "members[value eq \"x\"]", "roles[primary eq true]",
                            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "addresses.locality", "id"]},
                        "value": {"anyOf": [{"type": "string"}, {"type": "boolean"}, {"type": "object"}, {"type": "null"},
                                            {"type": "array", "items": {"type": "object", "properties": {
                                                "value": {"type": "string"}, "type": {"enum": ["work", "home", "User"]},
                                                "primary": {"type": "boolean"}}}}]},
                    },
                    "required": ["op"],
                },
            }]},
        },
        "required": ["schemas", "Operations"],
    }
    parts["Search"] = {
        "type": "object",
        "properties": {
            "schemas": {"const": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]},
            "filter": {"$ref": "#/components/schemas/Filter"}, "sortBy": {"enum": ["userName", "meta.created", "id", "nonsense"]},
            "sortOrder": {"enum": ["ascending", "descending"]}, "startIndex": {"type": "integer"},
            "count": {"type": "integer"}, "attributes": {"type": "array", "items": {"type": "string"}, "maxItems": 4},
        },
        "required": ["schemas"],
    }
    parts["Filter"] = {"anyOf": [{"type": "string", "maxLength": 60}, {"enum": [
        'userName eq "ada@acme.test"', "title pr", 'not (active eq true)', 'emails[type eq "work" and value co "@"]',
        'meta.created gt "2020-01-01T00:00:00Z"', 'displayName sw "E" or externalId ne null', 'members.value eq "x"',
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department ew "s"']}]}
    parts["Bulk"] = {
        "type": "object",
        "properties": {
            "schemas": {"const": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]},
            "failOnErrors": {"type": "integer", "minimum": 1},
            "Operations": {"type": "array", "minItems": 1, "maxItems": 4, "items": {
                "type": "object",
                "properties": {
                    "method": {"enum": ["POST", "PUT", "PATCH", "DELETE"]}, "bulkId": {"type": "string", "minLength": 1, "maxLength": 3},
                    "path": {"enum": ["/Users", "/Groups", "/Users/x", "/Groups/bulkId:a", "/Bulk", "/"]},
                    "data": {"anyOf": [{"$ref": "#/components/schemas/NewUser"}, {"$ref": "#/components/schemas/NewGroup"}]},
                },
                "required": ["method", "path"]}},
        },
        "required": ["schemas", "Operations"],
    }
    parts["BulkAnswer"] = {
        "type": "object",
        "properties": {
            "schemas": {"const": ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]},
            "Operations": {"type": "array", "items": {
                "type": "object",
                "properties": {"method": {"enum": ["POST", "PUT", "PATCH", "DELETE"]}, "status": {"type": "string", "pattern": "^[2-4][0-9][0-9]$"},
                               "location": {"type": "string"}, "response": {"$ref": "#/components/schemas/Error"}},
                "required": ["method", "status"]}},
        },
        "required": ["schemas", "Operations"],
    }
    paths["/.search"] = {"post": operation("Search", {200: "ListOfAny"}, [400, 401, 403, 413])}
    paths["/Bulk"] = {"post": operation("Bulk", {200: "BulkAnswer"}, [400, 401, 403, 413])}
    # `/Me` is left out: its one answer is 501, which the standard wants and every check calls a fault of the server.
    for endpoint in ("/ServiceProviderConfig", "/Schemas", "/ResourceTypes"):
        answer = operation(None, {200: None}, [401, 403])
        paths[endpoint] = {"get": answer}
    return {
        "openapi": "3.1.0",
        "info": {"title": "SCIM 2.0 of one directory", "version": "2"},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": parts},
    }


def list_of(name: str | None) -> dict:
    anything = {"anyOf": [{"$ref": "#/components/schemas/User"}, {"$ref": "#/components/schemas/Group"}]}
    return {
        "type": "object",
        "properties": {
            "schemas": {"const": [LIST_RESPONSE]}, "totalResults": {"type": "integer", "minimum": 0},
            "startIndex": {"type": "integer", "minimum": 1}, "itemsPerPage": {"type": "integer", "minimum": 0},
            "nextCursor": {"type": "string"},
            "Resources": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"} if name else anything},
        },
        "required": ["schemas"],
    }


def operation(body: str | None, answers: dict, refusals: list[int], parameters=()) -> dict:
    def content(name):
        schema = {"$ref": f"#/components/schemas/{name}"} if name else {"type": "object"}
        return {"application/scim+json": {"schema": schema}}

    responses = {}
    for status, name in answers.items():
        responses[str(status)] = {"description": "Done.", **({} if status in (204, 304) else {"content": content(name)})}
    for status in refusals:
        responses[str(status)] = {"description": "Refused.", "content": content("Error")}
    made = {"parameters": list(parameters), "responses": responses}
    if body:
        media = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        made["requestBody"] = {"required": True, "content": {"application/scim+json": media, "application/json": media}}
    return made


def parameter(name: str, place: str, schema: dict) -> dict:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def paths_of(endpoint: str, name: str) -> dict:
    names = {"type": "string", "maxLength": 40}
    shown = [parameter("attributes", "query", {"anyOf": [names, {"enum": ["userName,emails.value", "members", "id"]}]}),
             parameter("excludedAttributes", "query", {"anyOf": [names, {"enum": ["members,groups", "meta"]}]})]
    asked = [parameter("filter", "query", {"$ref": "#/components/schemas/Filter"}),
             parameter("sortBy", "query", {"anyOf": [names, {"enum": ["displayName", "meta.lastModified", "name.familyName"]}]}),
             parameter("sortOrder", "query", {"enum": ["ascending", "descending", "sideways"]}),
             parameter("startIndex", "query", {"type": "integer"}), parameter("count", "query", {"type": "integer"}),
             parameter("cursor", "query", {"type": "string", "maxLength": 60})]
    one = [parameter("id", "path", {"type": "string", "minLength": 1})]
    version = [parameter("If-Match", "header", {"enum": ["*", 'W/"0"', "W/\"1\"", "nonsense"]}),
               parameter("If-None-Match", "header", {"enum": ["*", 'W/"0"']})]
    change = [400, 401, 403, 404, 409, 412, 413]
    return {
        endpoint: {
            "get": operation(None, {200: f"ListOf{name}"}, [400, 401, 403, 413], [*shown, *asked]),
            "post": operation(f"New{name}", {201: name}, [400, 401, 403, 409, 413], shown),
        },
        f"{endpoint}/{{id}}": {
            "get": operation(None, {200: name, 304: None}, [400, 401, 403, 404], [*one, *shown, *version[1:]]),
            "put": operation(f"New{name}", {200: name}, change, [*one, *shown, *version]),
            "patch": operation("Patch", {200: name, 204: None}, change, [*one, *shown, *version]),
            "delete": operation(None, {204: None}, [400, 401, 403, 404, 409, 412], [*one, *version]),
        },
        f"{endpoint}/.search": {"post": operation("Search", {200: f"ListOf{name}"}, [400, 401, 403, 413])},
    }


# --- inside of schemathesis ----------------------------------------------------------------------------------------


def install_hooks() -> None:
    import schemathesis

    choose = random.Random(os.environ[SEED])
    known = collections.defaultdict(list, json.loads(os.environ[WORLD]))
    counts = collections.Counter()

    def remember(kind: str, value) -> None:
        if isinstance(value, str) and value not in known[kind]:
            known[kind] = [*known[kind], value][-MAX_KNOWN:]

    def learn(answer) -> None:
        """Every id of an answer, by its visible prefix; of SCIM, by the kind of resource."""
        if isinstance(answer, list):
            for item in answer:
                learn(item)
        elif isinstance(answer, dict):
            found = answer.get("id")
            if isinstance(found, str):
                meta = answer.get("meta") if isinstance(answer.get("meta"), dict) else {}
                remember(meta.get("resourceType") or found.split("_")[0], found)
            for value in answer.values():
                if isinstance(value, (dict, list)):
                    learn(value)

    # Names of path parameters and of members of bodies, and the prefix of the ids that they take.
    kinds = {
        "org": "org", "agt": "agt", "tok": "tok", "evt": "evt", "connection": "con", "dir": "dir", "domain": "dom",
        "environment": "env", "grant": "grt", "invitation": "inv", "mapping": "map", "mem": "mem", "rcp": "rcp", "role": "role",
        "team": "team", "trc": "trc", "owner": "mem", "heir": "mem", "member": "mem", "directory": "dir", "user": "usr",
        "holder": "mem",
    }

    def fill(holder: dict, names) -> None:
        for name in names:
            kind = kinds.get(name)
            if kind and known[kind] and choose.random() < KNOWN_RATIO:
                holder[name] = choose.choice(known[kind])

    @schemathesis.hook
    def before_call(context, case, kwargs):
        path, method = case.operation.path, case.operation.method.upper()
        if os.environ[SURFACE] == "scim":
            both = ["attributes", "excludedAttributes"]
            # They exclude each other, and next to every call would be refused for having both.
            if isinstance(case.query, dict) and all(name in case.query for name in both) and choose.random() < KNOWN_RATIO:
                del case.query[choose.choice(both)]
            # Nor would next to any change meet both conditions.
            for name in ("If-Match", "If-None-Match"):
                if case.headers and name in case.headers and choose.random() < KNOWN_RATIO:
                    del case.headers[name]
            pool = known["Group" if "Groups" in path else "User"]
            if isinstance(case.path_parameters, dict) and "id" in case.path_parameters and pool and choose.random() < KNOWN_RATIO:
                case.path_parameters["id"] = choose.choice(pool)
            return
        if isinstance(case.path_parameters, dict):
            fill(case.path_parameters, list(case.path_parameters))
            if "org" in case.path_parameters:
                last = path == "/organizations/{org}" and method == "DELETE"
                # The world must stay, so that there is something to be found.
                case.path_parameters["org"] = "doomed" if last else choose.choice(["acme"] * 9 + ["unknown"])
        if isinstance(case.body, dict) and choose.random() < KNOWN_RATIO:
            fill(case.body, [name for name in case.body if isinstance(case.body[name], str)])

    @schemathesis.hook
    def after_call(context, case, response):
        counts[response.status_code] += 1
        label = f"{case.operation.method.upper()} {case.operation.path}"
        if 200 <= response.status_code < 300:
            counts[label] += 1
            try:
                learn(json.loads(response.content))
            except ValueError:
                pass
        with open(os.environ[COUNTS], "w") as file:
            json.dump(counts, file)


# --- outside of it -------------------------------------------------------------------------------------------------


def api_world(base: str, root: str) -> dict:
    """An organization with one of each noun, so that their ids are known from the first call on."""
    def made(path, body):
        return call(base, root, "POST", f"/organizations{path}", body)

    for slug in ("acme", "doomed"):
        made("", {"slug": slug, "name": slug, "owner_email": f"owner@{slug}.test"})
    made("/acme/environments", {"slug": "staging", "name": "Staging"})
    made("/acme/teams", {"slug": "ops", "name": "Operations"})
    made("/acme/roles", {"slug": "auditor", "rank": 150, "permissions": ["audit-events.read"]})
    made("/acme/domains", {"domain": "acme.test", "vouched": True})
    directory = made("/acme/directories", {"kind": "scim", "name": "Okta", "default_role": "member"})
    scim, token = directory["base_url"].removeprefix(base.removesuffix("/api/v1")), directory["token"]
    host = base.removesuffix("/api/v1")
    for name in ("ada", "bob", "cyd", "dan"):
        call(host, token, "POST", f"{scim}/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                                                     "userName": f"{name}@acme.test", "externalId": name})
    members = call(base, root, "GET", "/organizations/acme/members")["items"]
    people = [member["id"] for member in members if member["state"] == "active"]
    for person in people:
        made(f"/acme/members/{person}/keys", {"name": "laptop"})
        agent = made("/acme/agents", {"name": "bot", "owner": person})
        made(f"/acme/agents/{agent['id']}/keys", {"name": "first"})
    made(f"/acme/members/{people[-1]}/offboard", {"reason": "left"})
    made("/acme/mappings", {"directory": directory["id"], "group": {"display_name": "Engines"}, "role": "viewer"})
    made("/acme/grants", {"member": people[0], "role": "admin", "reason": "on call"})
    made("/acme/invitations", {"email": "eve@acme.test", "role": "viewer"})
    made("/acme/service-keys", {"name": "gateway", "scopes": ["evaluate"]})
    known = {}
    for noun in ("environments", "teams", "roles", "domains", "directories", "members", "agents", "mappings", "grants",
                 "invitations", "service-keys", "tokens", "receipts", "audit-events", "traces"):
        for item in call(base, root, "GET", f"/organizations/acme/{noun}")["items"]:
            known.setdefault(item["id"].split("_")[0], []).append(item["id"])
    # These are named by what people call them.
    named = {"env": ["staging", "production"], "team": ["ops"], "role": ["auditor", "viewer", "owner"], "dom": ["acme.test"]}
    return {**known, **named}


def scim_world(base: str, token: str) -> dict:
    people = [call(base, token, "POST", "/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                                                    "userName": f"{name}@acme.test"})["id"] for name in ("ada", "bob")]
    group = call(base, token, "POST", "/Groups", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                                                   "displayName": "Engines", "members": [{"value": people[0]}]})
    return {"User": people, "Group": [group["id"]]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("surface", choices=["api", "scim"])
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--examples", type=int, required=True, help="how many an operation gets, unless the time is up before")
    parser.add_argument("--seed", type=int, required=True)
    wish = parser.parse_args()

    base = wish.base_url.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        document, counts = f"{folder}/openapi.json", f"{folder}/counts.json"
        if wish.surface == "api":
            declared, world = call(base, wish.token, "GET", "/openapi.json"), api_world(base, wish.token)
        else:
            declared, world = scim_document(base, wish.token), scim_world(base, wish.token)
        with open(document, "w") as file:
            json.dump(declared, file)
        with open(f"{folder}/schemathesis.toml", "w") as file:
            file.write(SETTINGS)
        words = [
            sys.executable, "-m", "schemathesis.cli", "run", document, "--url", base,
            "--header", f"Authorization: Bearer {wish.token}", "--checks", ",".join(CHECKS),
            "--phases", "coverage,fuzzing", "--max-examples", str(wish.examples), "--max-time", str(wish.seconds),
            "--seed", str(wish.seed), "--request-timeout", str(MAX_REQUEST_S), "--continue-on-failure", "--no-shrink",
            "--warnings", "off", "--no-color",
        ]
        environment = {
            **os.environ, "SCHEMATHESIS_HOOKS": "schema_tester", "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)),
            COUNTS: counts, SURFACE: wish.surface, SEED: str(wish.seed), WORLD: json.dumps(world), "NO_PROXY": "*",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        ended = subprocess.run(words, env=environment, cwd=folder, timeout=wish.seconds * 3 + 120)
        with open(counts) as file:
            counted = json.load(file)
    statuses = {key: value for key, value in counted.items() if key.isdigit()}
    operations = [(method.upper(), path) for path, methods in declared["paths"].items() for method in methods]
    undone = sorted(f"{method} {path}" for method, path in operations if f"{method} {path}" not in counted)
    summary = {"calls": sum(statuses.values()), "by_status": statuses, "operations": len(operations), "undone": undone,
               "failed": ended.returncode}
    print(json.dumps(summary))
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())

install_hooks()
