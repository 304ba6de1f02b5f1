// What all engines' workers have in common: the messages, the inputs and the clock.

// Numbers in -1..1 from a linear congruential generator: the same for all engines.
function noise(length, seed) {
  const values = new Float32Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

// `load` makes a network of a case; `run` takes the network and its input, and returns the logits.
//
// Messages: `{ load }` is answered when the network is there; `{ run: seed }` with the logits for the image of this seed
// and the milliseconds that they took. Every answer has the number of its message; the answer 0 says that the worker
// listens.
export function serve(load, run) {
  let network, length;
  onmessage = async ({ data }) => {
    try {
      if (data.load) {
        length = data.load.architecture.in_channels * data.load.size ** 2;
        network = await load(data.load);
        postMessage({ id: data.id });
      } else {
        const input = noise(length, data.run);
        const start = performance.now();
        const result = await run(network, input);
        const ms = performance.now() - start;
        const logits = new Float32Array(result);
        postMessage({ id: data.id, ms, logits }, [logits.buffer]);
      }
    } catch (error) {
      postMessage({ id: data.id, error: String(error?.stack ?? error) });
    }
  };
  postMessage({ id: 0 });
}
