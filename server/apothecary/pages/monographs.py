"""The monograph page: all that is held about a drug on one page, each statement with its claims.

https://hl7.org/fhir/R5/medicationknowledge.html and https://hl7.org/fhir/R5/clinicalusedefinition.html. What is denied
stands apart from what is stated, and what is absent is said. Other releases lack parts of it: there, and for a part or
an old version of the resource, it is shown as any resource is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.pages.answers import shown
from apothecary.pages.fitting import fitting, width
from apothecary.pages.kept import OVERHEAD, key_of
from apothecary.pages.ledgers import stamp_of
from apothecary.pages.pieces import Pieces
from apothecary.pages.related import KIND, STATEMENT, Key, Related, related
from apothecary.pages.resources import resource_page
from apothecary.pages.titles import meta_of, status_of, title_of
from apothecary.pages.view import View

# Of the bytes of a page its statements have so many at most, and so on.
ALL_STATEMENTS, ALL_PRODUCTS, FACTS, ABSENT, QUESTIONS, NAMES = 50_000, 12_000, 12_000, 6_000, 4_000, 3_000

_SECTIONS = frozenset(
    {
        *("Uses (with regulatory status)", "Limitations, warnings and other issues", "Related", "Names"),
        "Questioned by the editors",
    }
)
# What is denied comes first where there is not room for all.
_PLACES = ("denied", "other", "use")
_SILENT = ("contraindication", "interaction", "undesirable-effect")


class Kept(NamedTuple):
    """A page, what it was made of, the state of the ledger, and that of the database before what is beside `body` was
    read.
    """

    body: bytes
    held: Related
    stamp: int
    state: Hashable | None
    page: bytes


def monograph_page(view: View, body: bytes) -> bytes:
    """The page of a MedicationKnowledge that was read."""
    key, stamp = (KIND, key_of(view)), stamp_of(view.service)
    known: Kept | None = view.service.pages.get(key)
    # Where nothing at all was written since, nothing has to be looked at. This is asked before anything is read.
    state = (view.service.replica or view.service.store).changes()
    if known is not None and known.body == body and known.stamp == stamp:
        same = state is not None and known.state == state
        if same or known.held.current(view):
            if not same:
                _keep(view, key, known._replace(state=state))
            if view.service.recorder is not None:
                # What a page shows is recorded as it is read.
                known.held.read(view)
            return known.page
    resource = parse(body)
    plain = view.path == f"{KIND}/{resource.get('id')}" and "_elements" not in dict(view.pairs)
    if view.version is not FhirVersion.R5 or not plain:
        return resource_page(view, resource)
    held = related(view, resource, body)
    page = _page(view, resource, Pieces(view, held, stamp))
    _keep(view, key, Kept(body, held.without_texts(), stamp, state, page))
    return page


def _keep(view: View, key: Hashable, made: Kept) -> None:
    weight = OVERHEAD + len(made.body) + len(made.page) + 200 * len(made.held.asked)
    view.service.pages.put(key, made, weight)


def _page(view: View, resource: JSON, pieces: Pieces) -> bytes:
    held = pieces.held
    statements = sorted(held.statements, key=lambda one: _PLACES.index(pieces.links(one).place))
    made, left = fitting(statements, pieces.statement, ALL_STATEMENTS, len)
    places: dict[str, dict[str, list[Markup]]] = {place: {} for place in _PLACES}
    for key, html in zip(statements, made, strict=False):
        found = pieces.links(key)
        places[found.place].setdefault(found.heading, []).append(html)
    kinds = {pieces.links(one).heading for one in statements}
    products, more_products = fitting(_products(resource, held), pieces.product, ALL_PRODUCTS, len)
    rows = pieces.facts()
    facts = [one for one in rows if one[0] not in _SECTIONS and not one[0].startswith("Content ")]
    absent = [one for one in rows if one[0].startswith("Content ")]
    names = [one for one in resource.get("name", []) if isinstance(one, str)]
    shown_names, more_names = fitting(names, str, NAMES, width)
    shown_facts, more_facts = fitting(facts, tuple, FACTS, pieces.size)
    shown_absent, more_absent = fitting(absent, tuple, ABSENT, pieces.size)
    questions, _ = fitting(pieces.questions(held.drug), tuple, QUESTIONS, pieces.size)
    subjects = ",".join("/".join(one) for one in held.subjects)
    return shown(
        "monograph.html",
        view,
        title_of(resource),
        status=status_of(resource),
        meta=meta_of(resource),
        names=shown_names,
        facts=shown_facts,
        absent=shown_absent,
        products=products,
        uses=places["use"],
        denied=[one for listed in places["denied"].values() for one in listed],
        others=places["other"],
        # What a page has no room for may speak of what it does not show.
        silent=[] if held.cut else [kind for kind in _SILENT if kind not in kinds],
        cut=held.cut or left,
        no_use=not held.cut and all(pieces.links(one).place != "use" for one in statements),
        no_denial=not held.cut and all(pieces.links(one).place != "denied" for one in statements),
        all_statements=view.to(STATEMENT, ("subject", subjects)) if subjects and not view.static else None,
        more=more_products or more_names or more_facts or more_absent,
        questioned=questions,
    )


def _products(resource: JSON, held: Related) -> Sequence[Key]:
    """The products and related drugs that are there, in the order in which they are named."""
    named = [ref for one in resource.get("relatedMedicationKnowledge", []) for ref in one.get("reference", [])]
    keys = dict.fromkeys(str(one.get("reference", "")).partition("/")[::2] for one in named)
    return [key for key in keys if key[0] == KIND and key in held.texts]
