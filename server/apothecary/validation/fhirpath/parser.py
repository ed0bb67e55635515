"""FHIRPath text to closures, by precedence (https://hl7.org/fhirpath/N1/#operator-precedence)."""

from __future__ import annotations

from decimal import Decimal

from apothecary.fhir.caches import Weighed
from apothecary.validation.fhirpath import closures
from apothecary.validation.fhirpath.closures import binary, constant
from apothecary.validation.fhirpath.functions import offered
from apothecary.validation.fhirpath.nodes import Compiled, Environment, FhirPathError, Items
from apothecary.validation.fhirpath.temporal import parse_temporal, parse_time
from apothecary.validation.fhirpath.tokens import Token, shortened, tokens, unescaped
from apothecary.validation.fhirpath.values import Quantity, calendar_word

# Binding power of each binary operator; a greater one binds tighter.
_LEVELS = ("implies", "or xor", "and", "in contains", "= != ~ !~", "< <= > >=", "|", "is as", "+ - &", "* / div mod")
_POWER = {operator: power for power, level in enumerate(_LEVELS, 1) for operator in level.split()}
_TYPE_FUNCTIONS = frozenset({"is", "as", "ofType"})
_MODELS = frozenset({"System", "FHIR"})
# What is the same wherever it stands in an expression.
_STEADY = frozenset({"%resource", "%rootResource", "%context"})
# Within their arguments, names and $this are of the items of their input.
_OF_ITEMS = frozenset({"all", "exists", "repeat", "select", "where"})
_SPECIAL = {"$this": closures.this, "$index": closures.index, "$total": closures.total}
_DEEPEST = 60
_MOST_DIGITS = 60
# What a compiled expression takes for each token, in bytes: up to 310 were measured, for chains of operators.
_TOKEN = 320
# Expressions come up again with every resource. Those that the three releases ask of resources take one megabyte.
_KNOWN: Weighed[str, Compiled] = Weighed(32 * 1024 * 1024)


def compile_expression(text: str) -> Compiled:
    """`text` as a closure; FhirPathError when it is no FHIRPath or needs what is not offered."""
    found = _KNOWN.get(text)
    if found is None:
        try:
            parser = _Parser(text)
            found = parser.parse()
        except RecursionError:
            raise FhirPathError("the expression is nested too deep") from None
        _KNOWN.put(text, found, _TOKEN * (1 + len(parser.tokens)) + len(text))
    return found


