"""The one exception `lee` raises when what it was given cannot be used."""


class InputError(ValueError):
    """What was given cannot be used; the message is one line: what, where, what to do."""
