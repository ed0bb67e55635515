"""Values that have broken servers: of each type of parameter and element, right ones and wrong ones."""

from __future__ import annotations

from tests.fuzz.dice import Dice

# fmt: off
ODD = (
    "", " ", "\t", "\n", "\r\nX-Evil: 1", "\0", "\x7f", "\x1b[31m", "\ufeff", "\u202e", "\u2028", "\ufffd", "\uffff",
    "\U0001f600", "\U00010348", "e\u0301", "İ", "ſ", "ß", "null", "undefined", "true", "NaN", "Infinity", "-Infinity",
    "None", "[]", "{}", "''", '"', "'; DROP TABLE resource; --", "%", "%%", "%s", "%00", "{0}", "${x}", "<div/>",
    "<script>", "&amp;", "../../etc/passwd", "..", ".", "/", "//", "\\", "\\\\", "\\,", "\\|", "\\$", ",", ",,", "|",
    "||", "|||", "$", "a$b", "$$", "*", "**", "_", "-", ":", "::", "?", "#", "=", "&", ";", "(", ")", "((((", "a" * 65,
    "a" * 2000, "é" * 300, "a," * 120, "a|" * 50, "[" * 200,
)
NUMBERS = (
    "0", "-0", "1", "-1", "5.40", "5.4e3", "1e400", "1e-400", "-1e400", "9" * 40, "9" * 400, "0." + "0" * 60 + "1",
    "0x10", "1_000", "١٢", "1,5", "+1", "1e", ".5", "5.", "2147483648", "9223372036854775808", "1e999999999",
    "00001", " 1", "1 ",
)
DATES = (
    "2020", "2020-02", "2020-02-29", "2021-02-29", "2020-13", "2020-00", "0000", "0001", "9999", "10000", "9999-12-31",
    "9999-12-31T23:59:60Z", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2020-01-01T24:00:00Z", "2020-01-01T00:00", "2020-01-01T00:00:00.123456789Z",
    "2020-01-01T00:00:00+99:99", "2020-W01", "20200101", "today", "2020-01-01 00:00:00", "-2020",
    "2016-12-31T23:59:60Z",
)
PREFIXES = ("", "", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "po", "xx")
TOKENS = (
    "active", "draft", "x", "http://example.org/system|code", "http://snomed.info/sct|", "|code", "|", "a|b|c",
    "http://loinc.org|1234-5,|x", "urn:oid:1.2.3|4", "true", "http://hl7.org/fhir/administrative-gender|male",
    "http://unitsofmeasure.org|mg", "not in|x", "\\||\\|", "a|b,c|d,e|f", "http://terminology.hl7.org/CodeSystem/v3-ActCode|",
)
REFERENCES = (
    "Medication/f1", "Patient/f2", "Patient/", "/f1", "f1", "Medication/f1/_history/1", "Medication/f1/_history/0",
    "http://localhost/fhir/r5/Medication/f1", "http://example.org/fhir/Patient/1", "http://[", "urn:uuid:1", "#a", "#",
    "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "http://example.org/thing|1", "http://example.org/thing",
    "Nothing/1",    "Patient/f1,Patient/f2", "Patient/" + "a" * 65, "https://a/b/c?d=e#f", "Medication?identifier=x",
)
URIS = (
    "http://example.org/thing", "http://example.org/", "urn:oid:1.2.3", "http://example.org/thing|1", "not a uri", "a:",
    "http://loinc.org", "http://hl7.org/fhir/StructureDefinition/Medication", "http://hl7.org/fhir/ValueSet/medication-status",
    "http://[::1", "mailto:x", "//x", "http://%zz/",
)
QUANTITIES = (
    "5", "5|http://unitsofmeasure.org|mg", "5||mg", "5.40|http://unitsofmeasure.org|g", "5|", "||", "5|x|y|z", "|a|b",
    "5|http://unitsofmeasure.org|[qqq]", "1e30|http://unitsofmeasure.org|kg", "5|http://unitsofmeasure.org|mg/mL",
    "1e-300|http://unitsofmeasure.org|Cel", "5|http://unitsofmeasure.org|" + "m/" * 200 + "m",
    "5|http://unitsofmeasure.org|10*99999999999", "5|http://unitsofmeasure.org|m999999999",
)
STRINGS = ("a", "A", "clon", "Amoxicillin 500 mg", "Zürich", "zurich", "100%", "_", "O'Brien", "Œ", "ﬀ", "١")
CODES = ("active", "true", "false", "generated", "draft", "medication", "count", "data", "text", "none", "both")
IDS = tuple(f"f{number}" for number in range(5))
# fmt: on
BY_TYPE = {
    "token": TOKENS,
    "reference": REFERENCES,
    "uri": URIS,
    "string": STRINGS,
    "special": STRINGS,
    "composite": ("a$b", "x|y$5", "$", "a$", "$b", "a$b$c", "x|y$gt5|u|v", "2020$x", "a$b,c$d"),
}


def value(dice: Dice, kind: str) -> str:
    """A value for a search parameter of a type; one in six is of another."""
    if dice.chance(0.05):
        return dice.choice(ODD)
    if dice.chance(0.05):
        kind = dice.choice((*BY_TYPE, "date", "number", "quantity"))
    if kind == "date":
        return dice.choice(PREFIXES) + dice.choice(DATES if dice.chance(0.4) else DATES[:3])
    if kind == "number":
        return dice.choice(PREFIXES) + dice.choice(NUMBERS if dice.chance(0.4) else NUMBERS[:6])
    if kind == "quantity":
        return dice.choice(PREFIXES) + dice.choice((*QUANTITIES, *NUMBERS))
    return dice.choice(BY_TYPE.get(kind, STRINGS))


def identity(dice: Dice) -> str:
    """An id: mostly one of the few that this run writes to."""
    if dice.chance(0.95):
        return dice.choice(IDS)
    return dice.choice((*ODD, "a" * 64, "A.b-C", "metadata", "_history", "$validate", "0", "f1/", "_search"))


def text(dice: Dice) -> str:
    """Any text."""
    return dice.choice(dice.choice((ODD, NUMBERS, DATES, TOKENS, REFERENCES, URIS, QUANTITIES, STRINGS, CODES, IDS)))
