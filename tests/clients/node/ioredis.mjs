// ioredis: pipelines, transactions, scripts as commands, pub/sub, streams, scanning.
import assert from "node:assert/strict";
import { Redis } from "ioredis";

const redis = new Redis(Number(process.env.ANTECACHE_PORT));
const sub = redis.duplicate();
assert.equal(await redis.set("k", "v", "EX", 100), "OK");
assert.equal(await redis.get("k"), "v");
assert.deepEqual(await redis.mget("k", "none"), ["v", null]);
await redis.hset("h", { a: 1, b: 2 });
assert.deepEqual(await redis.hgetall("h"), { a: "1", b: "2" });
assert.deepEqual(await redis.pipeline().incr("n").incr("n").exec(), [[null, 1], [null, 2]]);
assert.deepEqual(await redis.multi().set("a", 1).get("a").exec(), [[null, "OK"], [null, "1"]]);
redis.defineCommand("multiply", { numberOfKeys: 1, lua: "return redis.call('GET', KEYS[1]) * ARGV[1]" });
assert.equal(await redis.multiply("n", 21), 42);
await sub.subscribe("news");
const message = new Promise((resolve) => sub.on("message", (channel, text) => resolve([channel, text])));
await redis.publish("news", "hello");
assert.deepEqual(await message, ["news", "hello"]);
await redis.xadd("s", "*", "f", "v");
assert.equal((await redis.xread("STREAMS", "s", "0"))[0][1][0][1][1], "v");
const popped = sub.duplicate().blpop("queue", 10);
await redis.rpush("queue", "job");
assert.deepEqual(await popped, ["queue", "job"]);
const found = [];
for await (const keys of redis.scanStream({ match: "?" })) found.push(...keys);
assert.ok(found.includes("k") && found.includes("h"));
process.exit(0);
