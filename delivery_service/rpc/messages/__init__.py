"""Between the contract's messages and the application's values, a noun a module.

Parsers collect every violation of a request and raise FieldInvalid once.
"""
