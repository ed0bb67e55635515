"""How long it takes to say what is stated against a list of drugs: `$detect-issues`, and the cards of CDS Hooks.

    python -m benchmarks.safety [--products 100000] [--statements 50000] [--drugs 10] [--runs 500]
                                [--database URL] [--filled]

The catalogue is synthetic (`benchmarks.statements`). Each list is another one, so that no answer is remembered, and
goes through the whole application but for the web server: routing, reading the request, detection, the answer as bytes.
The times are those of the clock and of the processor (with a PostgreSQL on this machine that of its processes as
well): on a machine that does other things too, only the second says something.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from apothecary.app import Apothecary, create_app
from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from benchmarks import search, statements
from benchmarks.in_process import Asked, Backends, environ
from benchmarks.statements import Size


class Times(NamedTuple):
    """Milliseconds by the clock and of the processor, and what an answer has on average."""

    p50: float
    p99: float
    processor_p50: float
    processor_p99: float
    database: float
    found: float


def parameters(codes: Sequence[str]) -> Asked:
    """A list as `$detect-issues` takes it."""
    listed = [{"name": "medication", "valueString": f"{statements.PRODUCT}|{code}"} for code in codes]
    body = {"resourceType": "Parameters", "parameter": listed}
    return Asked("/fhir/MedicationKnowledge/$detect-issues", "POST", json.dumps(body).encode())


def hook(codes: Sequence[str]) -> Asked:
    """The same as an EHR sends it: the last is about to be signed, the others are taken."""
    orders = [
        {
            "resourceType": "MedicationRequest",
            "id": code,
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": {"coding": [{"system": statements.PRODUCT, "code": code}]},
        }
        for code in codes
    ]
    taken = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in orders[:-1]]}
    drafts = {"resourceType": "Bundle", "entry": [{"resource": {**orders[-1], "status": "draft"}}]}
    body = {
        "hook": "order-sign",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": "1", "draftOrders": drafts},
        "prefetch": {"medications": taken, "statements": None, "conditions": None, "allergies": None},
    }
    return Asked("/cds-services/order-sign", "POST", json.dumps(body).encode())


def counted(answer: Any) -> int:
    """How many findings or cards an answer has, without that on what was not looked at."""
    return len(answer["cards"] if "cards" in answer else answer["entry"]) - 1


def measured(app: Apothecary, asked: Sequence[Asked], backends: Backends) -> Times:
    """Every request once, and the first twenty before that. Raises ValueError for an answer that is no 200."""
    clock, processor, found = [], [], 0
    for number, one in enumerate([*asked[:20], *asked]):
        if number == 20:
            before = backends.seconds()
        given, lines = {**environ(one), "wsgi.input": BytesIO(one.body), "CONTENT_TYPE": "application/json"}, []
        begin, worked = time.perf_counter(), time.thread_time()
        answer = b"".join(app.wsgi_app(given, lambda line, *_: lines.append(line)))  # noqa: B023 (called at once)
        worked, begin = time.thread_time() - worked, time.perf_counter() - begin
        if not lines[0].startswith("200"):
            raise ValueError(f"{lines[0]}: {answer[:500]!r}")
        if number >= 20:
            clock.append(begin * 1000)
            processor.append(worked * 1000)
            found += counted(json.loads(answer))
    database = (backends.seconds() - before) * 1000 / len(asked)
    shares = (at(clock, 0.5), at(clock, 0.99), at(processor, 0.5), at(processor, 0.99))
    return Times(*shares, database, found / len(asked))


def at(values: Sequence[float], share: float) -> float:
    """A percentile: the smallest value that so many are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--statements", type=int, default=50_000)
    parser.add_argument("--drugs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--database", help="the URL of an empty database")
    parser.add_argument("--filled", action="store_true", help="the database was filled by an earlier run")
    parser.add_argument("--content", default="resources", help="the content whose search parameters are used")
    options = parser.parse_args()
    size = Size(options.products, options.statements)
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/safety.db"
        settings = Settings(database=url, content=options.content, durability="normal", cds_hooks=True)
        if not options.filled:
            speed = search.fill(settings, statements.resources(size))
            print(f"{size.products} products, {size.statements} statements: loaded at {speed:,.0f}/s", flush=True)
        store = open_store(settings)
        sync(settings, store)
        app, backends = create_app(settings, store), Backends(url)
        gc.freeze()  # as a worker of `apothecary serve` does
        forms: dict[str, Callable[[Sequence[str]], Asked]] = {"$detect-issues": parameters, "order-sign": hook}
        ingredients = statements.held(size)
        for name, form in forms.items():
            random_ = random.Random(3)
            asked = [form(statements.asked(ingredients, options.drugs, random_)) for _ in range(options.runs)]
            one = measured(app, asked, backends)
            print(
                f"{name:16} {options.drugs} drugs: clock p50 {one.p50:6.1f} p99 {one.p99:6.1f} ms, processor p50 "
                f"{one.processor_p50:6.1f} p99 {one.processor_p99:6.1f} ms, database {one.database:5.1f} ms, "
                f"{one.found:.1f} findings",
                flush=True,
            )


if __name__ == "__main__":
    main()
