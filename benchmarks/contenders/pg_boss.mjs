// pg-boss, as its docs advise for throughput and latency: batches, fetched on without a pause while they come full, LISTEN.

import { PgBoss } from 'pg-boss';
import { run, tomorrow } from './script.mjs';

const QUEUE = 'bench';
const WORK = { batchSize: 1000, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };

async function started(dsn, options) {
  const boss = new PgBoss({ connectionString: dsn, useListenNotify: true, ...options });
  boss.on('error', (error) => console.error(error));
  await boss.start();
  return boss;
}

await run({
  async install(dsn) {
    const boss = await started(dsn, {});
    await boss.createQueue(QUEUE, { notify: true });
    await boss.stop({ graceful: false });
  },

  async producer(dsn) {
    const boss = await started(dsn, { max: 1, supervise: false, schedule: false });
    return {
      createOne: (payload) => boss.send(QUEUE, payload),
      createBulk: (payloads, kind) => {
        const due = kind === 'deferred' ? { startAfter: tomorrow() } : {};
        return boss.insert(QUEUE, payloads.map((data) => ({ data, ...due })));
      },
    };
  },

  async drain(dsn, meter) {
    const boss = await started(dsn, {});
    await boss.work(QUEUE, WORK, async (jobs) => {
      for (const job of jobs) meter.handled(job.data.sent);
    });
  },
});
