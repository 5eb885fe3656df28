// What a contender written for node is, and the process that it runs in. The protocol is that of script.py.
//
//   node NAME.mjs install │ producer │ worker

import { createInterface } from 'node:readline';

const REPORT_MS = 5;
const TEXT = 'x'.repeat(64);

// CLOCK_MONOTONIC in seconds, as Python's time.monotonic().
const now = () => Number(process.hrtime.bigint()) / 1e9;
const say = (fact) => process.stdout.write(JSON.stringify(fact) + '\n');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A library's own log goes to stderr, which is a file: stdout is the protocol's.
console.log = console.info = console.error;

class Meter {
  #handled = 0;
  #told = 0;
  #first = 0;
  #ms = [];

  handled(sent) {
    const at = now();
    this.#handled += 1;
    this.#first ||= at;
    if (sent) this.#ms.push((at - sent) * 1000);
  }

  keepTelling() {
    setInterval(() => {
      if (this.#handled === this.#told) return;
      say({ handled: this.#handled, first: this.#first, ms: this.#ms });
      this.#told = this.#handled;
      this.#ms = [];
    }, REPORT_MS);
  }
}

async function answer(producer, asked) {
  const began = now();
  if (asked.do === 'create_one_by_one') {
    for (let made = 0; made < asked.jobs; made += 1) await producer.createOne({ text: TEXT, sent: 0 });
  } else if (asked.do === 'create_bulk') {
    for (let done = 0; done < asked.jobs; done += asked.batch) {
      const length = Math.min(asked.batch, asked.jobs - done);
      await producer.createBulk(Array.from({ length }, () => ({ text: TEXT, sent: 0 })), asked.kind);
    }
  } else if (asked.do === 'pickup') {
    for (let made = 0; made < asked.jobs; made += 1) {
      await sleep((began + made / asked.per_s - now()) * 1000);
      await producer.createOne({ text: TEXT, sent: now() });
    }
  }
  return now() - began;
}

// script: install(dsn), producer(dsn) → { createOne(payload), createBulk(payloads, kind) }, drain(dsn, meter).
export async function run(script) {
  const [verb] = process.argv.slice(2);
  const dsn = process.env.BENCH_DSN;
  if (verb === 'install') {
    await script.install(dsn);
    process.exit(0);
  }
  const stdin = createInterface({ input: process.stdin });
  const lines = stdin[Symbol.asyncIterator]();
  if (verb === 'worker') {
    say({ ready: true });
    await lines.next();
    stdin.on('close', () => process.exit(1));
    const meter = new Meter();
    meter.keepTelling();
    await script.drain(dsn, meter);
  } else {
    const producer = await script.producer(dsn);
    say({ ready: true });
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      say({ seconds: await answer(producer, JSON.parse(line.value)) });
    }
    process.exit(0);
  }
}

export const tomorrow = () => new Date(Date.now() + 24 * 3600 * 1000);
