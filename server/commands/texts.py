"""Text that clients send to be kept or shown back: names, and words in error messages."""

from __future__ import annotations

from antecache.server.errors import ClientError


def clean(name: bytes, refusal: str) -> bytes:
    """`name` if it has no spaces, newlines or other special characters; else raises `refusal`.

    As in Redis (`validateClientAttr`) only `!` to `~` may stand in a name, so that
    CLIENT LIST can be split at blanks.
    """
    if all(33 <= byte <= 126 for byte in name):
        return name
    raise ClientError(refusal)


def shown(arg: bytes) -> str:
    """An argument as error messages show it: 128 bytes of it at most, in one line."""
    text = arg[:128].decode("utf-8", "backslashreplace")
    return text.replace("\r", " ").replace("\n", " ")


def too_many(container: str, sub: bytes) -> ClientError:
    """Redis's refusal of a sub-command whose arguments its arity allows and it does not."""
    return ClientError(
        f"ERR unknown subcommand or wrong number of arguments for '{shown(sub)}'. "
        f"Try {container} HELP."
    )
