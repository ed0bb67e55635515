"""An import into a database: https://hl7.org/fhir/R5/provenance.html says at its end where what is there comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apothecary.content.items import Failure
from apothecary.content.load import Loaded, Loader
from apothecary.content.stream import Unwritten
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import instant, now
from apothecary.importers.editions import withdraw
from apothecary.importers.report import Place
from apothecary.importers.run import Import
from apothecary.importers.sources import Hash
from apothecary.settings import Settings
from apothecary.store.contract import Store

# Of files of so many bytes, which may be compressed, there will be thousands of resources.
LARGE = 4_000_000


def database(
    run: Import,
    files: Sequence[Hash],
    store: Store,
    settings: Settings,
    *,
    validation: bool = True,
    withdrawing: bool | None = None,
) -> tuple[Loaded, str | None]:
    """Import into `store`: what was written, and why nothing was withdrawn where something might have been.

    What is there already, just as it is, keeps its version; so an import that was broken off is run again.
    """

    def fail(failure: Failure) -> None:
        run.leave(Place(failure.file, failure.line), failure.reason)

    def given() -> Iterator[Unwritten]:
        for resource, text, place in run.members():
            yield Unwritten(place.file, place.line, resource, len(text))

    loader = Loader(store, settings, fail, validation=validation, distinct=True)
    loader.load(given(), many=sum(one.size for one in files) >= LARGE)
    # Nothing goes out of what was empty.
    why = None if loader.was_empty else withdraw(run, store, loader, withdrawing)
    provenance = run.catalogue.provenance(files, instant(now()))
    made = [run.catalogue.library()]
    if not store.existing([(provenance["resourceType"], provenance["id"])]):
        made.append(provenance)
    for resource in made:
        if loader.definitions.registries[FhirVersion.R5].serves(resource["resourceType"]):
            loader.add(_own(resource))
    loader.flush()
    return loader.loaded, why


def _own(resource: JSON) -> Unwritten:
    return Unwritten(f"{resource['resourceType']}/{resource['id']}", 0, resource, len(dumps(resource)))
