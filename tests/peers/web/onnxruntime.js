// ONNX Runtime Web on its WebAssembly back end, with one thread.
import * as ort from "./ort/ort.wasm.min.mjs";
import { serve } from "./worker.js";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;

serve(
  async ({ architecture, size, onnx }) => {
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
    const session = await ort.InferenceSession.create(onnx, options);
    return { session, shape: [1, architecture.in_channels, size, size] };
  },
  async ({ session, shape }, input) => {
    const { logits } = await session.run({ image: new ort.Tensor("float32", input, shape) });
    return logits.data;
  },
);
