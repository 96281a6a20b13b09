// rate-limiter-flexible: points, blocking and rewards, counted by a script.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";

const storeClient = new Redis(Number(process.env.ANTECACHE_PORT), { enableOfflineQueue: true });
const limiter = new RateLimiterRedis({ storeClient, points: 3, duration: 60, blockDuration: 60 });
for (let left = 2; left >= 0; left--) assert.equal((await limiter.consume("user")).remainingPoints, left);
await assert.rejects(limiter.consume("user"), (refusal) => refusal.msBeforeNext > 50000);
assert.equal((await limiter.get("user")).consumedPoints, 4);
await limiter.delete("user");
assert.equal((await limiter.consume("user", 2)).remainingPoints, 1);
assert.equal((await limiter.reward("user")).consumedPoints, 1);
process.exit(0);
