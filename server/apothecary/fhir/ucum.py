"""Units of measure: check a UCUM code, and bring a quantity to base units exactly.

UCUM: https://ucum.org/ucum (grammar, case-sensitive codes) and https://hl7.org/fhir/R5/search.html#quantity, which lets
a server compare quantities by their canonical units.

Only integers and fractions are used, never binary floating point: 0.5 mg, 500 ug and 0.0005 g are one value. The
libraries at hand were no choice: they convert through floats, start a Java machine, or take long to import.
"""

import re
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import cache
from math import lcm
from typing import Final, NamedTuple, NoReturn

from apothecary.errors import ApothecaryError
from apothecary.fhir.caches import short_cache
from apothecary.fhir.ucum_table import Atom, table

SYSTEM: Final = "http://unitsofmeasure.org"

# No unit in use comes near these; they keep a hostile code such as "Ym999999999" from costing memory or time.
_LONGEST_CODE: Final = 500
_DEEPEST_NESTING: Final = 25
_LARGEST_BITS: Final = 8192

_ROUNDED_DIGITS: Final = 40
_EXACT: Final = Context(prec=10_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_ROUNDED: Final = Context(prec=_ROUNDED_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])

# Zero of the special units that have one, in kelvin; the table names only the function.
_ZERO_POINTS: Final = {
    "Cel": Fraction("273.15"),
    "degF": Fraction("459.67") * Fraction(5, 9),
    "degRe": Fraction("273.15"),
}

_SYMBOL: Final = re.compile(r"10[*^]|(?:[^\s0-9+\-./(){}\[\]]|\[[^\s\[\]{}]*\])+")
_EXPONENT: Final = re.compile(r"[+-]?[0-9]+")
_FACTOR: Final = re.compile(r"[0-9]+")
_ANNOTATION: Final = re.compile(r"\{([!-z|~]*)\}")


class UcumError(ApothecaryError, ValueError):
    """A code that is not a UCUM unit; the caller knows whether that is a bad request or a finding.

    `code` is the whole code, `position` counts characters from 0, `reason` says what was expected there, and
    `suggestion` is the code that was probably meant, or None.
    """

    def __init__(self, code: str, position: int, reason: str, suggestion: str | None = None) -> None:
        self.code = code
        self.position = position
        self.reason = reason
        self.suggestion = suggestion
        hint = f"; did you mean {suggestion}?" if suggestion else ""
        super().__init__(f"{code}: {reason} (character {position + 1}){hint}")


@dataclass(frozen=True, slots=True)
class Unit:
    """A parsed unit. A value `x` of it is `x * factor + offset` in the base units that `dimension` names.

    `dimension` is the product of base units in one fixed order and form: "g", "g.m-3", "[iU]", "1". Units are
    comparable when their dimensions are equal. UCUM's arbitrary units, such as [iU], are dimensions of their own.
    `offset` is 0 but for temperatures in Cel, [degF] and [degRe].
    `convertible` is False for a unit without a ratio scale, such as [pH] or B, and for a product with one in it.
    `annotation` is the text in braces when the unit is nothing else ("tbl" of {tbl}); UCUM takes that for the number 1.
    """

    code: str
    factor: Fraction
    dimension: str
    offset: Fraction = Fraction(0)
    convertible: bool = True
    annotation: str | None = None


def parse_unit(code: str) -> Unit:
    """Return the unit that a case-sensitive UCUM code means; answers are cached. Raises UcumError."""
    unit = _cached(code)
    if isinstance(unit, UcumError):
        raise UcumError(unit.code, unit.position, unit.reason, unit.suggestion)  # anew: raising adds a traceback
    return unit


def is_valid(code: str) -> bool:
    """Say whether a code is a UCUM unit, by its grammar and its table of units."""
    return isinstance(_cached(code), Unit)


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """Return a quantity's value in base units, without trailing zeros, and the dimension; None if it has none.

    The value is exact, or rounded to 40 significant digits where the decimal fraction does not end (1 [degF], 1 [Ch]).
    None means a valid unit to be compared as written only: it is on no ratio or affine scale, or it is nothing but text
    in braces. UCUM takes 2 {tbl} and 2 {puff} for the number 2, but they are not the same amount of a medicine.
    Raises UcumError for a code that is not a unit, ValueError for NaN and infinity.
    """
    if not value.is_finite():
        raise ValueError(f"not a finite value: {value}")
    if (conversion := _conversion(code)) is None:
        return None
    multiplier, summand, scale, divisor, dimension = conversion
    result = _EXACT.multiply(value, multiplier)
    if summand:
        result = _EXACT.add(result, summand)
    result = _EXACT.multiply(result, scale)
    if divisor != 1:
        result = _ROUNDED.divide(result, divisor)
    return _EXACT.normalize(result) if result else Decimal(0), dimension


