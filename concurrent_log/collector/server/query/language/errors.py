"""`QueryError`: what cannot be understood in a query, and where."""

from lark import UnexpectedCharacters, UnexpectedInput

_QUOTE = "put text that is meant as it is into double quotes"


class QueryError(ValueError):
    """A query that cannot be understood.

    Args:
        position: The index of the character.
        reason: What is wrong, and the remedy.
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"character {position + 1}: {reason}")


def explain(text: str, error: UnexpectedInput) -> QueryError:
    """Return the error for a text that the grammar refuses."""
    position = error.pos_in_stream if error.pos_in_stream is not None else len(text)
    token = getattr(error, "token", None)
    if token is not None and token.type == "$END":
        return _incomplete(text, error)
    if isinstance(error, UnexpectedCharacters) and text[position] == '"':
        return QueryError(position, 'the quotation mark is not closed: end the text with "')
    if text[position] == ")":
        before = text[:position].rstrip()
        if before.endswith("("):
            return QueryError(position, f"there is nothing between the parentheses: {_QUOTE}")
        return QueryError(position, f"the parenthesis closes nothing: {_QUOTE}")
    return QueryError(position, f"{text[position : position + 10]!r} is not expected here: {_QUOTE}")


def _incomplete(text: str, error: UnexpectedInput) -> QueryError:
    expected: set[str] = getattr(error, "expected", set())
    end = len(text.rstrip())
    if "VALUE" in expected:
        return QueryError(end, 'a value is missing: for records without a value, use key=""')
    if "NAME" in expected:
        return QueryError(end, "the name of a field is missing after has:")
    if expected & {"RPAR", "COMMA"}:
        return QueryError(end, f"a parenthesis is not closed: add ), or {_QUOTE}")
    return QueryError(end, f"the query ends too early: add a condition, or {_QUOTE}")
