// This project's engine, without the page around it.
import init, { Network } from "./engine/bench_engine.js";
import { serve } from "./worker.js";

let previous;

serve(
  async ({ architecture, size, outputs, weights }) => {
    await init();
    previous?.free();
    const bytes = new Uint8Array(await (await fetch(weights)).arrayBuffer());
    previous = new Network(architecture, size, outputs, bytes);
    return previous;
  },
  (network, input) => network.run(input),
);
