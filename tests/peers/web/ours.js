// This project's engine, without the page around it. The worker's name says which build.
import { serve } from "./worker.js";

const { default: init, Network } = await import(`./engine-${self.name}/bench_engine.js`);

serve(
  async network => {
    await init();
    const bytes = new Uint8Array(await (await fetch(network.weights)).arrayBuffer());
    return new Network(JSON.stringify(network), bytes);
  },
  (network, input) => network.run(input),
);
