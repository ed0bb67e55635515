"""Query strings: every parameter of every type, with modifiers, prefixes, chains and what else a search may hold."""

from __future__ import annotations

from urllib.parse import quote

from apothecary.fhir.releases import FhirVersion
from tests.fuzz.dice import Dice
from tests.fuzz.material import Material, parameters
from tests.fuzz.words import ODD, identity, text, value

MODIFIERS = (
    *("missing", "exact", "contains", "text", "text-advanced", "in", "not-in", "above", "below", "not", "of-type"),
    *("identifier", "code-text", "iterate", "recurse", "Patient", "Medication", "Nothing", "x", "", "missing:exact"),
)
SAFE = "!$'()*,;:@/?|^~"
_ESCAPES = ("%", "%z", "%ff", "%C3", "%ED%A0%80", "%00", "%0d%0a", "%F4%90%80%80", "+", "&&", "=", "&=&", ";")


class Queries:
    """The queries of one release."""

    def __init__(self, dice: Dice, material: Material, version: FhirVersion) -> None:
        self.dice, self.material, self.version = dice, material, version

    def search(self, kind: str) -> str:
        """The query string of a search of a type."""
        pairs = [self.pair(kind) for _ in range(self.dice.choice((1, 1, 1, 2, 2, 3, 5)))]
        pairs += [self.control(kind) for _ in range(self.dice.choice((0, 0, 1, 1, 2, 3)))]
        if self.dice.chance(0.03):
            pairs += [pairs[0]] * self.dice.choice((2, 30, 400))
        return self.encoded(pairs)

    def encoded(self, pairs: list[tuple[str, str]]) -> str:
        """Pairs as a query string, now and then with escapes that are none."""
        found = "&".join(f"{quote(name, SAFE)}={_quoted(given)}" for name, given in pairs)
        if self.dice.chance(0.04):
            place = self.dice.randint(0, len(found))
            found = found[:place] + self.dice.choice(_ESCAPES) + found[place:]
        return found

    def pair(self, kind: str) -> tuple[str, str]:
        """A parameter that filters."""
        return self.dice.one(
            (
                (10, lambda: self.plain(kind)),
                (2, lambda: self.chained(kind)),
                (2, lambda: self.reversed(kind)),
                (1, lambda: ("_filter", self.filter(kind, 3))),
                (
                    1,
                    lambda: (
                        self.dice.choice(("_list", "_in", "_query", "_type", "_text", "_content")),
                        text(self.dice),
                    ),
                ),
                (0.5, lambda: (text(self.dice), text(self.dice))),
            )
        )

    def plain(self, kind: str) -> tuple[str, str]:
        known = parameters(self.version, kind)
        if not known:
            return "_id", identity(self.dice)
        found = known[self.dice.choice(sorted(known))]
        name = found.code
        given = ",".join(value(self.dice, found.type) for _ in range(self.dice.choice((1, 1, 1, 2, 4))))
        if self.dice.chance(0.35):
            modifier = self.dice.choice(sorted(found.modifiers) if self.dice.chance(0.8) else MODIFIERS)
            name = f"{name}:{modifier}"
            if modifier == "missing":
                given = self.dice.choice(("true", "false", "true", "maybe", "true,false"))
            elif modifier in ("in", "not-in", "above", "below") and self.dice.chance(0.5):
                given = self.dice.choice(_VALUE_SETS)
        return name, given

    def chained(self, kind: str) -> tuple[str, str]:
        """`subject:Patient.organization.name`, and longer."""
        names: list[str] = []
        for _ in range(1 + self.dice.few(5)):
            references = [one for one in parameters(self.version, kind).values() if one.type == "reference"]
            if not references:
                break
            found = self.dice.choice(sorted(references, key=lambda one: one.code))
            targets = [one for one in found.targets if one in self.material.types[self.version]]
            kind = self.dice.choice(targets or self.material.types[self.version])
            names.append(found.code if self.dice.chance(0.3) else f"{found.code}:{kind}")
        name, given = self.plain(kind)
        return ".".join([*names, name]), given

    def reversed(self, kind: str) -> tuple[str, str]:
        """`_has:Observation:subject:code`, and deeper."""
        begin = ""
        for _ in range(1 + self.dice.few(3)):
            source = self.material.kind(self.dice, self.version)
            references = sorted(
                code
                for code, one in parameters(self.version, source).items()
                if one.type == "reference" and (not one.targets or kind in one.targets)
            )
            begin += f"_has:{source}:{self.dice.choice(references) if references else 'subject'}:"
            kind = source
        name, given = self.plain(kind) if self.dice.chance(0.8) else self.chained(kind)
        return begin + name, given

    def filter(self, kind: str, depth: int) -> str:
        """An expression of https://hl7.org/fhir/R5/search_filter.html"""
        if depth and self.dice.chance(0.5):
            one, other = self.filter(kind, depth - 1), self.filter(kind, depth - 1)
            return self.dice.choice(
                (f"({one})", f"{one} and {other}", f"({one} or {other})", f"not ({one})", f"{one} {other}")
            )
        name, given = self.dice.one(((4, lambda: self.plain(kind)), (1, lambda: self.chained(kind))))
        operator = self.dice.choice(_OPERATORS)
        given = self.dice.choice((given, f'"{given}"', f'"{given}', text(self.dice)))
        return f"{name.partition(':')[0]} {operator} {given}"

    def control(self, kind: str) -> tuple[str, str]:
        """A parameter that shapes the answer."""
        codes = sorted(parameters(self.version, kind)) or ["_id"]
        name = self.dice.choice(_CONTROLS)
        base = name.partition(":")[0]
        if self.dice.chance(0.1):
            return name, text(self.dice)
        if base in ("_include", "_revinclude"):
            source = (
                kind if base == "_include" and self.dice.chance(0.8) else self.material.kind(self.dice, self.version)
            )
            references = [c for c, one in parameters(self.version, source).items() if one.type == "reference"]
            code = self.dice.choice(sorted(references)) if references else "subject"
            target = self.material.kind(self.dice, self.version)
            return name, self.dice.choice(("*", "*:*", f"{source}:*", f"{source}:{code}", f"{source}:{code}:{target}"))
        if base == "_sort":
            return name, ",".join(
                self.dice.choice(("", "-")) + self.dice.choice(codes) for _ in range(1 + self.dice.few(3))
            )
        if base == "_type":
            return name, ",".join(self.material.kind(self.dice, self.version) for _ in range(1 + self.dice.few(4)))
        if base == "_elements":
            return name, self.dice.choice(("id", "status,code", "text", "meta", "x", "code.coding"))
        return name, self.dice.choice(_CONTROL_VALUES)

    def history(self) -> str:
        """The query string of a history."""
        pairs = [
            (self.dice.choice(("_count", "_since", "_at", "_page", "_summary", "_sort", "_list", "x")), text(self.dice))
            for _ in range(self.dice.few(3))
        ]
        return self.encoded(pairs)


