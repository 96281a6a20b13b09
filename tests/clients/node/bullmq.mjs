// BullMQ: jobs, delays, priorities, retries, a flow of parent and children, all scripts in Lua.
import assert from "node:assert/strict";
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";

const connection = { host: "127.0.0.1", port: Number(process.env.ANTECACHE_PORT), maxRetriesPerRequest: null };
const queue = new Queue("jobs", { connection });
const events = new QueueEvents("jobs", { connection });
await events.waitUntilReady();
const worker = new Worker(
  "jobs",
  async (job) => {
    if (job.name === "flaky" && job.attemptsMade < 2) throw new Error("not yet");
    if (job.name === "parent") return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
    return (job.data.n ?? 0) * 2;
  },
  { connection, concurrency: 4 },
);
const jobs = await queue.addBulk(Array.from({ length: 20 }, (_, n) => ({ name: "double", data: { n } })));
const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 30000)));
assert.deepEqual(results, Array.from({ length: 20 }, (_, n) => 2 * n));
const later = await queue.add("double", { n: 5 }, { delay: 300 });
assert.equal(await later.waitUntilFinished(events, 30000), 10);
const flaky = await queue.add("flaky", { n: 1 }, { attempts: 3, backoff: { type: "fixed", delay: 50 } });
assert.equal(await flaky.waitUntilFinished(events, 30000), 2);
const flow = await new FlowProducer({ connection }).add({
  name: "parent",
  queueName: "jobs",
  children: [1, 2, 3].map((n) => ({ name: "child", queueName: "jobs", data: { n } })),
});
assert.equal(await flow.job.waitUntilFinished(events, 30000), 12);
assert.equal((await queue.getJobCounts("completed")).completed, 26);
await worker.close();
process.exit(0);
