"""The query language: `parser` turns the text of a search into an expression for the store.

`grammar.lark` says what a query looks like, `fields` what a comparison of each field means, and `errors` explains what
cannot be understood. docs/query-language.md describes the language for its users.
"""