def _quoted(given: str) -> str:
    return quote(given.encode("utf-8", "surrogatepass"), SAFE)


_OPERATORS = (
    "eq",
    "ne",
    "co",
    "sw",
    "ew",
    "gt",
    "lt",
    "ge",
    "le",
    "ap",
    "sa",
    "eb",
    "pr",
    "po",
    "ss",
    "sb",
    "in",
    "ni",
    "re",
    "xx",
)
_VALUE_SETS = (
    *("http://hl7.org/fhir/ValueSet/medication-status", "http://hl7.org/fhir/ValueSet/administrative-gender"),
    *("http://hl7.org/fhir/ValueSet/observation-codes", "ValueSet/f1", "http://example.org/nothing", "#x"),
    *("http://hl7.org/fhir/administrative-gender|female", "http://snomed.info/sct|73211009", "G40"),
)
_CONTROLS = (
    *("_count", "_sort", "_total", "_summary", "_elements", "_score", "_maxresults", "_explain", "_contained"),
    *("_containedType", "_include", "_revinclude", "_include:iterate", "_revinclude:iterate", "_page", "_format"),
    *("_pretty", "_type", "_sort:x", "_since", "_language", "_graph"),
)
_CONTROL_VALUES = (
    *("0", "1", "2", "1000", "100000", "-1", "true", "false", "none", "accurate", "estimate", "count", "text", "data"),
    *("both", "container", "contained", "json", "xml", "ttl", "application/fhir+json", "application/fhir+xml", "x"),
    *("eyJhIjoxfQ", "e30", "", *ODD[:6]),
)
