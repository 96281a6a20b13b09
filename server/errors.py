"""Every message a client can see, and the exceptions that carry them.

A command handler raises `ClientError(WRONGTYPE)`; dispatch alone catches it and
encodes it. Texts are Redis's where Redis has one, to the letter: client
libraries compare them.
"""

from __future__ import annotations


class ClientError(Exception):
    """An error reply: `text` starts with its code (`ERR`, `WRONGTYPE` ...)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ProtocolError(Exception):
    """A frame that Redis refuses: the reply is `-ERR Protocol error: <text>`, then close."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ConfigError(Exception):
    """A setting that cannot be used: names the file or flag, the key and the reason."""


WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_INTEGER = "ERR value is not an integer or out of range"
NOT_FLOAT = "ERR value is not a valid float"
OVERFLOW = "ERR increment or decrement would overflow"
NAN_OR_INFINITY = "ERR increment would produce NaN or Infinity"
NO_SUCH_KEY = "ERR no such key"
OUT_OF_RANGE = "ERR offset is out of range"
STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
NOT_POSITIVE = "ERR value is out of range, must be positive"
INDEX_OUT_OF_RANGE = "ERR index out of range"
DB_OUT_OF_RANGE = "ERR DB index is out of range"
HASH_NOT_INTEGER = "ERR hash value is not an integer"
HASH_NOT_FLOAT = "ERR hash value is not a float"
OOM = "OOM command not allowed when used memory > 'maxmemory'."
NOAUTH = "NOAUTH Authentication required."
WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled."
NOPROTO = "NOPROTO unsupported protocol version"
EXECABORT = "EXECABORT Transaction discarded because of previous errors."
INTERNAL = "ERR internal error"
PROTECTED = (
    "DENIED antecache is running in protected mode because no password is set for the default "
    "user. In this mode connections are only accepted from the loopback interface. To accept "
    "others, set a password (requirepass), or set protected-mode to no if the network is trusted."
)
MAX_CLIENTS = "ERR max number of clients reached"


def wrong_arity(name: str) -> str:
    """Redis's reply to a wrong number of arguments; `name` as in the table (`config|get`)."""
    return f"ERR wrong number of arguments for '{name.lower()}' command"


def invalid_expire(name: str) -> str:
    """Redis's reply to an expire time that is zero, negative or overflows."""
    return f"ERR invalid expire time in '{name.lower()}' command"


def unknown_command(argv: list[bytes]) -> str:
    """Redis's reply to a name that is in no table: the name, then the start of the arguments."""
    name = argv[0][:128].decode("utf-8", "backslashreplace")
    shown = ""
    for arg in argv[1:]:
        if len(shown) >= 128:
            break
        shown += f"'{arg[: 128 - len(shown)].decode('utf-8', 'backslashreplace')}' "
    return _one_line(f"ERR unknown command '{name}', with args beginning with: {shown}")


def unknown_subcommand(container: str, sub: bytes) -> str:
    """Redis's reply to an unknown sub-command or one with a wrong number of arguments."""
    name = sub[:128].decode("utf-8", "backslashreplace")
    return _one_line(f"ERR unknown subcommand '{name}'. Try {container.upper()} HELP.")


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
