"""How long searches take, and how that grows with the catalogue: p50 and p99 at several sizes, in one run.

    python -m benchmarks.search --sizes 10000,100000,1000000 [--database URL]... [--filled] [--only WORD] [--json FILE]

Each search is run through the interaction that answers it over HTTP, bundle and all, without the web server. Every one
asks for something else, so that no answer is remembered; `_count` is 20. All are run twice: the first time pages of the
database may have to come from the disk, the second time they are in memory. What is asked for is as rare at every size:
a value that `MATCHES` resources have, where one value does not name one resource; or it is in a fixed share of them,
where the search is for what is common.

At the end stands a table of all databases. A large one is made of a small one by `benchmarks.multiply`; `--products`
tells how many different ones it has then.

The times are of the processor, so that other work on the machine does not count: of this process, and with a PostgreSQL
on this machine of its processes that serve it.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from apothecary.app import make_service
from apothecary.content.items import Failure
from apothecary.content.load import Loader, load
from apothecary.content.stream import Text
from apothecary.content.sync import sync
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.search import search
from apothecary.interactions.service import Service
from apothecary.search.text import decode
from apothecary.settings import Settings
from apothecary.store.open import open_store, opened
from benchmarks import catalogue

MATCHES = 20
BASE = "http://localhost/fhir"


def _rare(random_: random.Random, products: int, values: int) -> int:
    """A value out of so many that about `MATCHES` of the products have: how often they are is in `catalogue.zipf`."""
    rank = products / (MATCHES * math.log(values))
    return min(values - 1, int(rank * random_.uniform(0.8, 1.2)))


Make = Callable[[random.Random, int], tuple[str, str]]


def _token(random_: random.Random, products: int) -> tuple[str, str]:
    return "Medication", f"code={catalogue.RXNORM}|{1_000_000 + random_.randrange(products)}"


def _string(random_: random.Random, products: int) -> tuple[str, str]:
    name = ""
    # One that ends in one digit is the beginning of ten others; that of an ingredient stands in many products.
    while not name[-2:].isdigit() or name in _ingredients():
        name = catalogue.name(100_000 + random_.randrange(products))
    return "MedicationKnowledge", f"drug-name={name}"


@cache
def _ingredients() -> frozenset[str]:
    return frozenset(map(catalogue.name, range(catalogue.INGREDIENTS)))


def _quantity(random_: random.Random, products: int) -> tuple[str, str]:
    rare = _rare(random_, products, catalogue.INGREDIENTS)
    return "Medication", f"strength=5|{catalogue.UCUM}|mg&ingredient-code={rare}"


def _chained(random_: random.Random, products: int) -> tuple[str, str]:
    number = 1_000_000 + random_.randrange(products)
    return "MedicationKnowledge", f"associated-medication:Medication.code={catalogue.RXNORM}|{number}"


def _has(random_: random.Random, products: int) -> tuple[str, str]:
    rare = _rare(random_, products // 2, catalogue.CONDITIONS)  # every second product has an indication
    return "Medication", f"_has:ClinicalUseDefinition:subject:indication={catalogue.ICD}|X{rare}"


def _include(random_: random.Random, products: int) -> tuple[str, str]:
    number = 1_000_000 + random_.randrange(products)
    return "Medication", f"code={catalogue.RXNORM}|{number}&_include=Medication:marketingauthorizationholder"


def _sorted(random_: random.Random, products: int) -> tuple[str, str]:
    rare = _rare(random_, products, catalogue.INGREDIENTS)
    return "Medication", f"ingredient-code={catalogue.RXNORM}|{rare}&_sort=-expiration-date"


def _broad(random_: random.Random, products: int) -> tuple[str, str]:
    return "Medication", f"status=active&form={10_000_000 + random_.randrange(5)}"


def _revinclude(random_: random.Random, products: int) -> tuple[str, str]:
    number = 1_000_000 + random_.randrange(products)
    return "Medication", f"code={catalogue.RXNORM}|{number}&_revinclude=ClinicalUseDefinition:subject"


def _updated(random_: random.Random, products: int) -> tuple[str, str]:
    """A span that ends before anything was written: nothing matches either bound alone less than all do."""
    return "Medication", f"_lastUpdated=ge2000&_lastUpdated=lt{1970 + random_.randrange(50)}"


def _words(random_: random.Random, products: int) -> tuple[str, str]:
    """Two common ingredients: each stands in many names, both in hardly any."""
    one, other = random_.sample(range(12), 2)
    return "MedicationKnowledge", f"drug-name={catalogue.name(one)}&drug-name={catalogue.name(other)}"


def _text(random_: random.Random, products: int) -> tuple[str, str]:
    one, other = random_.sample(range(12), 2)
    return "MedicationKnowledge", f"_content={catalogue.name(one)} {catalogue.name(other)}"


def _contains(random_: random.Random, products: int) -> tuple[str, str]:
    """What stands inside of one name, or hardly any other."""
    whole = catalogue.name(100_000 + random_.randrange(products))
    return "MedicationKnowledge", f"drug-name:contains={whole[1:]}"


def _missing(random_: random.Random, products: int) -> tuple[str, str]:
    """What no product lacks."""
    return "Medication", f"{random_.choice(('form', 'code', 'ingredient-code', 'expiration-date'))}:missing=true"


def _status(asked: str) -> Make:
    """What has, or has not, one of two common statuses."""
    return lambda random_, products: ("Medication", asked.format(random_.choice(("active", "inactive"))))


def _sorted_form(random_: random.Random, products: int) -> tuple[str, str]:
    return "MedicationKnowledge", f"doseform={10_000_000 + random_.randrange(12)}&_sort=drug-name"


def _similar(random_: random.Random, products: int) -> tuple[str, str]:
    name = catalogue.name(random_.randrange(catalogue.INGREDIENTS)).rstrip("0123456789").lower()
    return "MedicationKnowledge", f"drug-name:text={name}~"


def _fifty(random_: random.Random, products: int) -> tuple[str, str]:
    numbers = [random_.randrange(products) for _ in range(50)]
    return "Medication", "code=" + ",".join(f"{catalogue.NDC}|{one // 10000:05}-{one % 10000:04}" for one in numbers)


def _common_strength(random_: random.Random, products: int) -> tuple[str, str]:
    strength = random_.choice(("0.5", "2.5", "5", "10", "500"))
    return "Medication", f"strength={strength}|{catalogue.UCUM}|mg"


def _common_has(random_: random.Random, products: int) -> tuple[str, str]:
    form = 10_000_000 + random_.randrange(12)
    return "Medication", f"_has:MedicationKnowledge:associated-medication:doseform={form}"


def _common_text(random_: random.Random, products: int) -> tuple[str, str]:
    """Every form has the first word; each ingredient stands in many texts."""
    return "Medication", f"form:text=form&_content={catalogue.name(random_.randrange(12))}"


def _begun(random_: random.Random, products: int) -> tuple[str, str]:
    return "MedicationKnowledge", f"_content={random_.choice(catalogue.SYLLABLES)[0]}*&_total=accurate"


def _counted(random_: random.Random, products: int) -> tuple[str, str]:
    return "Medication", f"form={10_000_000 + random_.randrange(12)}&_summary=count"


def _everything(random_: random.Random, products: int) -> tuple[str, str]:
    return random_.choice(("Medication", "MedicationKnowledge")), "_total=accurate"


SEARCHES: dict[str, Make] = {
    "token": _token,
    "string": _string,
    "quantity": _quantity,
    "chained": _chained,
    "_has": _has,
    "_include": _include,
    "sorted": _sorted,
    "broad (two common values)": _broad,
    "_revinclude": _revinclude,
    "_lastUpdated range": _updated,
    "two common words": _words,
    "two common words, _content": _text,
    ":contains": _contains,
    ":missing=true": _missing,
    ":not, total": _status("status:not={}&_total=accurate"),
    "common value, total": _status("status={}&_total=accurate"),
    "sorted within a form": _sorted_form,
    "similar words": _similar,
    "fifty codes": _fifty,
    "common strength": _common_strength,
    "_has, common": _common_has,
    "common text and word": _common_text,
    "begun words, total": _begun,
    # Some seventy dates, each of thousands.
    "sorted, equal values": _status("status={}&_sort=-expiration-date"),
    "common value, estimate": _status("status={}&_total=estimate"),
    "common form, count alone": _counted,
    "whole type, total": _everything,
}


def fill(settings: Settings, resources: Iterable[dict[str, Any]]) -> float:
    """Load a catalogue into an empty database as `apothecary load` does, and before it what defines how it is searched
    for; gives resources a second.
    """
    deciding = (Path(settings.content).glob(f"{kind}/*.json") for kind in ("SearchParameter", "CodeSystem"))
    defined = (Text(str(path), path.read_bytes(), "json") for path in chain.from_iterable(map(sorted, deciding)))
    made = (Text("catalogue", json.dumps(one).encode(), "ndjson") for one in resources)
    start = time.perf_counter()
    with opened(settings) as store:
        done = load(Loader(store, settings, _refuse, validation=False), chain(defined, made))
    return done.created / (time.perf_counter() - start)


def _refuse(failure: Failure) -> None:
    raise ValueError(str(failure))


class Figures(NamedTuple):
    """Of one kind of search: times in ms, the first and the second time, and matches on average."""

    first_p50: float
    first_p99: float
    p50: float
    p99: float
    matches: float


def measure(
    service: Service, total: int, runs: int, only: str = "", products: int | None = None
) -> Iterator[tuple[str, Figures]]:
    """Figures of every kind of search that has `only` in its name; `products` is how many different ones there are."""
    products = products or (total - min(catalogue.MAKERS, max(1, total // 100))) * 4 // 10
    for label, make in SEARCHES.items():
        if only not in label:
            continue
        random_ = random.Random(7)
        asked = [make(random_, products) for _ in range(runs + 20)]
        for kind, query in asked[:20]:  # these compile the statements
            search(service, FhirVersion.R5, BASE, kind, decode(query))
        first, _ = _timed(service, asked[20:])
        again, matches = _timed(service, asked[20:])
        yield label, Figures(*_percentiles(first), *_percentiles(again), matches / runs)


def _timed(service: Service, asked: Sequence[tuple[str, str]]) -> tuple[list[float], int]:
    """The time of each search in ms, and the matches of all."""
    times, matches = [], 0
    backends = _backends(service.settings.database)
    for kind, query in asked:
        start = _processor(backends)
        answer = search(service, FhirVersion.R5, BASE, kind, decode(query))
        times.append((_processor(backends) - start) * 1000)
        matches += answer.count(b'"mode":"match"')
    return times, matches


def _backends(database: str) -> list[Path]:
    """Where Linux tells how long the processes of a database have run; nothing for a file."""
    if not database.startswith("postgresql"):
        return []
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return [Path(f"/proc/{pid}/schedstat") for (pid,) in connection.execute(others)]


def _processor(backends: Sequence[Path]) -> float:
    """The seconds that this process and some others have run."""
    # The first number is nanoseconds: https://www.kernel.org/doc/html/latest/scheduler/sched-stats.html
    return time.process_time() + sum(int(one.read_text().split()[0]) for one in backends if one.exists()) / 1e9


def _percentiles(times: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


def table(results: dict[str, dict[str, Figures]]) -> str:
    """The p50 and p99 of each search in each database, as Markdown; and how much the p99 grew from the smallest to the
    largest of a store.
    """
    places = list(dict.fromkeys(place for found in results.values() for place in found))
    stores = list(dict.fromkeys(place.split()[0] for place in places))
    lines = [
        f"| | {' | '.join([*places, *(f'{one} grew' for one in stores)])} |",
        "| --- " * (len(places + stores) + 1) + "|",
    ]
    for label, found in results.items():
        cells = [f"{found[place].p50:.1f}, {found[place].p99:.1f}" for place in places]
        for store in stores:
            own = [found[place].p99 for place in places if place.split()[0] == store]
            cells.append(f"{own[-1] / own[0]:.1f}")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument(
        "--database",
        action="append",
        help="the URL of an empty database for each size: {size} stands for the size; several are measured in turn",
    )
    parser.add_argument("--products", type=int, help="different products, where the databases were multiplied")
    parser.add_argument(
        "--filled", action="store_true", help="the databases were filled by an earlier run; search only"
    )
    parser.add_argument("--only", default="", help="a word in the name of a search: the others are left out")
    parser.add_argument("--content", default="resources", help="the content whose search parameters are used")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, dict[str, Figures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        urls = options.database or [f"sqlite:///{folder}/{{size}}.db"]
        for size, one_url in product(map(int, options.sizes.split(",")), urls):
            url = one_url.format(size=size)
            place = f"{url.partition(':')[0].partition('+')[0]} {size}"
            settings = Settings(database=url, content=options.content, durability="normal")
            done = (
                "filled before" if options.filled else f"loaded at {fill(settings, catalogue.resources(size)):,.0f}/s"
            )
            store = open_store(settings)
            sync(settings, store)
            service = make_service(settings, store)
            print(f"{place} resources: {done}", flush=True)
            for label, one in measure(service, size, options.runs, options.only, options.products):
                results.setdefault(label, {})[place] = one
                line = f"p50 {one.p50:7.3f} p99 {one.p99:7.3f} ms (first {one.first_p50:7.3f} {one.first_p99:7.3f})"
                print(f"  {label:26} {line} {one.matches:5.1f} matches", flush=True)
            store.close()
    print(table(results))
    if options.json:
        options.json.write_text(
            json.dumps({k: {size: one._asdict() for size, one in v.items()} for k, v in results.items()}, indent=1)
        )


if __name__ == "__main__":
    main()
