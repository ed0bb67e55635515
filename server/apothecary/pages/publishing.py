"""Pages as static files beside a published catalogue (`apothecary publish --pages`): each resource, and lists of all.

They are the pages of the server without what only a server answers: searches, histories, other forms and releases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from apothecary.bulk.files import Tree
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.forms import body_in
from apothecary.interactions.service import Service
from apothecary.pages.answers import page, shown
from apothecary.pages.render import asset, asset_address
from apothecary.pages.titles import title_of
from apothecary.pages.view import View

FOLDER = "pages"
# What static pages fetch.
_FETCHED = ("apothecary.css", "apothecary.js")
# A list has so many resources.
LISTED = 500


@dataclass(frozen=True, slots=True)
class StaticView(View):
    """A page that is a file: its links lead to other such files."""

    @property
    def static(self) -> bool:
        return True

    @property
    def home(self) -> str:
        return f"{self.root}/{FOLDER}/"

    def to(self, path: str, *pairs: tuple[str, str]) -> str:
        """The file of `path`. What is asked for beside it only a server could look at."""
        kind, _, identity = path.partition("/")
        return (
            f"{self.home}{quote(kind)}/{quote(identity)}.html" if identity else f"{self.home}{quote(kind)}/index.html"
        )

    def other(self, version: FhirVersion) -> str | None:
        return None

    @property
    def json(self) -> str:
        """The file of the resource itself."""
        return f"{self.root}/{quote(self.path)}"

    @property
    def whole(self) -> str:
        return self.json


def write_pages(service: Service, version: FhirVersion, base: str, tree: Tree) -> int:
    """Write all pages below the folder of `tree`, and remove those that are not needed any more; how many resources
    have one.
    """

    def view(path: str) -> StaticView:
        return StaticView(service, version, base.rstrip("/"), path, ())

    written = 0
    held: list[tuple[str, int]] = []
    for name in _FETCHED:
        tree.write(f"{FOLDER}/{asset_address(name)}", asset(name))
    for kind in sorted(service.reader.types()):
        if not service.registries[version].serves(kind):
            tree.keep(f"{FOLDER}/{kind}", ())
            continue
        names = {"index.html"}
        listed = 0
        for number, part in enumerate(_parts(_pages(service, version, kind, tree, view, names))):
            listed += len(part)
            file = f"index-{number}.html" if number else "index.html"
            more = f"index-{number + 1}.html" if len(part) == LISTED else None
            names.add(file)
            rows = [(view(kind).to(f"{kind}/{identity}"), title) for identity, title in part]
            tree.write(f"{FOLDER}/{kind}/{file}", shown("list.html", view(kind), kind, rows=rows, more=more))
        tree.keep(f"{FOLDER}/{kind}", names)
        if listed:
            held.append((kind, listed))
            written += listed
    tree.write(f"{FOLDER}/index.html", shown("static_home.html", view(""), "Apothecary", held=held))
    return written


def _pages(
    service: Service, version: FhirVersion, kind: str, tree: Tree, view: Callable[[str], View], names: set[str]
) -> Iterator[tuple[str, str]]:
    """Write the page of each resource of a type; their ids and titles."""
    for stored in service.reader.all_of_type(kind):
        body = body_in(stored, version)
        names.add(f"{stored.id}.html")
        tree.write(f"{FOLDER}/{kind}/{stored.id}.html", page(view(f"{kind}/{stored.id}"), body))
        yield stored.id, title_of(parse(body))


def _parts(pairs: Iterator[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """So many at a time; at least one part, and behind a full one another."""
    while True:
        part = list(islice(pairs, LISTED))
        yield part
        if len(part) < LISTED:
            return
