"""What questions to a large code system cost: CPU and time of each, with as many concepts as dm+d or RxNorm have.

    python -m benchmarks.terminology [--concepts 400000] [--listed 100000] [--database URL] [--filled] [--json FILE]

The code system is loaded as `apothecary load` does it. Each question is asked as over HTTP, without the web server.
CPU is that of this process: with PostgreSQL the database's comes on top, and the time shows it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.settings import Settings
from apothecary.store.open import open_store
from benchmarks import catalogue

URL = "http://example.org/drugs"
RUNS = 50
FORMS = ("tablet", "capsule", "oral solution", "injection", "cream", "eye drops", "suppository")
MAKERS = ("Acme", "Northwind", "Initech", "Umbrella", "Hooli")


def concepts(count: int) -> Iterator[dict[str, Any]]:
    """Ingredients, products of them, and packs of those: a hierarchy three deep, as dm+d has it."""
    random_ = random.Random(3)
    ingredients = max(1, count // 100)
    products = max(1, count // 4)
    for number in range(count):
        code = str(1_000_000 + number)
        if number < ingredients:
            yield {"code": code, "display": catalogue.name(number)}
            continue
        above = number % ingredients if number < products else ingredients + number % max(1, products - ingredients)
        of = catalogue.name(above if number < products else above % ingredients)
        strength = random_.choice((1, 2.5, 5, 10, 20, 50, 100, 250, 500))
        display = f"{of} {strength}mg/5ml {FORMS[number % 7]}"
        properties: list[dict[str, Any]] = [
            {"code": "parent", "valueCode": str(1_000_000 + above)},
            {"code": "form", "valueCode": str(number % 7)},
        ]
        if number >= products:
            display += f" ({MAKERS[number % 5]} Pharma Ltd) {random_.choice((10, 28, 30, 100))} pack"
        if number % 11 == 0:
            properties.append({"code": "inactive", "valueBoolean": True})
        yield {"code": code, "display": display, "property": properties}


def code_system(count: int) -> dict[str, Any]:
    """The whole of it."""
    return {
        "resourceType": "CodeSystem", "id": "drugs", "url": URL, "version": "1", "status": "active",
        "content": "complete", "caseSensitive": True, "count": count,
        "property": [
            {"code": "parent", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"},
            {"code": "form", "type": "code"},
            {"code": "inactive", "uri": "http://hl7.org/fhir/concept-properties#inactive", "type": "boolean"},
        ],
        "concept": [*concepts(count)],
    }  # fmt: skip


def value_set(name: str, include: dict[str, Any]) -> dict[str, Any]:
    """One that includes one thing."""
    return {
        "resourceType": "ValueSet", "id": name, "url": f"{URL}/{name}", "status": "active",
        "compose": {"include": [{"system": URL, **include}]},
    }  # fmt: skip


def resources(count: int, listed: int) -> Iterator[dict[str, Any]]:
    """What is loaded: the code system and value sets of it."""
    yield code_system(count)
    yield value_set("all", {})
    yield value_set("below", {"filter": [{"property": "concept", "op": "is-a", "value": "1000007"}]})
    yield value_set("form", {"filter": [{"property": "form", "op": "=", "value": "3"}]})
    yield value_set("listed", {"concept": [{"code": str(1_000_000 + number)} for number in range(listed)]})


def questions(count: int, listed: int) -> dict[str, Callable[[random.Random], str]]:
    """Each kind of question, as the address of one by chance."""

    def code(random_: random.Random, most: int = count) -> str:
        return str(1_000_000 + random_.randrange(most))

    def name(random_: random.Random) -> str:
        return catalogue.name(random_.randrange(max(1, count // 100)))

    page = "count=20"
    return {
        "expand, common word": lambda r: f"ValueSet/all/$expand?filter={FORMS[r.randrange(2)]}&{page}",
        "expand, common word, activeOnly": lambda r: f"ValueSet/all/$expand?filter=pharma&activeOnly=true&{page}",
        "expand, rare word": lambda r: f"ValueSet/all/$expand?filter={name(r)}&{page}",
        "expand, two words": lambda r: f"ValueSet/all/$expand?filter={name(r)}+5mg&{page}",
        "expand, two common words": lambda r: f"ValueSet/all/$expand?filter=tablet+acme&{page}",
        "expand, one letter": lambda r: f"ValueSet/all/$expand?filter={r.choice('acdfglmnopqrstvz')}&{page}",
        "expand, no match": lambda r: f"ValueSet/all/$expand?filter=zzz{r.randrange(1000)}&{page}",
        "expand, page 1,000 of all": lambda r: f"ValueSet/all/$expand?offset={20_000 + r.randrange(100)}&{page}",
        "expand, common word, page 500": lambda r: f"ValueSet/all/$expand?filter=pharma&offset=10000&{page}",
        "expand, is-a": lambda r: f"ValueSet/below/$expand?{page}",
        "expand, is-a, word": lambda r: f"ValueSet/below/$expand?filter=tablet&{page}",
        "expand, property, word": lambda r: f"ValueSet/form/$expand?filter={name(r)}&{page}",
        "validate-code, listed": lambda r: f"ValueSet/listed/$validate-code?system={URL}&code={code(r, listed)}",
        "validate-code, is-a": lambda r: f"ValueSet/below/$validate-code?system={URL}&code={code(r)}",
        "validate-code, code system": lambda r: f"CodeSystem/$validate-code?url={URL}&code={code(r)}",
        "lookup": lambda r: f"CodeSystem/$lookup?system={URL}&code={code(r)}",
        "subsumes": lambda r: f"CodeSystem/$subsumes?system={URL}&codeA={code(r, count // 100)}&codeB={code(r)}",
    }


class Figures(NamedTuple):
    """Of one kind of question, in ms: the first time and its CPU, then the median and the greatest of time and CPU."""

    first: float
    first_cpu: float
    p50: float
    worst: float
    cpu: float
    worst_cpu: float


def measure(client: FlaskClient, count: int, listed: int) -> Iterator[tuple[str, Figures]]:
    """Figures of every kind of question."""
    for label, make in questions(count, listed).items():
        random_ = random.Random(5)
        times, cpu = [], []
        for _ in range(RUNS):
            address = f"/fhir/{make(random_)}"
            start, used = time.perf_counter(), time.process_time()
            answer = client.get(address)
            times.append((time.perf_counter() - start) * 1000)
            cpu.append((time.process_time() - used) * 1000)
            if answer.status_code != 200:
                raise RuntimeError(f"{address}: {answer.text}")
        first, *times = times
        first_cpu, *cpu = cpu
        yield label, Figures(first, first_cpu, statistics.median(times), max(times), statistics.median(cpu), max(cpu))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concepts", type=int, default=400_000)
    parser.add_argument("--listed", type=int, default=100_000)
    parser.add_argument("--database", help="the URL of an empty database")
    parser.add_argument("--filled", action="store_true", help="the database was filled by an earlier run")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/a.db"
        settings = Settings(database=url, content="", durability="normal")
        store = open_store(settings)
        if not options.filled:
            documents = [json.dumps(one).encode() for one in resources(options.concepts, options.listed)]
            for text in documents:
                start, used = time.perf_counter(), time.process_time()
                loader = Loader(store, settings, lambda failure: print(failure), validation=False)
                load(loader, [read_bytes("a.json", text, "json")])
                took, cpu = time.perf_counter() - start, time.process_time() - used
                print(f"{text[:60]!r}: {len(text) / 1e6:.1f} MB loaded in {took:.1f} s, {cpu:.1f} s CPU", flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak of memory: {peak:.0f} MB")
        client = create_app(settings, store).test_client()
        for label, one in measure(client, options.concepts, options.listed):
            results[label] = one._asdict()
            line = f"{one.p50:7.2f} worst {one.worst:7.2f} ms, CPU {one.cpu:7.2f} worst {one.worst_cpu:7.2f} ms"
            print(f"  {label:32} {line} (first {one.first:8.2f} ms, CPU {one.first_cpu:8.2f} ms)", flush=True)
        store.close()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
