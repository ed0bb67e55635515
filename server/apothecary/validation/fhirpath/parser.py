"""FHIRPath text to closures, by precedence (https://hl7.org/fhirpath/#operator-precedence)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

from apothecary.validation.fhirpath import operators
from apothecary.validation.fhirpath.functions import FUNCTIONS, Compiled
from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Items, child, is_type

__all__ = ["Compiled", "compile_expression"]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<quoted>`[^`]*`)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<variable>%(?:[A-Za-z_][A-Za-z0-9_\-]*|`[^`]*`))
    | (?P<this>\$this)
    | (?P<operator><=|>=|!=|[.()\[\],=<>|&+\-*{}])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}

# Binding power of each binary operator; a greater one binds tighter.
_POWER = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    "=": 5,
    "!=": 5,
    "<": 6,
    "<=": 6,
    ">": 6,
    ">=": 6,
    "|": 7,
    "is": 8,
    "as": 8,
    "+": 9,
    "-": 9,
    "&": 9,
    "*": 10,
}
_WORDS = frozenset({"implies", "or", "xor", "and", "in", "contains", "is", "as"})


@cache
def compile_expression(text: str) -> Compiled:
    """`text` as a closure; FhirPathError when it is no FHIRPath or needs what is not offered."""
    return _Parser(text).parse()


class _Parser:
    """A precedence-climbing parser over one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0

    def parse(self) -> Compiled:
        found = self.expression(0)
        if self.at < len(self.tokens):
            raise self.error("the end")
        return found

    def error(self, expected: str) -> FhirPathError:
        found = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
        return FhirPathError(f"{self.text}: expected {expected}, found {found}")

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, text: str) -> None:
        if self.peek()[1] != text or self.peek()[0] == "string":
            raise self.error(text)
        self.at += 1

    def expression(self, power: int) -> Compiled:
        left = self.term()
        while True:
            kind, operator = self.peek()
            binds = _POWER.get(operator, 0) if kind in ("operator", "name") else 0
            if not binds or binds <= power:
                return left
            self.at += 1
            if operator in ("is", "as"):
                left = _type_test(left, operator, self.type_name())
            else:
                left = _binary(operator, left, self.expression(binds))

    def type_name(self) -> str:
        kind, name = self.peek()
        if kind not in ("name", "quoted"):
            raise self.error("a type")
        self.at += 1
        name = name.strip("`")
        while self.peek()[1] == "." and self.tokens[self.at + 1][1][:1].isupper():
            name += "." + self.tokens[self.at + 1][1]
            self.at += 2
        return name

    def term(self) -> Compiled:
        left = self.primary()
        while True:
            kind, text = self.peek()
            if kind != "operator":
                return left
            if text == ".":
                self.at += 1
                left = self.invocation(left)
            elif text == "[":
                self.at += 1
                left = _indexed(left, self.expression(0))
                self.take("]")
            else:
                return left

    def primary(self) -> Compiled:
        kind, text = self.peek()
        if kind == "number":
            self.at += 1
            return _constant([Decimal(text) if "." in text else int(text)])
        if kind == "string":
            self.at += 1
            return _constant([_unescaped(text)])
        if kind == "this":
            self.at += 1
            return _this
        if kind == "variable":
            self.at += 1
            return _variable(text[1:].strip("`"))
        if text == "(":
            self.at += 1
            found = self.expression(0)
            self.take(")")
            return found
        if text == "{":
            self.at += 1
            self.take("}")
            return _constant([])
        if text == "-":
            self.at += 1
            return _binary("-", _constant([0]), self.term())
        if kind in ("name", "quoted"):
            return self.invocation(_this, first=True)
        raise self.error("a term")

    def invocation(self, left: Compiled, first: bool = False) -> Compiled:
        kind, text = self.peek()
        if kind not in ("name", "quoted"):
            raise self.error("a name")
        self.at += 1
        if self.peek()[1] == "(" and kind == "name":
            return self.function(text, left)
        name = text.strip("`")
        if first and kind == "name" and name in ("true", "false"):
            return _constant([name == "true"])
        return _member(left, name, first and name[:1].isupper())

    def function(self, name: str, left: Compiled) -> Compiled:
        make = FUNCTIONS.get(name)
        if make is None:
            raise FhirPathError(f"{self.text}: the function {name}() is not offered")
        self.take("(")
        arguments: list[Compiled] = []
        if name in ("ofType", "is", "as"):
            arguments.append(_constant([self.type_name()]))
        elif self.peek()[1] != ")":
            arguments.append(self.expression(0))
            while self.peek()[1] == ",":
                self.at += 1
                arguments.append(self.expression(0))
        self.take(")")
        call = make(*arguments)
        return lambda this, env: call(left(this, env), this, env)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FhirPathError(f"{text}: character {at + 1} is not understood")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return found


