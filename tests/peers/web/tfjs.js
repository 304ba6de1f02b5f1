// TensorFlow.js on its WebAssembly back end, with one thread.
import { readSafetensors } from "./safetensors.js";
import { resnet, unet } from "./tfjs_networks.js";
import { serve } from "./worker.js";

// The packages bring modules that only a bundler can load, and scripts for the global scope.
for (const file of ["tf-core.min.js", "tf-backend-wasm.min.js"]) {
  (0, eval)(await (await fetch(`./tfjs/${file}`)).text());
}
tf.wasm.setWasmPaths(new URL("./tfjs/", import.meta.url).href);
tf.wasm.setThreadsCount(1);
await tf.setBackend("wasm");

serve(
  async ({ kind, architecture, size, folded }) => {
    const tensors = readSafetensors(await (await fetch(folded)).arrayBuffer());
    const network = { resnet, unet }[kind](tf, architecture, tensors);
    return { network, shape: [1, architecture.in_channels, size, size] };
  },
  ({ network, shape }, input) => {
    // This back end computes on [N, H, W, C] alone.
    const logits = tf.tidy(() => {
      const y = network(tf.transpose(tf.tensor(input, shape), [0, 2, 3, 1]));
      return y.rank === 4 ? tf.transpose(y, [0, 3, 1, 2]) : y;
    });
    const values = logits.dataSync();
    logits.dispose();
    return values;
  },
);
