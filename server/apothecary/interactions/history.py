"""history of one resource, of a type and of the system: https://hl7.org/fhir/R5/http.html#history"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from apothecary.errors import BadRequest, Issue, NotFound, NotSupported
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import Span, parse_span
from apothecary.interactions import basics, bundle, left_out
from apothecary.interactions.forms import body_in
from apothecary.interactions.service import Service, check_id
from apothecary.interactions.sizes import fitting, size
from apothecary.search import links
from apothecary.search.control import whole_number
from apothecary.search.query import Cursor
from apothecary.search.suggestions import instead_of_sent
from apothecary.store.contract import Past

Pairs = Sequence[tuple[str, str]]

TAKEN = ("_count", "_since", "_at", "_summary")


@dataclass(slots=True)
class Asked:
    """The parameters of a history. `applied` are those that run, as the self link shows them; `issues` tell of the
    others.
    """

    count: int
    since: int | None = None
    at: Span | None = None
    token: str = ""
    applied: list[tuple[str, str]] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def history(
    service: Service,
    version: FhirVersion,
    base: str,
    resource_type: str,
    resource_id: str,
    pairs: Pairs,
    *,
    strict: bool = False,
) -> bytes:
    """The versions of one resource, newest first, deletions included; of what a Basic stands for, where there never was
    such a Basic itself. Raises NotFound where there is neither.
    """
    service.check_type(version, resource_type)
    check_id(resource_id)
    service.permit(basics.meant(service, version, resource_type), "r")
    asked = _parameters(service, version, pairs, strict)
    path = f"{resource_type}/{resource_id}/_history"
    cursor = links.read(service.secret, path, asked.applied, asked.token) if asked.token else None
    before = int(cursor.values[0] or 0) if cursor else None
    most = service.settings.answer_limit

    def page(kind: str) -> list[Past]:
        return reader.history(
            kind, resource_id, count=asked.count + 1, before=before, since=asked.since, at=asked.at, most=most
        )

    reader = service.reader
    found = page(resource_type) if asked.count else []
    # What has a version is there: it need not be read, too.
    if not found and reader.read(resource_type, resource_id) is None:
        kind = basics.behind(service, version, resource_type, resource_id)
        if kind is None:
            raise NotFound(f"{resource_type}/{resource_id} does not exist and never did")
        resource_type = kind
        found = page(resource_type) if asked.count else []
    total = len(found)
    if not _is_whole(asked, found, most):
        total = reader.history_total(resource_type, resource_id, since=asked.since, at=asked.at)
    return _answer(service, version, base, path, asked, found, total, lambda last: (last.version,))


def history_of(
    service: Service, version: FhirVersion, base: str, resource_type: str | None, pairs: Pairs, *, strict: bool = False
) -> bytes:
    """The versions of all resources of a type, or of the whole system, newest first.

    The system is what this FHIR version has of it: a type that it lacks cannot stand in its bundles.
    """
    types: Sequence[str] | None = None
    lacking: Sequence[str] = ()
    if resource_type is not None:
        service.check_type(version, resource_type)
        # Of a version that is not current, nobody can tell what it met.
        service.permit((resource_type,), "s", whole=True)
    elif version is not FhirVersion.R5:
        types, lacking = service.registry(version).types, left_out.types(service, version)
    if resource_type is None:
        service.permit((), "s")
    asked = _parameters(service, version, pairs, strict)
    path = f"{resource_type}/_history" if resource_type else "_history"
    cursor = links.read(service.secret, path, asked.applied, asked.token) if asked.token else None
    before = (
        (int(cursor.values[0] or 0), cursor.resource_type, cursor.id, int(cursor.values[1] or 0)) if cursor else None
    )
    found, most = list[Past](), service.settings.answer_limit
    if asked.count:
        found = service.reader.history_of(
            resource_type, count=asked.count + 1, types=types, before=before, since=asked.since, at=asked.at, most=most
        )
    total = len(found)
    if not _is_whole(asked, found, most):
        total = service.reader.history_of_total(resource_type, types=types, since=asked.since, at=asked.at)
    more = service.reader.history_of_total(None, types=lacking, since=asked.since, at=asked.at) if lacking else 0
    told = left_out.of_history(version, base, more, asked.applied)
    hidden = service.narrowed() if resource_type is None else None
    return _answer(
        service, version, base, path, asked, found, total, lambda last: (last.updated, last.version), told, hidden
    )


def _is_whole(asked: Asked, found: Sequence[Past], most: int) -> bool:
    """Whether what was found for a page is all that there is: it need not be counted, too."""
    return not asked.token and asked.count > 0 and len(found) <= asked.count and size(found) <= most


def _answer(
    service: Service,
    version: FhirVersion,
    base: str,
    path: str,
    asked: Asked,
    found: Sequence[Past],
    total: int,
    place: Callable[[Past], tuple[int, ...]],
    told: tuple[dict[str, str], str] | None = None,
    hidden: str | None = None,
) -> bytes:
    """The bundle of one page; `found` holds one more than the page where there is another. `told` is what there is to
    say of versions that it cannot show, `hidden` of those that whoever asks may not see.
    """
    page = fitting(found[: asked.count], service.settings.answer_limit)
    shown = [*asked.applied, (links.PAGE, asked.token)] if asked.token else asked.applied
    addresses = [bundle.link("self", bundle.address(base, path, shown))]
    if asked.token:
        addresses.append(bundle.link("first", bundle.address(base, path, asked.applied)))
    if len(found) > len(page) and page:
        last = page[-1]
        following = links.write(service.secret, path, asked.applied, Cursor(place(last), last.type, last.id))
        addresses.append(bundle.link("next", bundle.address(base, path, [*asked.applied, (links.PAGE, following)])))
    if told:
        addresses.append(bundle.link("alternate", told[1]))
    entries = [_entry(service, version, base, one) for one in page]
    tags = [told[0]] if told else []
    tags += [left_out.hidden(hidden)] if hidden else []
    return bundle.bundle("history", addresses, entries, total, asked.issues, tags)


def _entry(service: Service, version: FhirVersion, base: str, one: Past) -> bytes:
    body = body_in(one, version) if one.body is not None else None
    return bundle.past(base, one._replace(type=basics.shown_as(service, version, one.type)), body)


def _parameters(service: Service, version: FhirVersion, pairs: Pairs, strict: bool) -> Asked:
    """`_count`, `_since`, `_at`, `_summary`, `_page`. Raises BadRequest for a bad value, and for an unknown parameter
    that may not be ignored.
    """
    asked = Asked(service.settings.page_size)
    unknown: list[tuple[str, str]] = []
    for name, value in pairs:
        if not value:
            continue
        if name == links.PAGE:
            asked.token = value
            continue
        shown = value
        if name == "_count":
            asked.count = min(whole_number(name, value), service.settings.page_size_limit)
            shown = str(asked.count)
        elif name == "_summary" and value in ("count", "false"):
            asked.count = 0 if value == "count" else asked.count
        elif name == "_since":
            asked.since = _moment(name, value).low
        elif name == "_at":
            asked.at = _moment(name, value)
        else:
            unknown.append((name, value))
            continue
        asked.applied.append((name, shown))
    if unknown:
        asked.issues.append(_ignored(version, unknown, strict))
    return asked


def _ignored(version: FhirVersion, unknown: Pairs, strict: bool) -> Issue:
    """The warning that parameters were ignored. Raises NotSupported when strict, and where a Bundle has no place for
    it.

    An entry is no such place: in a history it has a request and no search (bdl-2 and bdl-3, in R5 bdl-3b). R5 has
    https://hl7.org/fhir/R5/bundle-definitions.html#Bundle.issues for it.
    """
    problem = f"this history does not take {' or '.join(f'{name}={value}' for name, value in unknown)}"
    meant = next(filter(None, (instead_of_sent(name, TAKEN) for name, _ in unknown)), None)
    remedy = f"{f'{meant} A' if meant else 'Leave it out; a'} history takes _count, _since, _at and _summary=count."
    names = tuple(dict.fromkeys(name for name, _ in unknown))
    if strict:
        raise NotSupported(problem, expression=names, remedy=remedy)
    if "issues" not in definitions(version).structure("Bundle").properties:
        why = f"a history in FHIR {version} has no place to say that it was ignored (bdl-2, bdl-3)"
        raise NotSupported(f"{problem}, and {why}", expression=names, remedy=remedy)
    # One issue for all parameters: bdl-16, as it is published, fails on two.
    told = f"{problem}; it was ignored, so the answer may be wider than asked for"
    return Issue("warning", "not-supported", told, names, remedy=remedy)


def _moment(name: str, value: str) -> Span:
    try:
        return parse_span(value.replace(" ", "+"))
    except ValueError as error:
        raise BadRequest(f"{name}={value}: {error}", expression=name) from None