class _Measure(NamedTuple):
    """A term's value while it is being computed: what Unit says, with the dimension as base unit to exponent."""

    factor: Fraction
    dimension: dict[str, int]
    offset: Fraction = Fraction(0)
    convertible: bool = True
    annotation: str | None = None

    @property
    def special(self) -> bool:
        """Whether the unit is on a scale of its own, so that only a number may scale it."""
        return not self.convertible or self.offset != 0

    @property
    def number(self) -> bool:
        return not self.special and not self.dimension


def _multiply(left: _Measure, right: _Measure, sign: int) -> _Measure:
    """`left` times `right`, or divided by it for a sign of -1."""
    factor = left.factor * right.factor**sign
    dimension = dict(left.dimension)
    for base, exponent in right.dimension.items():
        dimension[base] = dimension.get(base, 0) + sign * exponent
        if not dimension[base]:
            del dimension[base]
    # UCUM section 22: a number scales a special unit and leaves its zero alone; with any other unit a special one makes
    # no sense by the specification. Such codes exist in data (Cel/h), so they are units, but have no canonical form.
    if left.special and right.number:
        return left._replace(factor=factor)
    if right.special and left.number and sign == 1:
        return right._replace(factor=factor)
    return _Measure(factor, dimension, convertible=not (left.special or right.special))