class _Parser:
    """A precedence-climbing parser over one expression."""

    def __init__(self, text: str) -> None:
        self.text = shortened(text)
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0
        # Only where variables are defined must operands and arguments be kept apart.
        self.defines = any(token.text == "defineVariable" for token in self.tokens)
        # How often the context was read so far, and how often what a function counts ($index, $total).
        self.of_context = 0
        self.of_counters = 0

    def parse(self) -> Compiled:
        found = self.expression(0)
        if self.at < len(self.tokens):
            raise self.error("the end")
        return found

    def error(self, expected: str) -> FhirPathError:
        found = self.tokens[self.at].text if self.at < len(self.tokens) else "the end"
        return FhirPathError(f"{self.text}: expected {expected}, found {found}")

    def peek(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else Token("end", "")

    def is_next(self, text: str) -> bool:
        token = self.peek()
        return token.text == text and token.kind == "operator"

    def take(self, text: str) -> None:
        if not self.is_next(text):
            raise self.error(text)
        self.at += 1

    def expression(self, power: int) -> Compiled:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise FhirPathError(f"the expression is nested deeper than {_DEEPEST} levels")
        left = self.unary()
        while True:
            kind, operator = self.peek()
            binds = _POWER.get(operator, 0) if kind in ("operator", "name") else 0
            if not binds or binds <= power:
                self.depth -= 1
                return left
            self.at += 1
            if operator in ("is", "as"):
                left = closures.type_test(left, operator, self.type_name())
            else:
                left = binary(operator, self.scoped(left), self.scoped(self.expression(binds)))

    def scoped(self, operand: Compiled) -> Compiled:
        return closures.scoped(operand) if self.defines else operand

    def unary(self) -> Compiled:
        if not self.is_next("-") and not self.is_next("+"):
            return self.term()
        sign = self.peek().text
        self.at += 1
        self.depth += 1
        if self.depth > _DEEPEST:
            raise FhirPathError(f"the expression is nested deeper than {_DEEPEST} levels")
        operand = self.unary()
        self.depth -= 1
        return closures.negated(operand) if sign == "-" else closures.positive(operand)

    def type_name(self) -> str:
        name = self.identifier("a type")
        if name in _MODELS and self.is_next("."):
            self.at += 1
            name += f".{self.identifier('a type')}"
        return name

    def identifier(self, expected: str) -> str:
        kind, text = self.peek()
        if kind not in ("name", "quoted"):
            raise self.error(expected)
        self.at += 1
        return unescaped(text) if kind == "quoted" else text

    def term(self) -> Compiled:
        began, first = self.at, self.peek()
        before = (self.of_context, self.of_counters)
        found = self.steps(self.primary())
        is_steady = first.kind == "variable" and first.text in _STEADY and not self.defines
        if is_steady and self.at > began + 1 and before == (self.of_context, self.of_counters):
            return closures.kept(found)
        return found

    def steps(self, left: Compiled) -> Compiled:
        while True:
            if self.is_next("."):
                self.at += 1
                left = self.invocation(left)
            elif self.is_next("["):
                self.at += 1
                left = closures.indexed(left, self.scoped(self.expression(0)))
                self.take("]")
            else:
                return left

    def primary(self) -> Compiled:
        kind, text = self.peek()
        if kind in ("name", "quoted"):
            return self.invocation(closures.this, first=True)
        self.at += 1
        if kind == "number":
            return self.number(text)
        if kind == "string":
            return constant([unescaped(text)])
        if kind == "temporal":
            return self.temporal(text)
        if kind == "special":
            return self.special(text)
        if kind == "variable":
            name = text[1:]
            return closures.variable(unescaped(name) if name[:1] in "`'" else name, self.defines)
        if text == "(":
            found = self.expression(0)
            self.take(")")
            return found
        if text == "{":
            self.take("}")
            return constant([])
        self.at -= 1
        raise self.error("a term")

    def special(self, text: str) -> Compiled:
        self.of_context += 1
        self.of_counters += text != "$this"
        return _SPECIAL[text]

    def number(self, text: str) -> Compiled:
        if len(text) > _MOST_DIGITS:
            raise FhirPathError(f"a number has at most {_MOST_DIGITS} digits")
        kind, unit = self.peek()
        word = calendar_word(unit) if kind == "name" else None
        if kind == "string" or word:
            self.at += 1
            return constant([Quantity(Decimal(text), word or unescaped(unit), bool(word))])
        return constant([Decimal(text) if "." in text else int(text)])

    def temporal(self, text: str) -> Compiled:
        found = parse_time(text[2:]) if text.startswith("@T") else parse_temporal(text[1:])
        if found is None:
            raise FhirPathError(f"{self.text}: {text} is no date or time")
        return constant([found])

    def invocation(self, left: Compiled, first: bool = False) -> Compiled:
        kind, text = self.peek()
        if kind == "special" and not first:
            # `name.$this` is legal grammar, and says nothing more.
            self.at += 1
            return _after(left, self.special(text))
        name = self.identifier("a name")
        self.of_context += first
        if kind == "name" and self.is_next("("):
            return self.function(name, left)
        if first and kind == "name" and name in ("true", "false"):
            return constant([name == "true"])
        return closures.member(left, name, first and name[:1].isupper())

    def function(self, name: str, left: Compiled) -> Compiled:
        known = None if name in ("is", "as") else offered(name)
        if known is None and name not in _TYPE_FUNCTIONS:
            raise FhirPathError(f"{self.text}: the function {name}() is not offered")
        self.take("(")
        began, before = self.at, self.of_context
        if name in ("is", "as"):
            found = closures.type_test(left, name, self.type_name())
            self.take(")")
            return found
        arguments: list[Compiled] = []
        if name == "ofType":
            arguments.append(constant([self.type_name()]))
        elif not self.is_next(")"):
            arguments.append(self.argument(name))
            while self.is_next(","):
                self.at += 1
                arguments.append(self.argument(name))
        if name in _OF_ITEMS:
            self.of_context = before
        # What an argument costs grows with its length; it may be evaluated for every item.
        weight = max(1, self.at - began)
        self.take(")")
        if known is None or not known.least <= len(arguments) <= known.most:
            raise FhirPathError(f"{self.text}: {name}() does not take {len(arguments)} arguments")
        call = known.make(*arguments)
        if known.free and not arguments:
            return lambda this, env: call(left(this, env), this, env)

        def run(this: Items, env: Environment) -> Items:
            items = left(this, env)
            env.budget.spend(1 + len(items) * weight)
            return call(items, this, env)

        return run

    def argument(self, function: str) -> Compiled:
        # sort(-family): the sign is the direction, not a number.
        descending = function == "sort" and self.is_next("-")
        if descending:
            self.at += 1
        found = self.scoped(self.expression(0))
        return _Descending(found) if descending else found


class _Descending:
    """A key of sort() that puts the greatest first."""

    descending = True

    def __init__(self, key: Compiled) -> None:
        self.key = key

    def __call__(self, this: Items, env: Environment) -> Items:
        return self.key(this, env)


def _after(left: Compiled, special: Compiled) -> Compiled:
    return lambda this, env: special(left(this, env), env)
