// node-redis: types, transactions with WATCH, scripts, pub/sub, and in RESP3 its client-side cache.
import assert from "node:assert/strict";
import { createClient, defineScript } from "redis";

const port = Number(process.env.ANTECACHE_PORT);
const RESP = Number(process.env.ANTECACHE_RESP);
const client = await createClient({ socket: { port }, RESP }).connect();
assert.equal(await client.set("k", "v", { EX: 100 }), "OK");
assert.equal(await client.get("k"), "v");
await client.hSet("h", { a: "1", b: "2" });
assert.deepEqual({ ...(await client.hGetAll("h")) }, { a: "1", b: "2" });
await client.zAdd("z", [{ score: 1, value: "one" }, { score: 2, value: "two" }]);
assert.deepEqual(await client.zRangeWithScores("z", 0, -1), [{ value: "one", score: 1 }, { value: "two", score: 2 }]);
assert.deepEqual(await client.multi().incr("n").incr("n").exec(), [1, 2]);
assert.equal(await client.eval("return ARGV[1]", { arguments: ["x"] }), "x");
const sub = await client.duplicate().connect();
const heard = new Promise((resolve) => sub.subscribe("news", resolve));
while ((await client.publish("news", "hello")) === 0) await new Promise((r) => setTimeout(r, 10));
assert.equal(await heard, "hello");
const keys = [];
for await (const batch of client.scanIterator({ MATCH: "?" })) keys.push(...batch);
assert.ok(keys.includes("k"));
if (RESP === 3) {
  const cached = await createClient({ socket: { port }, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 100 } }).connect();
  assert.equal(await cached.get("k"), "v");
  assert.equal(await cached.get("k"), "v");
  await client.set("k", "changed");
  for (let n = 0; n < 100 && (await cached.get("k")) !== "changed"; n++) await new Promise((r) => setTimeout(r, 10));
  assert.equal(await cached.get("k"), "changed");
}
process.exit(0);
