// Keyv: values with a time to live in a namespace, cleared by scanning.
import assert from "node:assert/strict";
import KeyvRedis from "@keyv/redis";
import Keyv from "keyv";

const store = new KeyvRedis(`redis://127.0.0.1:${process.env.ANTECACHE_PORT}`);
const keyv = new Keyv({ store, namespace: "app" });
await keyv.set("k", { a: [1, 2] }, 60000);
assert.deepEqual(await keyv.get("k"), { a: [1, 2] });
assert.equal(await keyv.has("k"), true);
await keyv.set("short", 1, 50);
await new Promise((resolve) => setTimeout(resolve, 100));
assert.equal(await keyv.get("short"), undefined);
await keyv.clear();
assert.equal(await keyv.get("k"), undefined);
process.exit(0);
