# /// script
# dependencies = ["valkey-glide"]
# [tool.antecache]
# library = "valkey-glide"
# protocols = [2, 3]
# ///
"""valkey-glide: the client with a core in Rust; batches, scripts and hashes."""

import asyncio
import os

from glide import (
    Batch,
    GlideClient,
    GlideClientConfiguration,
    NodeAddress,
    ProtocolVersion,
    Script,
)

port, protocol = int(os.environ["ANTECACHE_PORT"]), int(os.environ["ANTECACHE_RESP"])


async def main() -> None:
    client = await GlideClient.create(
        GlideClientConfiguration(
            [NodeAddress("127.0.0.1", port)],
            protocol=ProtocolVersion.RESP3 if protocol == 3 else ProtocolVersion.RESP2,
            client_name="glide",
            request_timeout=5000,
        )
    )
    assert await client.set("k", "v") == "OK" and await client.get("k") == b"v"
    assert await client.hset("h", {"a": "1", "b": "2"}) == 2
    assert await client.hgetall("h") == {b"a": b"1", b"b": b"2"}
    batch = Batch(is_atomic=True)
    batch.incr("n")
    batch.incrby("n", 9)
    assert await client.exec(batch, raise_on_error=True) == [1, 10]
    assert await client.invoke_script(Script("return ARGV[1]"), args=["x"]) == b"x"
    assert await client.zadd("z", {"one": 1.5}) == 1 and await client.zscore("z", "one") == 1.5
    await client.close()


asyncio.run(main())
