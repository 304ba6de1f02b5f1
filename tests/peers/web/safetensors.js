// Reads 32-bit tensors of a safetensors file: `{ name: { shape, data } }`.
export function readSafetensors(buffer) {
  const headerLength = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, headerLength)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (dtype !== "F32") throw new Error(`${name} is ${dtype}, not F32`);
    const [begin, end] = data_offsets.map(offset => 8 + headerLength + offset);
    tensors[name] = { shape, data: new Float32Array(buffer.slice(begin, end)) };
  }
  return tensors;
}
