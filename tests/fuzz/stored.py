"""What was accepted can be used: whatever is stored, each later interaction works, and the server starts again."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from apothecary.fhir.releases import FhirVersion
from apothecary.testing import ServerProcess
from tests.conformance.harness import Answer
from tests.fuzz.dice import Dice, dice_for
from tests.fuzz.judge import fault
from tests.fuzz.material import ACTING, Material, parameters
from tests.fuzz.mutate import mutated, spelled
from tests.fuzz.servers import DATABASES, PARTS, official, server
from tests.fuzz.wire import Connection, Request
from tests.waiting import until

JSON = (("Content-Type", "application/fhir+json"),)
# The url that definitions of one kind share, so that they meet: two of one url, and those that name one another.
_SHARED = "http://example.org/fuzz/{kind}/{number}"


@dataclass(frozen=True)
class Stored:
    """A resource that a server took."""

    version: FhirVersion
    kind: str
    id: str
    resource: Mapping[str, Any]

    @property
    def path(self) -> str:
        return f"/fhir/{self.version.segment}/{self.kind}/{self.id}"


def offered(material: Material, seed: int, count: int) -> Iterator[Stored]:
    """`count` resources to be stored: of every type, and more of those that the server acts upon."""
    for number in range(count):
        dice = dice_for(seed, number, "stored")
        version = dice.choice(tuple(FhirVersion))
        kinds = [one for one in ACTING if one in material.types[version]]
        kind = dice.choice(kinds if dice.chance(0.7) else material.types[version])
        resource = material.resource(dice, version, kind)
        if dice.chance(0.15):
            resource = mutated(dice, resource)
        if "url" in resource and dice.chance(0.5):
            resource["url"] = _SHARED.format(kind=kind, number=dice.randrange(3))
        _entangle(dice, kind, resource)
        identity = f"s{number}"
        yield Stored(version, kind, identity, {**resource, "resourceType": kind, "id": identity})


def _entangle(dice: Dice, kind: str, resource: dict[str, Any]) -> None:
    """Make definitions name one another, themselves too."""
    other = _SHARED.format(kind=kind, number=dice.randrange(3))
    if kind == "ValueSet" and dice.chance(0.5):
        resource["compose"] = {
            "include": [{"valueSet": [other]}, {"system": _SHARED.format(kind="CodeSystem", number=0)}]
        }
    elif kind == "CodeSystem" and dice.chance(0.5):
        codes = ("a", "b", "c")
        resource["content"] = "complete"
        resource["concept"] = [
            {"code": code, "property": [{"code": "parent", "valueCode": dice.choice(codes)}]} for code in codes
        ]
    elif kind == "StructureDefinition" and dice.chance(0.5):
        resource["baseDefinition"] = other
    elif kind == "SearchParameter":
        base = dice.choice(("Medication", "Organization", "Resource", "Patient"))
        resource |= {"base": [base], "code": dice.choice(("code", "fuzz", "x-y", "_id", "name")), "status": "active"}
        resource["expression"] = dice.choice(_EXPRESSIONS).replace("%", base)
        resource["type"] = dice.choice(("token", "string", "reference", "composite", "special", "uri", "date"))


_EXPRESSIONS = (
    *("%.code", "%.identifier", "%.nothing", "%", "%.name | Patient.name", "%.extension('http://x').value"),
    *("%.meta.tag", "%.where(true)", "%.code.coding.where(system = 'a').code", "(% as Quantity)", "%.contained"),
    *("%.repeat(extension)", "%.descendants()", "%.code.matches('(a|a)*b')", "name", "'text'", "%.id", "%.text.div"),
    "Medication.code | Medication.code",
)


def store(connection: Connection, given: Stored, dice: Dice) -> bool:
    """Whether the server takes it. Raises AssertionError for an answer that nothing should have."""
    body = spelled(dice, given.resource)
    answer = ask(connection, Request("PUT", given.path, JSON, body))
    return answer.status == 201


def ask(connection: Connection, request: Request) -> Answer:
    """Raises AssertionError for an answer that nothing should have, with a line that asks again."""
    answer = connection.send(request)
    wrong = fault(request, answer)
    assert wrong is None, f"{wrong}\n{request.curl('http://127.0.0.1:8080')[:3000]}\n{answer.body[:1000]!r}"
    return answer


def reads(given: Stored) -> list[Request]:
    """Every way to read a resource."""
    found = [f"/fhir/{version.segment}/{given.kind}/{given.id}" for version in FhirVersion]
    found += [f"{given.path}/_history/1", f"{given.path}/_history", f"{given.path}?_elements=id,url,status"]
    found += [f"{given.path}?_summary={one}" for one in ("true", "text", "data")]
    return [Request("GET", one, (("Accept", "application/fhir+json"),)) for one in found]


def uses(given: Stored) -> Iterator[Request]:
    """What else can be asked about it."""
    base = f"/fhir/{given.version.segment}"
    for version in FhirVersion:
        yield Request(
            "GET", f"/fhir/{version.segment}/{given.kind}?_id={given.id}&_include=*&_revinclude=*&_contained=both"
        )
    for code in sorted(parameters(given.version, given.kind)):
        yield Request("GET", f"{base}/{given.kind}?{quote(code)}:missing=false&_id={given.id}&_sort={quote(code)}")
    yield Request("POST", f"{given.path}/$validate", JSON, b"")
    yield Request("GET", f"{given.path}/$meta")
    yield Request("POST", f"{base}/$convert", JSON, spelled(dice_for(0, 0), given.resource))
    url = quote(str(given.resource.get("url", "")), safe="")
    if given.kind == "ValueSet":
        yield Request("GET", f"{given.path}/$expand")
        yield Request("GET", f"{base}/ValueSet/$expand?url={url}&filter=a")
        yield Request("GET", f"{base}/ValueSet/$validate-code?url={url}&code=a&inferSystem=true")
        yield Request("GET", f"{base}/Medication?code:in={url}")
    elif given.kind == "CodeSystem":
        yield Request("GET", f"{base}/CodeSystem/$lookup?system={url}&code=a")
        yield Request("GET", f"{given.path}/$subsumes?codeA=a&codeB=c")
        yield Request("GET", f"{base}/Medication?code:below={url}%7Ca")
        yield Request("GET", f"{base}/Medication?code:above={url}%7Ca")
    elif given.kind == "StructureDefinition":
        body = json.dumps({"resourceType": given.resource.get("type") or "Medication"}).encode()
        yield Request("POST", f"{base}/$validate?profile={url}", JSON, body)
    elif given.kind == "SearchParameter":
        code = quote(str(given.resource.get("code", "")), safe="")
        yield Request("GET", f"{base}/Medication?{code}=a")
        yield Request("GET", f"{base}/metadata")
        yield Request("GET", f"{base}/openapi.json?type=Medication")
    yield Request("PUT", given.path, JSON, spelled(dice_for(0, 0), given.resource))


def walk(server: ServerProcess, material: Material, seed: int, count: int) -> int:
    """Store, use, restart, read, check, export and back up. How many resources were stored; raises AssertionError."""
    connection = Connection(server.port)
    taken = [one for one in offered(material, seed, count) if store(connection, one, dice_for(seed, one.id))]
    before: dict[tuple[str, str], int] = {}
    for given in taken:
        for request in reads(given):
            answer = ask(connection, request)
            before[request.method, request.target] = answer.status
            if request.target == given.path:
                assert answer.status == 200, (given.path, answer.body)
        for request in uses(given):
            ask(connection, request)
    for path in (
        "/",
        "/metrics",
        *(f"/fhir/{one.segment}/{end}" for one in FhirVersion for end in ("metadata", "openapi.json")),
    ):
        assert ask(connection, Request("GET", path)).status == 200
    server.stop()
    server.start()
    for given in taken:
        for request in reads(given):
            status = ask(connection, request).status
            assert status == before[request.method, request.target], (request.target, status)
    metadata = Request("GET", "/fhir/r5/metadata")
    assert until(lambda: b"index is incomplete" not in ask(connection, metadata).body)
    connection.close()
    commands(server, ("check",), ("export", "--output", "exported"), ("backup", "copy.backup"))
    return len(taken)


def commands(server: ServerProcess, *given: Sequence[str]) -> None:
    """Run commands on the server's database. Raises AssertionError where one fails."""
    for one in given:
        arguments = [sys.executable, "-m", "apothecary", one[0], "--database", server.database, *one[1:]]
        done = subprocess.run(
            arguments,
            cwd=server.folder,
            env=server.settings.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (one, done.stdout[-2000:], done.stderr[-2000:])


def main() -> int:
    """The command line: a walk on both databases."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.stored", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    given = parser.parse_args()
    for database in DATABASES:
        with server(database, PARTS[0]) as running:
            print(f"{database}: {walk(running, official(), given.seed, given.count)} resources, all used, no fault")
    return 0


if __name__ == "__main__":
    sys.exit(main())
