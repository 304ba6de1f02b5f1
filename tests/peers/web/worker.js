// What both engines' workers have in common: the messages, the input and the clock.

// Numbers in -1..1 from a linear congruential generator: the same for both engines.
function noise(length) {
  const values = new Float32Array(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

// `load` makes a network of a case; `run` takes the network and its input, and returns the logits.
export function serve(load, run) {
  let network, input;
  onmessage = async ({ data }) => {
    try {
      if (data.load) {
        const { channels, size } = data.load;
        input = noise(channels * size * size);
        network = await load(data.load);
        postMessage({});
      } else {
        const start = performance.now();
        const logits = await run(network, input);
        const ms = performance.now() - start;
        postMessage({ ms, logits: Array.from(logits) });
      }
    } catch (error) {
      postMessage({ error: String(error?.stack ?? error) });
    }
  };
}
