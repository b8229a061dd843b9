"""`parse`: from the text of a query to its expression."""

import functools
import re
from dataclasses import replace
from importlib.resources import files

from lark import Lark, Token, Tree, UnexpectedInput

from concurrent_log.collector.server.query.language.errors import QueryError, explain
from concurrent_log.collector.server.query.language.fields import FieldComparison, Operand, field_name, is_column
from concurrent_log.collector.store.sql.expressions import AllOf, AnyOf, Expression, HasField, HasText, Not
from concurrent_log.collector.store.sql.text_pattern import TextPattern

_MAX_CONDITIONS = 250  # in one query, counting each value of a list
_MAX_DEPTH = 30  # of parentheses and negations
_SIGN = re.compile(r"\s*(!=|!~|>=|<=|[=<>~:])\s*$")
_ESCAPED = re.compile(r'\\(["\\])')

_Branch = Tree[Token]


def parse(text: str) -> Expression | None:
    """Return the expression of a query, or None if it is empty.

    Raises:
        QueryError: The query cannot be understood.
    """
    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as error:
        raise explain(text, error) from None
    if not tree.children:
        return None
    return _Builder().build(tree.children[0], _MAX_DEPTH)


@functools.cache
def _grammar() -> Lark:
    source = files("concurrent_log.collector.server.query.language").joinpath("grammar.lark").read_text("utf-8")
    return Lark(source, parser="lalr", maybe_placeholders=False)


class _Builder:
    """Builds the expression from the tree of the grammar."""

    def __init__(self) -> None:
        self._conditions = 0

    def build(self, branch: "_Branch | Token", depth: int) -> Expression:
        """Return the expression of a branch of the tree."""
        assert isinstance(branch, Tree)
        if depth == 0:
            raise QueryError(0, f"more than {_MAX_DEPTH} parentheses or negations stand in each other: use fewer")
        if branch.data == "negation":
            return Not(self.build(branch.children[0], depth - 1))
        if branch.data == "either":
            return _joined(AnyOf, [self.build(child, depth) for child in branch.children])
        if branch.data == "all":
            return _joined(AllOf, [self.build(child, depth) for child in branch.children])
        if branch.data == "together":
            return self._together(branch, depth - 1)
        return self._condition(branch)

    def _together(self, branch: _Branch, depth: int) -> Expression:
        """Join conditions that stand next to each other; of these, ``a=1 a=2`` means one of both."""
        found: list[Expression | FieldComparison] = []
        for child in branch.children:
            assert isinstance(child, Tree)
            if child.data != "comparison":
                found.append(self.build(child, depth))
                continue
            comparison = self._comparison(child)
            same = (each for each in found if isinstance(each, FieldComparison) and _is_same(each, comparison))
            other = next(same, None)
            if other is None:
                found.append(comparison)
            else:
                operands = (*other.operands, *comparison.operands)
                found[found.index(other)] = FieldComparison(other.key, "=", operands)
        parts = [each.expression() if isinstance(each, FieldComparison) else each for each in found]
        return _joined(AllOf, parts)

    def _condition(self, branch: _Branch) -> Expression:
        if branch.data == "comparison":
            return self._comparison(branch).expression()
        if branch.data == "colon":
            return self._colon(branch)
        operand = self._operand(branch.children[0])
        if branch.data == "has":
            return HasField(field_name(operand.text))
        return HasText(_pattern_within(operand))

    def _comparison(self, branch: _Branch) -> FieldComparison:
        token, *values = branch.children
        found = _SIGN.search(str(token))
        assert found is not None
        key = _unquoted(str(token)[: found.start()])
        operands = tuple(self._operand(value) for value in values)
        return FieldComparison(field_name(key), found[1].replace(":", "="), operands)

    def _colon(self, branch: _Branch) -> Expression:
        """Read ``key:value``, which may also be text with a colon, such as a host and a port."""
        comparison = self._comparison(branch)
        operand = comparison.operands[0]
        written = f"{branch.children[0]}{operand.text}"
        if operand.is_quoted or written.startswith('"') or is_column(comparison.key):
            return comparison.expression()
        return AnyOf((comparison.expression(), HasText(_pattern_within(replace(operand, text=written)))))

    def _operand(self, branch: "_Branch | Token") -> Operand:
        token = branch if isinstance(branch, Token) else branch.children[0]
        assert isinstance(token, Token)
        assert token.start_pos is not None
        self._conditions += 1
        if self._conditions > _MAX_CONDITIONS:
            raise QueryError(token.start_pos, f"the query has more than {_MAX_CONDITIONS} conditions: use fewer")
        return Operand(_unquoted(str(token)), token.type == "QUOTED", token.start_pos)


def _joined(kind: type[AllOf] | type[AnyOf], parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _is_same(one: FieldComparison, other: FieldComparison) -> bool:
    """Return whether two comparisons ask for values of the same field."""
    return one.sign == other.sign == "=" and one.key.lower() == other.key.lower()


def _pattern_within(operand: Operand) -> TextPattern:
    """Return the pattern for texts that contain a word, in which ``*`` is a wildcard, or a quoted text."""
    parts = [operand.text] if operand.is_quoted else operand.text.split("*")
    return TextPattern.containing(*(part for part in parts if part))


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text
