"""The two roots of errors: a user's mistake, and a bug of ours."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right; the message says what and how."""


class InternalError(Exception):
    """A bug in vla_ros; the message says which assumption did not hold."""


class ConfigError(UserError):
    """A wrong value in a file or a parameter.

    ``where`` is the file or the source of parameters, ``key`` the dotted path within it,
    ``value`` what was found, ``allowed`` what would be right.
    """

    def __init__(self, where: str, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{where}: {key} = {value!r} is not allowed: {allowed}")
        self.where = where
        self.key = key
        self.value = value
        self.allowed = allowed
