// Runs jobs, one at a time: `bench.start(job)` begins one, `bench.poll()` says how far it is.

// One engine in a worker of its own.
class Engine {
  constructor(name) {
    const [script, build] = name.split(":");
    this.name = name;
    this.worker = new Worker(`${script}.js`, { type: "module", name: build });
    this.waiting = new Map();
    this.last = 0;
    this.worker.onmessage = ({ data }) => this.answer(data);
    this.worker.onerror = event => this.fail(event.message ?? "the worker's program could not be loaded");
    this.worker.onmessageerror = () => this.fail("a message could not be read");
    this.listens = this.expect(0);
  }

  // The answer to the message of this number.
  expect(id) {
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  answer(data) {
    const { resolve, reject } = this.waiting.get(data.id);
    this.waiting.delete(data.id);
    if (data.error) reject(new Error(`${this.name}: ${data.error}`));
    else resolve(data);
  }

  fail(message) {
    for (const { reject } of this.waiting.values()) reject(new Error(`${this.name}: ${message}`));
    this.waiting.clear();
  }

  async ask(message) {
    await this.listens;
    const id = ++this.last;
    const answer = this.expect(id);
    this.worker.postMessage({ ...message, id });
    return answer;
  }
}

const engines = new Map();
let state = {};

// Loads a network into engines, which it starts where needed.
async function load({ names, network }) {
  for (const name of names) {
    state.doing = `${name} loads`;
    if (!engines.has(name)) engines.set(name, new Engine(name));
    await engines.get(name).ask({ load: network });
  }
}

// Asks every engine in turn, round after round, so that whatever else the machine does meets all of them alike. Returns
// the milliseconds of each engine and how far its first logits lie from those of the first engine.
async function compare({ names, rounds }) {
  const ms = Object.fromEntries(names.map(name => [name, []]));
  const differences = {};
  for (let round = 0; round < rounds; round++) {
    let reference;
    for (const name of names) {
      state.doing = `${name} runs, round ${round}`;
      const answer = await engines.get(name).ask({ run: 1 });
      ms[name].push(answer.ms);
      reference ??= answer.logits;
      if (round === 0) differences[name] = difference(answer.logits, reference);
    }
  }
  return { ms, differences };
}

// How far logits lie apart, over the largest of the reference. JSON has no NaN: it becomes null.
function difference(logits, reference) {
  if (logits.length !== reference.length || reference.length === 0) return NaN;
  let [apart, largest] = [0, 0];
  for (let i = 0; i < reference.length; i++) {
    apart = Math.max(apart, Math.abs(logits[i] - reference[i]));
    largest = Math.max(largest, Math.abs(reference[i]));
  }
  return apart / largest;
}

// Slices of a volume, which groups of workers take one by one from a common queue; the groups in turn, round after
// round. Returns the milliseconds of each group, and a sum of each slice's logits.
async function volume({ groups, slices, rounds }) {
  const ms = groups.map(() => []);
  const sums = groups.map(() => new Array(slices));
  for (let round = 0; round < rounds; round++) {
    for (const [n, group] of groups.entries()) {
      state.doing = `${group.join(" and ")} work at a volume, round ${round}`;
      let next = 0;
      const work = async name => {
        while (next < slices) {
          const slice = next++;
          const { logits } = await engines.get(name).ask({ run: slice + 1 });
          sums[n][slice] = logits.reduce((sum, logit) => sum + logit, 0);
        }
      };
      const start = performance.now();
      await Promise.all(group.map(work));
      ms[n].push(performance.now() - start);
    }
  }
  return { ms, sums };
}

const jobs = { load, compare, volume };

window.bench = {
  start(job) {
    state = { doing: "starts" };
    const [[kind, parameters]] = Object.entries(job);
    jobs[kind](parameters).then(
      result => (state.result = result ?? {}),
      error => (state.error = String(error?.stack ?? error)),
    );
  },
  poll: () => state,
};
