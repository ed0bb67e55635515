"""What a product looks like: https://hl7.org/fhir/R5/medicationknowledge-definitions.html#MedicationKnowledge.definitional.drugCharacteristic"""

from __future__ import annotations

import re

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON
from apothecary.importers.spl.tree import XSI, Reader, child, value_of, words

_FHIR = "http://terminology.hl7.org/CodeSystem/medicationknowledge-characteristic"
# https://terminology.hl7.org/CodeSystem-medicationknowledge-characteristic.html, where it has the same.
_SAME = {
    "SPLCOLOR": ("color", "Color"),
    "SPLSHAPE": ("shape", "Shape"),
    "SPLSIZE": ("size", "Size"),
    "SPLSCORE": ("scoring", "Scoring"),
    "SPLIMPRINT": ("imprintcd", "Imprint Code"),
    "SPLCOATING": ("coating", "Coating"),
    "SPLIMAGE": ("image", "Image"),
}
_MEDIA = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)


def characteristic(node: Node, reader: Reader) -> JSON | None:
    """A drugCharacteristic; None where it says nothing, which is told."""
    code = reader.coding(child(node, "code"))
    value = child(node, "value")
    if code is None or value is None:
        reader.skipped(node, "a characteristic without code or value")
        return None
    codings = [code]
    if code["code"] in _SAME:
        same, display = _SAME[code["code"]]
        codings.append({"system": _FHIR, "code": same, "display": display})
    shown = _value(value, reader)
    if shown is None:
        reader.skipped(node, f"the characteristic {code['code']} says nothing that can be read")
        return None
    return {"type": {"coding": codings}, **shown}


def _value(node: Node, reader: Reader) -> JSON | None:
    kind = value_of(node, "type", XSI).rpartition(":")[2]
    if kind in ("CE", "CD", "CV", "CS"):
        concept = reader.concept(node)
        return {"valueCodeableConcept": concept} if concept else None
    if kind in ("PQ", "INT", "REAL"):
        amount = reader.quantity(node, "the characteristic")
        return {"valueQuantity": amount} if amount else None
    if kind == "ED":
        file = value_of(child(node, "reference"), "value") or words(node)
        media = value_of(node, "mediaType")
        if not file:
            return None
        reader.approximated(node, f"the image {file} is named, and not taken over"[:300])
        return {"valueAttachment": {**({"contentType": media} if _MEDIA.fullmatch(media) else {}), "title": file}}
    said = words(node) or value_of(node, "value") or value_of(node, "code") or _range(node)
    if said and kind not in ("ST", "BL"):
        reader.approximated(node, f"a characteristic of the type {kind!r} stands as text"[:300])
    return {"valueString": said} if said else None


def _range(node: Node) -> str:
    low, high = child(node, "low"), child(node, "high")
    ends = (f"{value_of(one, 'value')} {value_of(one, 'unit')}".strip() for one in (low, high) if one is not None)
    return " to ".join(filter(None, ends))
