// ONNX Runtime Web on its WebAssembly back end, with one thread.
import * as ort from "./ort/ort.wasm.min.mjs";
import { serve } from "./worker.js";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;

let previous;

serve(
  async ({ channels, size, onnx }) => {
    await previous?.release();
    previous = await ort.InferenceSession.create(onnx, {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
    });
    return { session: previous, shape: [1, channels, size, size] };
  },
  async ({ session, shape }, input) => {
    const { logits } = await session.run({ image: new ort.Tensor("float32", input, shape) });
    return logits.data;
  },
);
