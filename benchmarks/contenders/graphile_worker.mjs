// Graphile Worker: as it comes, or tuned as its docs do for their own figures (worker.graphile.org/docs/performance).

import { makeWorkerUtils, run as work } from 'graphile-worker';
import { run, tomorrow } from './script.mjs';

const TUNED = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

await run({
  async install(dsn) {
    const utils = await makeWorkerUtils({ connectionString: dsn });
    await utils.migrate();
    await utils.release();
  },

  async producer(dsn) {
    const utils = await makeWorkerUtils({ connectionString: dsn, maxPoolSize: 1 });
    return {
      createOne: (payload) => utils.addJob('bench', payload),
      createBulk: (payloads, kind) => {
        const due = kind === 'deferred' ? { runAt: tomorrow() } : {};
        return utils.addJobs(payloads.map((payload) => ({ identifier: 'bench', payload, ...due })));
      },
    };
  },

  async drain(dsn, meter) {
    const taskList = { bench: async (payload) => meter.handled(payload.sent) };
    const settings = process.env.BENCH_TUNED ? TUNED : {};
    await work({ preset: { worker: { connectionString: dsn, ...settings } }, taskList });
  },
});
