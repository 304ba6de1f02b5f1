"""One inference after the other in ONNX Runtime, on one thread: the peer of `cargo xtask bench infer`.

    infer.py ONNX_FILE

Every line on standard input asks for one run; the answer is a line of JSON with the milliseconds and some of the logits.
When the input ends, a last line says so. The image is the one of shared/examples/infer.rs.
"""

import json
import sys
import time

import numpy as np
import onnxruntime as ort

LOGITS = 2048


def image(shape):
    """Values in -1..1 that look random: the multiples of a large number, without their carry."""
    i = np.arange(np.prod(shape), dtype=np.uint64)
    values = (i * np.uint64(2654435761)) % np.uint64(1 << 32)
    return (values.astype(np.float64) / 2.0**31 - 1.0).astype(np.float32).reshape(shape)


def main():
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    feed = {source.name: image(source.shape)}
    print(json.dumps({"ready": ort.__version__}), flush=True)
    for _line in sys.stdin:
        start = time.perf_counter()
        (logits,) = session.run(None, feed)
        ms = 1e3 * (time.perf_counter() - start)
        logits = logits.ravel()
        some = logits[:: -(-len(logits) // LOGITS)]
        print(json.dumps({"ms": ms, "logits": some.tolist()}), flush=True)
    print(json.dumps({"end": True}), flush=True)


if __name__ == "__main__":
    main()
