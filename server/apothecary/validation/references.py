"""References: their form, the types they may point to, and whether the target is there
(https://hl7.org/fhir/R5/references.html).
"""

from __future__ import annotations

import re
from typing import Any

from apothecary.fhir.references import parse_reference
from apothecary.suggestions import did_you_mean
from apothecary.validation.bundle_index import unlike
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_RELATIVE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?\S+", re.ASCII)


def check_reference(value: dict[str, Any], at: At, run: Run, targets: tuple[str, ...] = ()) -> None:
    """Check a Reference. Without `targets` its form and resolution; with them only that it points to one of these
    types.
    """
    reference = value.get("reference")
    declared = value.get("type")
    if reference is not None:
        # Where it leads hangs on what is around it.
        run.alone = False
    if targets:
        _check_target(reference, declared, targets, at, run)
        return
    if not isinstance(reference, str) or not reference:
        return
    if reference[0] == "#":
        _check_contained(reference, at, run)
        return
    relative = _RELATIVE.fullmatch(reference)
    if relative is None:
        _check_other(reference, at, run)
        return
    type_name = relative[1]
    if not run.tables.is_resource_type(type_name):
        remedy = did_you_mean(type_name, run.tables.resource_types())
        text = f"is {shown(reference)}, but {type_name} is no resource type of {run.tables.version}"
        run.report(BASE["bad-reference"], at, text, key="reference", remedy=remedy)
        return
    if isinstance(declared, str) and declared != type_name and run.tables.is_resource_type(declared):
        run.report(BASE["reference-type"], at, f"is {shown(declared)}, but the reference names {type_name}", key="type")
    if run.bundle is not None and _is_in_bundle(value, reference, at, run):
        return
    if run.options.known is not None and not run.options.known(f"{type_name}/{relative[2]}"):
        text = f"is {shown(reference)}, which is not there"
        run.report(BASE["unresolved-reference"], at, text, key="reference")


_FEW = 100


def _is_in_bundle(value: dict[str, Any], reference: str, at: At, run: Run) -> bool:
    """Whether the bundle holds what a relative reference points to. One that only seems to lead there is reported."""
    bundle, url = run.bundle, run.full_url
    if bundle.resolve(reference, url) is not None:
        return True
    meant = bundle.named(reference, url)
    if meant is None:
        return False
    if bundle.must_lead and url is not None and id(value) not in bundle.demanded:
        other = bundle.full_url(meant)
        text = f"is {shown(reference)}, which does not lead to that entry: {unlike(url, other)}"
        run.report(BASE["bundle-reference"], at, text, key="reference")
    return True


def check_canonical(value: str, targets: tuple[str, ...], at: At, run: Run) -> None:
    """Check a canonical that points into the same resource: `#id`."""
    run.alone = False
    found = contained(run, value[1:])
    if found is None:
        if value != "#":
            text = f"is {shown(value)}, but nothing with that id is contained"
            run.report(BASE["unresolved-reference"], at, text)
    elif "Resource" not in targets and found.get("resourceType") not in targets:
        text = f"points to a {found.get('resourceType')}, but only to {' or '.join(targets)} may it point"
        run.report(BASE["reference-target"], at, text)


def contained(run: Run, identifier: str) -> dict[str, Any] | None:
    """The resource of that id in the `contained` of the resource that is walked."""
    return _contained(run).get(identifier)


def _contained(run: Run) -> dict[str, dict[str, Any]]:
    """What the resource contains, by id; the first of several with one id. Made once: any number may point there."""
    found = run.contained.get(id(run.root))
    if found is None:
        found = run.contained[id(run.root)] = {}
        resources = run.root.get("contained")
        for one in resources if isinstance(resources, list) else ():
            if isinstance(one, dict) and isinstance(one.get("id"), str):
                found.setdefault(one["id"], one)
    return found


def target_type(reference: str, run: Run) -> str | None:
    """The resource type that a reference points to, as far as the document or the reference itself tells."""
    if reference.startswith("#"):
        found = run.root if reference == "#" else contained(run, reference[1:])
    else:
        found = None if run.bundle is None else run.bundle.find(reference, run.full_url)
    if found is not None:
        name = found.get("resourceType")
        return name if isinstance(name, str) and run.tables.is_resource_type(name) else None
    name = parse_reference(reference.partition("#")[0]).type
    if name is None:
        conditional = _CONDITIONAL.fullmatch(reference)
        name = conditional[1] if conditional else None
    return name if name is not None and run.tables.is_resource_type(name) else None


def _check_target(reference: Any, declared: Any, targets: tuple[str, ...], at: At, run: Run) -> None:
    if (
        declared is None
        and run.bundle is None
        and isinstance(reference, str)
        and reference.partition("/")[0] in targets
    ):
        return  # Most are like that; whether it has the form of a reference is checked by itself.
    found = target_type(reference, run) if isinstance(reference, str) else None
    if found is None and isinstance(declared, str) and run.tables.is_resource_type(declared):
        found = declared
    if found is None or found in targets or any(run.tables.structure(found).base == target for target in targets):
        return
    text = f"points to a {found}, but only to {' or '.join(targets)} may it point"
    run.report(BASE["reference-target"], at, text, key="reference" if isinstance(reference, str) else "type")


def _check_contained(reference: str, at: At, run: Run) -> None:
    # `#` alone is the container, seen from a contained resource.
    if reference != "#" and contained(run, reference[1:]) is None:
        known = _contained(run)
        # To look for what is meant among very many names, for very many references, would take minutes.
        remedy = did_you_mean(reference[1:], known) if len(known) <= _FEW else None
        text = f"is {shown(reference)}, but nothing with that id is contained"
        run.report(BASE["unresolved-reference"], at, text, key="reference", remedy=remedy)


def _check_other(reference: str, at: At, run: Run) -> None:
    if _CONDITIONAL.fullmatch(reference):
        in_transaction = run.bundle is not None and run.bundle.is_transaction
        if not in_transaction and not run.options.conditional_references:
            text = f"is {shown(reference)}: a conditional reference is only for transactions"
            run.report(BASE["bad-reference"], at, text, key="reference")
        return
    if _ABSOLUTE.fullmatch(reference) is None:
        # Relative URLs of other kinds are in use (`Patient/1#name`, a path to a file): they have a form, no more.
        # What starts as `Type/` is of that form alone, so what follows must be an id.
        path = re.split("[#?]", reference, maxsplit=1)[0]
        form = re.fullmatch(r"[^\s#?]+(?:[#?]\S*)?", reference) and "/" in reference
        if not form or (run.tables.is_resource_type(path.partition("/")[0]) and not _RELATIVE.fullmatch(path)):
            text = f"is {shown(reference)}, which is neither Type/id nor a URL"
            run.report(BASE["bad-reference"], at, text, key="reference")
        return
    if reference.startswith(("urn:uuid:", "urn:oid:")):
        bundle = run.bundle
        if bundle is not None and bundle.must_resolve and not bundle.holds(reference, run.full_url):
            text = f"is {shown(reference)}, which no entry of the bundle has as fullUrl"
            run.report(BASE["unresolved-reference"], at, text, key="reference")