def _unescaped(literal: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), literal[1:-1])


def _constant(items: Items) -> Compiled:
    return lambda this, env: items


def _this(this: Items, env: Environment) -> Items:
    return this


def _member(left: Compiled, name: str, maybe_type: bool) -> Compiled:
    def run(this: Items, env: Environment) -> Items:
        items = left(this, env)
        tables = env.tables
        if maybe_type and items and is_type(tables, items[0], name):
            return items
        if len(items) == 1:
            return child(tables, items[0], name)
        return [found for item in items for found in child(tables, item, name)]

    return run


def _variable(name: str) -> Compiled:
    values: dict[str, Callable[[Environment], Any]] = {
        "resource": lambda env: env.resource,
        "rootResource": lambda env: env.root,
        "context": lambda env: env.context,
        "ucum": lambda env: "http://unitsofmeasure.org",
    }
    value = values.get(name)
    if value is None:
        raise FhirPathError(f"the variable %{name} is not known")
    return lambda this, env: [value(env)]


def _indexed(left: Compiled, index: Compiled) -> Compiled:
    def run(this: Items, env: Environment) -> Items:
        at = operators.single(index(this, env))
        items = left(this, env)
        return [items[at]] if isinstance(at, int) and 0 <= at < len(items) else []

    return run


def _type_test(left: Compiled, operator: str, name: str) -> Compiled:
    call = FUNCTIONS["is" if operator == "is" else "ofType"](_constant([name]))
    return lambda this, env: call(left(this, env), this, env)


def _wrapped(value: bool | None) -> Items:
    return [] if value is None else [value]


def _binary(operator: str, left: Compiled, right: Compiled) -> Compiled:
    """The closure of a binary operator; `and`, `or` and `implies` leave the right side alone when the left decides."""
    truth = operators.truth
    if operator == "and":

        def conjunction(this: Items, env: Environment) -> Items:
            one = truth(left(this, env))
            if one is False:
                return [False]
            other = truth(right(this, env))
            return [False] if other is False else _wrapped(True if one and other else None)

        return conjunction
    if operator in ("or", "implies"):
        decided = operator == "or"

        def disjunction(this: Items, env: Environment) -> Items:
            one = truth(left(this, env))
            if one is decided:
                return [True]
            other = truth(right(this, env))
            if other is True:
                return [True]
            return [] if one is None or other is None else [False]

        return disjunction
    if operator == "xor":

        def exclusive(this: Items, env: Environment) -> Items:
            one, other = truth(left(this, env)), truth(right(this, env))
            return [] if one is None or other is None else [one is not other]

        return exclusive
    return _VALUES[operator](left, right)


def _equality(left: Compiled, right: Compiled) -> Compiled:
    return lambda this, env: _wrapped(operators.equal(left(this, env), right(this, env)))


def _inequality(left: Compiled, right: Compiled) -> Compiled:
    def run(this: Items, env: Environment) -> Items:
        found = operators.equal(left(this, env), right(this, env))
        return [] if found is None else [not found]

    return run


def _membership(left: Compiled, right: Compiled) -> Compiled:
    def run(this: Items, env: Environment) -> Items:
        items = left(this, env)
        if not items:
            return []
        if len(items) > 1:
            raise FhirPathError("`in` needs one item on its left")
        wanted = operators.key(items[0])
        return [any(operators.key(item) == wanted for item in right(this, env))]

    return run


def _union(left: Compiled, right: Compiled) -> Compiled:
    return lambda this, env: operators.distinct(left(this, env) + right(this, env))


def _joined(left: Compiled, right: Compiled) -> Compiled:
    def run(this: Items, env: Environment) -> Items:
        one, other = operators.single(left(this, env)), operators.single(right(this, env))
        return [("" if one is None else str(one)) + ("" if other is None else str(other))]

    return run


def _ordered(operator: str) -> Callable[[Compiled, Compiled], Compiled]:
    def make(left: Compiled, right: Compiled) -> Compiled:
        return lambda this, env: _wrapped(operators.compare(left(this, env), right(this, env), operator))

    return make


def _calculated(operator: str) -> Callable[[Compiled, Compiled], Compiled]:
    def make(left: Compiled, right: Compiled) -> Compiled:
        return lambda this, env: operators.arithmetic(left(this, env), right(this, env), operator)

    return make


_VALUES: dict[str, Callable[[Compiled, Compiled], Compiled]] = {
    "=": _equality,
    "!=": _inequality,
    "in": _membership,
    "contains": lambda left, right: _membership(right, left),
    "|": _union,
    "&": _joined,
    **{operator: _ordered(operator) for operator in ("<", "<=", ">", ">=")},
    **{operator: _calculated(operator) for operator in ("+", "-", "*")},
}
