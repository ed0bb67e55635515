"""Which FHIR version and which form a request wants: https://hl7.org/fhir/R5/http.html#mime-type and
#version-parameter
"""

from __future__ import annotations

from dataclasses import dataclass

from apothecary.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from apothecary.fhir.caches import short_cache
from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.rest.forms import BY_NAME, FHIR_JSON, FORMS, Form

# Media ranges that leave the choice to the server.
_ANY = dict.fromkeys(("application/*", "*/*"), FHIR_JSON)
_BY_TYPE = {one: form for form in FORMS for one in form.types} | _ANY
# Programs that show an answer to a person as it is.
READERS = ("curl/", "Mozilla/", "HTTPie/", "Wget/", "xh/", "PostmanRuntime/", "insomnia/")


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The form of the answer."""

    version: FhirVersion
    pretty: bool
    form: Form = FHIR_JSON


@short_cache(1024)
def negotiate(
    accept: str,
    agent: str,
    format_: str | None,
    pretty: str | None,
    base: FhirVersion | None,
    default: FhirVersion,
    served: frozenset[FhirVersion],
) -> Negotiated:
    """The answer's form for the `Accept` and `User-Agent` headers and the `_format` and `_pretty` parameters.

    `base` is the version of an address such as /fhir/r5, None at /fhir. Raises NotAcceptable for a form or version that
    is not offered,
    BadRequest for a `_pretty` that is neither true nor false.
    """
    wanted: FhirVersion | None = None
    form = FHIR_JSON
    if format_:
        # A plus sign in a query arrives as a space.
        kind, parameters = media_type(format_.replace(" ", "+"))
        if kind not in BY_NAME:
            raise _not_offered("_format", format_)
        form, wanted = BY_NAME[kind], _version(parameters, served)
    elif accept:
        form, wanted = _accepted(accept, served)
    if wanted is not None and base is not None and wanted != base:
        raise NotAcceptable(
            f"fhirVersion={wanted.mime} was asked for at the base of FHIR {base}",
            expression="Accept",
            remedy=f"Use [server]/fhir, or leave fhirVersion out; this base answers in {base.mime}.",
        )
    if pretty not in (None, "", "true", "false"):
        raise BadRequest(f"_pretty={pretty}: write true or false", expression="_pretty")
    indented = pretty == "true" if pretty else agent.startswith(READERS)
    return Negotiated(base or wanted or default, indented, form)


def _not_offered(name: str, value: str) -> NotAcceptable:
    return NotAcceptable(
        f"{name}: {value} is not offered",
        expression=name,
        remedy="This server answers in application/fhir+json (_format=json), application/fhir+xml (_format=xml), "
        "application/fhir+yaml (_format=yaml), and searches in application/fhir+ndjson (_format=ndjson), too.",
    )


def media_type(text: str) -> tuple[str, dict[str, str]]:
    """`application/fhir+json; fhirVersion=4.0` as its type, lower case, and its parameters by lower-case name."""
    kind, *rest = text.split(";")
    parameters = {}
    for one in rest:
        name, equals, value = one.partition("=")
        if equals:
            parameters[name.strip().lower()] = value.strip().strip('"')
    return kind.strip().lower(), parameters


def _version(parameters: dict[str, str], served: frozenset[FhirVersion]) -> FhirVersion | None:
    text = parameters.get("fhirversion")
    if text is None:
        return None
    version = parse_version(text)
    if version is None or version not in served:
        offered = ", ".join(one.mime for one in sorted(served))
        raise NotAcceptable(
            f"fhirVersion={text} is not available here", expression="Accept", remedy=f"This server has {offered}."
        )
    return version


def _accepted(accept: str, served: frozenset[FhirVersion]) -> tuple[Form, FhirVersion | None]:
    """The form and the version that the best acceptable media range names; of equals the first. Raises NotAcceptable
    where no range fits.
    """
    best: tuple[float, Form, FhirVersion | None] | None = None
    problem: NotAcceptable | None = None
    for one in accept.split(","):
        kind, parameters = media_type(one)
        form = _BY_TYPE.get(kind)
        if form is None:
            continue
        try:
            quality = float(parameters.get("q", "1"))
            version = _version(parameters, served)
        except ValueError:
            continue
        except NotAcceptable as error:
            problem = error
            continue
        if quality > 0 and (best is None or quality > best[0]):
            best = quality, form, version
    if best is None:
        raise problem or _not_offered("Accept", accept)
    return best[1:]


@short_cache(1024)
def form_of(accept: str, format_: str | None) -> Form:
    """The form of an answer to a request that could not be understood in all; JSON where it says nothing clear."""
    if format_:
        return BY_NAME.get(media_type(format_.replace(" ", "+"))[0], FHIR_JSON)
    try:
        return _accepted(accept, frozenset(FhirVersion))[0]
    except NotAcceptable:
        return FHIR_JSON


def written_in(header: str) -> FhirVersion | None:
    """The FHIR version that a Content-Type names; None where it names none, or one that does not exist."""
    text = media_type(header)[1].get("fhirversion") if ";" in header else None
    return parse_version(text) if text is not None else None


def check_content_type(header: str, version: FhirVersion, kinds: frozenset[str]) -> str:
    """The media type of a request body. Raises UnsupportedMediaType for another than `kinds`, or another FHIR version
    than the base's.
    """
    kind, parameters = media_type(header)
    if kind not in kinds:
        raise UnsupportedMediaType(
            f"Content-Type: {header or 'none'} cannot be read here",
            expression="Content-Type",
            remedy=f"Send {' or '.join(sorted(kinds))}.",
        )
    text = parameters.get("fhirversion")
    if text is not None and parse_version(text) is not version:
        raise UnsupportedMediaType(
            f"fhirVersion={text} in the Content-Type cannot be read here, where {version.mime} is spoken",
            expression="Content-Type",
            remedy="POST to [server]/fhir, which reads every version it speaks, or to the base of that version.",
        )
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"charset={charset}: FHIR is always UTF-8", expression="Content-Type")
    return kind
