"""The in-memory store: entries, shards, databases, budget and probation.

`database.py` is what commands call, `store.py` keeps the books. Nothing here
knows of sockets, of the protocol, or of how a missing key is loaded.
"""

from antecache.server.store.database import Database, Resumed
from antecache.server.store.entry import Entry, Evidence, Origin
from antecache.server.store.store import Store

__all__ = ["Database", "Entry", "Evidence", "Origin", "Resumed", "Store"]