class _Parser:
    """One pass over a code, by the grammar of UCUM's table "Formal Syntax"."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.position = 0
        self.depth = 0

    def parse(self) -> _Measure:
        """main-term: an optional leading `/`, then a term, then the end."""
        if len(self.code) > _LONGEST_CODE:
            self.fail(f"a unit has at most {_LONGEST_CODE} characters", at=_LONGEST_CODE)
        if self.code.startswith("/"):
            self.position = 1
            result = self.checked(_multiply(_Measure(Fraction(1), {}), self.term(), -1))
        else:
            result = self.term()
        if self.position < len(self.code):
            self.fail_after_component()
        return result

    def term(self) -> _Measure:
        """Components joined by `.` and `/`, which bind equally and to the left: g/m.s is (g/m).s."""
        result = self.component()
        while (operator := self.code[self.position : self.position + 1]) and operator in "./":
            self.position += 1
            result = self.checked(_multiply(result, self.component(), 1 if operator == "." else -1))
        return result

    def component(self) -> _Measure:
        """A symbol with its exponent, a number or a term in parentheses, each with its annotation, or that alone."""
        if (annotation := self.annotation()) is not None:
            return _Measure(Fraction(1), {}, annotation=annotation)
        if self.code.startswith("(", self.position):
            result = self.parenthesis()
        elif found := _SYMBOL.match(self.code, self.position):
            result = self.symbol(found[0])
        elif found := _FACTOR.match(self.code, self.position):
            result = self.number(found[0])
        else:
            self.fail("a unit, a number, '(' or '{' is expected")
        self.annotation()
        return result

    def parenthesis(self) -> _Measure:
        self.depth += 1
        if self.depth > _DEEPEST_NESTING:
            self.fail(f"parentheses are nested at most {_DEEPEST_NESTING} deep")
        self.position += 1
        result = self.term()
        if not self.code.startswith(")", self.position):
            self.fail_after_component(closing=True)
        self.position += 1
        self.depth -= 1
        return result

    def symbol(self, symbol: str) -> _Measure:
        found = table().find(symbol)
        if found is None:
            from apothecary.fhir.ucum_suggestions import suggest  # loaded only for a wrong code

            self.fail(f"no unit '{symbol}'", suggest(self.code, symbol, self.position))
        prefix, atom = found
        measure = _atom(atom)
        if prefix != 1:
            measure = measure._replace(factor=measure.factor * prefix)
        start = self.position = self.position + len(symbol)
        if (exponent := _EXPONENT.match(self.code, start)) is None:
            return measure
        self.position = exponent.end()
        return self.power(measure, int(exponent[0]), start)

    def power(self, measure: _Measure, exponent: int, at: int) -> _Measure:
        bits = max(measure.factor.numerator.bit_length(), measure.factor.denominator.bit_length()) - 1
        if bits * abs(exponent) > _LARGEST_BITS:
            self.fail("the exponent is too large", at=at)
        if exponent == 1:
            return measure
        dimension = {base: power * exponent for base, power in measure.dimension.items()} if exponent else {}
        return _Measure(measure.factor**exponent, dimension, convertible=not measure.special)

    def number(self, digits: str) -> _Measure:
        end = self.position + len(digits)
        if (symbol := _SYMBOL.match(self.code, end)) is not None:
            self.fail("'.' or '/' is expected after a number", f"{self.code[:end]}.{self.code[end:]}", symbol.start())
        if not int(digits):
            self.fail("a number in a unit is at least 1")
        self.position = end
        return _Measure(Fraction(int(digits)), {})

    def annotation(self) -> str | None:
        """`{` text `}`: anything of visible ASCII but braces."""
        if not self.code.startswith("{", self.position):
            return None
        found = _ANNOTATION.match(self.code, self.position)
        if found is None:
            self.fail("text in braces ends with '}' and has no space, brace or character outside ASCII")
        self.position = found.end()
        return found[1]

    def checked(self, measure: _Measure) -> _Measure:
        if max(measure.factor.numerator.bit_length(), measure.factor.denominator.bit_length()) > _LARGEST_BITS:
            self.fail("the unit is too large or too small")
        return measure

    def fail_after_component(self, *, closing: bool = False) -> NoReturn:
        if self.position == len(self.code):
            self.fail("')' is expected")
        if self.code[self.position - 1] == ")" and _EXPONENT.match(self.code, self.position):
            self.fail("an exponent follows a unit, not parentheses")
        self.fail("'.', '/' or ')' is expected" if closing else "'.', '/' or the end is expected")

    def fail(self, reason: str, suggestion: str | None = None, at: int | None = None) -> NoReturn:
        if suggestion is not None and not is_valid(suggestion):
            suggestion = None
        raise UcumError(self.code, self.position if at is None else at, reason, suggestion)


@cache
def _atom(atom: Atom) -> _Measure:
    """The value of an atom in base units, through its definition."""
    if atom.unit is None or (atom.arbitrary and atom.unit == "1"):
        return _Measure(Fraction(1), {atom.code: 1})
    proper = _Parser(atom.unit).parse()
    factor = proper.factor * atom.value
    if atom.function is None:
        return proper._replace(factor=factor)
    offset = _ZERO_POINTS.get(atom.function)
    return _Measure(factor, proper.dimension, offset or Fraction(0), convertible=offset is not None)


@short_cache(4096)
def _cached(code: str) -> Unit | UcumError:
    """A unit or what is wrong with it: codes come in great numbers and few kinds, wrong ones too."""
    try:
        measure = _Parser(code).parse()
    except UcumError as error:
        return error.with_traceback(None)
    powers = sorted(measure.dimension.items())
    dimension = ".".join(base if exponent == 1 else f"{base}{exponent}" for base, exponent in powers)
    return Unit(code, measure.factor, dimension or "1", measure.offset, measure.convertible, measure.annotation)


@short_cache(4096)
def _conversion(code: str) -> tuple[Decimal, Decimal, Decimal, Decimal, str] | None:
    """`(value * multiplier + summand) * scale / divisor`, of which only the division may not come out even."""
    unit = parse_unit(code)
    if not unit.convertible or unit.annotation is not None:
        return None
    denominator = lcm(unit.factor.denominator, unit.offset.denominator)
    multiplier = unit.factor.numerator * (denominator // unit.factor.denominator)
    summand = unit.offset.numerator * (denominator // unit.offset.denominator)
    twos = fives = 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    tens = max(twos, fives)
    scale = Decimal(2 ** (tens - twos) * 5 ** (tens - fives)).scaleb(-tens, _EXACT)
    return Decimal(multiplier), Decimal(summand), scale, Decimal(denominator), unit.dimension
