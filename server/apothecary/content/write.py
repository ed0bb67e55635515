"""A resource as the text of a content file, in the file's own format (https://hl7.org/fhir/R5/formats.html), and the
replacement of a file at once.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from apothecary.content.read import read_bytes
from apothecary.errors import StartError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, FhirDecimal, dumps, pretty
from apothecary.fhir.releases import FhirVersion

# What a server writes into the meta of a resource when it stores it.
ASSIGNED = ("versionId", "lastUpdated")

_INDENT = re.compile(rb'^\{\s*?\n( +)"')
_COMMENTS = {".yaml": re.compile(rb"(?m)(^|\s)#"), ".yml": re.compile(rb"(?m)(^|\s)#"), ".xml": re.compile(rb"<!--")}


def authored(resource: JSON) -> JSON:
    """A resource without what the server assigned, every other value in its place."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ASSIGNED}
    kept = {key: value for key, value in resource.items() if key != "meta" or meta}
    return {**kept, "meta": meta} if meta else kept


def file_text(resource: JSON, suffix: str, before: bytes | None = None, like: JSON | None = None) -> bytes:
    """`resource` (R5) as a file of that suffix. `before` is the file's text so far and `like` its resource:
    indentation, line ends and the order of properties stay, so that a comparison shows what changed. Raises NoText.
    """
    if suffix == ".xml":
        text = xml_text(resource, FhirVersion.R5)
    else:
        ordered = resource if like is None else in_order_of(resource, like)
        text = pretty(dumps(ordered), _indent(before)) + b"\n" if suffix == ".json" else yaml_text(ordered)
    return text.replace(b"\n", b"\r\n") if before is not None and b"\r\n" in before else text


def loses_comments(suffix: str, before: bytes) -> bool:
    """Whether the text may hold comments, which a resource does not."""
    return suffix in _COMMENTS and _COMMENTS[suffix].search(before) is not None


def reads_back(path: Path, text: bytes) -> JSON | None:
    """What a reader of the file gets; None where the text is not to be read in this format."""
    document = read_bytes(str(path), text, version=FhirVersion.R5)
    broken = any(placed.issue.severity in ("fatal", "error") for placed in document.issues)
    return None if broken or not isinstance(document.value, dict) else document.value


def in_order_of(new: Any, old: Any) -> Any:
    """`new` with its properties in the order that they have in `old`; those that `old` lacks follow their neighbour."""
    if isinstance(new, dict) and isinstance(old, dict):
        order = [key for key in old if key in new]
        before: str | None = None
        for key in new:
            if key not in old:
                order.insert(order.index(before) + 1 if before is not None else 0, key)
            before = key
        return {key: in_order_of(new[key], old.get(key)) for key in order}
    if isinstance(new, list) and isinstance(old, list):
        return [in_order_of(one, old[place] if place < len(old) else None) for place, one in enumerate(new)]
    return new


def _indent(before: bytes | None) -> int:
    if before is None:
        return 2
    found = _INDENT.match(before.removeprefix(b"\xef\xbb\xbf").lstrip())
    if found is not None:
        return len(found[1])
    return 2 if b"\n" in before.strip() else -1


class NoText(ValueError):
    """A resource cannot be written in a format: why."""


def xml_text(resource: JSON, version: FhirVersion, *, indented: bool = True) -> bytes:
    """A resource of a release as FHIR XML. Raises NoText where XML has no place for something."""
    from apothecary.content.xml_write import NoXml, resource_xml

    try:
        return resource_xml(resource, definitions(version), indented=indented).encode()
    except NoXml as error:
        raise NoText(str(error)) from None


def yaml_text(resource: JSON) -> bytes:
    """A resource as YAML, the properties of JSON in their order."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Decimals with their digits, and nothing by alias."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def decimal(dumper: Dumper, value: FhirDecimal) -> yaml.ScalarNode:
        # With the tag that a reader would guess: no other leaves the scalar plain.
        text = str(value)
        tag: str = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call] # not typed
        return yaml.ScalarNode(tag, text)

    Dumper.add_representer(FhirDecimal, decimal)
    text: str = yaml.dump(resource, Dumper=Dumper, allow_unicode=True, sort_keys=False, width=120)
    return text.encode()


def replace_file(path: Path, data: bytes, *, durably: bool = True) -> None:
    """Make `data` the content of `path`, at once and durably: the old content or the new one, never a part. Where it is
    made again easily it need not be `durably`: a cut of power may take it.

    Raises StartError where that cannot be.
    """
    # Hidden: whoever reads the folder meanwhile passes it over.
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("xb") as stream:
            stream.write(data)
            if durably:
                stream.flush()
                os.fsync(stream.fileno())
        if path.exists():
            shutil.copymode(path, beside)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StartError(f"{path}: cannot be written: {error.strerror}") from error
