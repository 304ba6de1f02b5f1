// The networks of shared/src/model in TensorFlow.js's operations, from tensors with batch norm folded in.
//
// Each function takes TensorFlow.js, an architecture and `{ name: { shape, data } }`, and returns the network as a
// function from `[1, H, W, C]` to logits.

const BLOCKS = { 18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3] };

export function resnet(tf, { depth, stem_pool }, tensors) {
  const { conv, tensor } = layers(tf, tensors);
  const bottleneck = depth >= 50;
  const blocks = BLOCKS[depth].flatMap((count, stage) =>
    Array.from({ length: count }, (_, i) => {
      const name = `layer${stage + 1}.${i}`;
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const strides = bottleneck ? [1, stride, 1] : [stride, 1];
      const inner = strides.map((stride, n) =>
        conv(`${name}.conv${n + 1}`, stride, n + 1 < strides.length ? "relu" : "linear"),
      );
      const skip = `${name}.downsample.0.W` in tensors ? conv(`${name}.downsample.0`, stride, "linear") : x => x;
      return x => tf.relu(tf.add(inner.reduce((y, layer) => layer(y), x), skip(x)));
    }),
  );
  const stem = conv("conv1", 2, "relu");
  const weight = tf.transpose(tensor("fc.W"));
  const bias = tensor("fc.B");
  return image => {
    let x = stem(image);
    if (stem_pool) x = tf.maxPool(x, 3, 2, 1, "floor");
    for (const block of blocks) x = block(x);
    return tf.add(tf.matMul(tf.mean(x, [1, 2]), weight), bias);
  };
}

export function unet(tf, { widths }, tensors) {
  const { conv, tensor } = layers(tf, tensors);
  const pair = name => {
    const [first, second] = [1, 2].map(n => conv(`${name}.conv${n}`, 1, "relu"));
    return x => second(first(x));
  };
  const down = widths.map((_, i) => pair(`down.${i}`));
  const up = widths.slice(1).map((_, i) => {
    const [weight, bias] = [tf.transpose(tensor(`up.${i}.upconv.W`), [2, 3, 1, 0]), tensor(`up.${i}.upconv.B`)];
    const convs = pair(`up.${i}`);
    return (x, skip) => {
      const [n, h, w] = skip.shape;
      const upsampled = tf.conv2dTranspose(x, weight, [n, h, w, weight.shape[2]], 2, 0);
      return convs(tf.concat([tf.add(upsampled, bias), skip], 3));
    };
  });
  const head = conv("head", 1, "linear");
  return image => {
    const skips = [];
    let x = image;
    down.forEach((level, i) => {
      if (i > 0) {
        skips.push(x);
        x = tf.maxPool(x, 2, 2, 0);
      }
      x = level(x);
    });
    for (const level of up) x = level(x, skips.pop());
    return head(x);
  };
}

function layers(tf, tensors) {
  const tensor = name => tf.tensor(tensors[name].data, tensors[name].shape);
  // Bias and activation are fused, as this back end does best.
  const conv = (name, strides, activation) => {
    const filter = tf.transpose(tensor(`${name}.W`), [2, 3, 1, 0]); // [C_out, C_in, k, k] to [k, k, C_in, C_out]
    const [bias, pad] = [tensor(`${name}.B`), filter.shape[0] >> 1];
    return x => tf.fused.conv2d({ x, filter, strides, pad, bias, activation });
  };
  return { conv, tensor };
}
