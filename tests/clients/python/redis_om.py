# /// script
# dependencies = ["redis-om"]
# [tool.antecache]
# library = "redis-om"
# protocols = [2]
# ///
"""redis-om: a HashModel saved, read, changed, expired and deleted."""

import os

os.environ["REDIS_OM_URL"] = (
    f"redis://127.0.0.1:{os.environ['ANTECACHE_PORT']}?decode_responses=True"
)

from redis_om import HashModel, NotFoundError


class Customer(HashModel, index=True):
    name: str
    age: int


ada = Customer(name="Ada", age=36)
ada.save()
assert Customer.get(ada.pk) == ada
ada.age = 37
ada.save()
assert Customer.get(ada.pk).age == 37
ada.expire(100)
assert 0 < Customer.db().ttl(ada.key()) <= 100
assert ada.pk in set(Customer.all_pks())
Customer.delete(ada.pk)
try:
    Customer.get(ada.pk)
    raise SystemExit("it was deleted, and is still there")
except NotFoundError:
    pass
