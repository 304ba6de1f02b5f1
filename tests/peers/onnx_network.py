"""Writes a network as an ONNX file, batch norm folded into the convolutions, and the folded tensors beside it.

Needs the packages of onnx.txt. `cargo xtask bench web` runs it.

    onnx_network.py --network '{"kind": "resnet", "size": 224, "outputs": 1000, "architecture":
        {"depth": 50, "width": 64, "in_channels": 3, "stem_pool": true}}' \
        --weights resnet.safetensors --onnx resnet.onnx --folded resnet-folded.safetensors [--random SEED]
    onnx_network.py --network '{"kind": "unet", "size": 240, "outputs": 4, "architecture":
        {"in_channels": 1, "n_classes": 4, "widths": [32, 64, 128, 256]}}' ...

With --random the weights are drawn first, and written to the file that is otherwise read. The networks and the names of
their tensors are those of shared/src/model. The folded tensors are `NAME.W` and `NAME.B` of every layer, in 32 bits, for
peers that read no ONNX.
"""

import argparse
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

BN_EPS = 1e-5
BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]}


class RandomWeights(dict):
    """Tensors that come into being when the network asks for them."""

    def __init__(self, seed):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def tensor(self, name, shape, scale, mean=0.0):
        self[name] = (mean + scale * self.rng.standard_normal(shape)).astype(np.float32)
        return self[name]


class StoredWeights(dict):
    """Tensors of a safetensors file: 32 or 16 bits, or 8 bits with a scale per output channel."""

    def __init__(self, path):
        stored = load_file(path)
        for name, values in stored.items():
            if name.endswith(".scale") and name.removesuffix(".scale") in stored:
                continue
            if values.dtype == np.int8:
                scale = stored[name + ".scale"].astype(np.float32)
                values = values * scale.reshape([-1] + [1] * (values.ndim - 1))
            self[name] = values.astype(np.float32)

    def tensor(self, name, shape, scale, mean=0.0):
        if self[name].shape != tuple(shape):
            raise SystemExit(f"{name} has the shape {self[name].shape}, the architecture needs {tuple(shape)}")
        return self[name]


class Graph:
    """An ONNX graph that grows node by node; every method returns the name of its output."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def constant(self, name, values):
        self.constants[name] = np.ascontiguousarray(values, np.float32)
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def relu(self, x):
        return self.node("Relu", [x], f"{x}.relu")

    def conv_bn(self, x, conv, bn, c_in, c_out, kernel, stride, gain=1.0):
        """A convolution without bias and the batch norm behind it: W' = W g / s, b' = b - m g / s."""
        he = np.sqrt(2.0 / (c_in * kernel * kernel))
        weight = self.weights.tensor(f"{conv}.weight", [c_out, c_in, kernel, kernel], he)
        gamma = self.weights.tensor(f"{bn}.weight", [c_out], 0.02, gain)
        beta = self.weights.tensor(f"{bn}.bias", [c_out], 0.02)
        mean = self.weights.tensor(f"{bn}.running_mean", [c_out], 0.02)
        var = self.weights.tensor(f"{bn}.running_var", [c_out], 0.02, 1.0)
        factor = gamma / np.sqrt(var + BN_EPS)
        inputs = [
            x,
            self.constant(f"{conv}.W", weight * factor[:, None, None, None]),
            self.constant(f"{conv}.B", beta - mean * factor),
        ]
        pads = [kernel // 2] * 4
        return self.node("Conv", inputs, conv, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def block(self, x, name, c_in, width, c_out, stride, bottleneck):
        """A residual block; in random networks its branch is kept small, or the sums would grow with the depth."""
        if bottleneck:
            y = self.relu(self.conv_bn(x, f"{name}.conv1", f"{name}.bn1", c_in, width, 1, 1))
            y = self.relu(self.conv_bn(y, f"{name}.conv2", f"{name}.bn2", width, width, 3, stride))
            y = self.conv_bn(y, f"{name}.conv3", f"{name}.bn3", width, c_out, 1, 1, gain=0.25)
        else:
            y = self.relu(self.conv_bn(x, f"{name}.conv1", f"{name}.bn1", c_in, width, 3, stride))
            y = self.conv_bn(y, f"{name}.conv2", f"{name}.bn2", width, c_out, 3, 1, gain=0.25)
        if stride != 1 or c_in != c_out:
            x = self.conv_bn(x, f"{name}.downsample.0", f"{name}.downsample.1", c_in, c_out, 1, stride)
        return self.relu(self.node("Add", [y, x], f"{name}.add"))

    def resnet(self, x, architecture, outputs):
        depth, width = architecture["depth"], architecture["width"]
        bottleneck = depth >= 50
        x = self.relu(self.conv_bn(x, "conv1", "bn1", architecture["in_channels"], width, 7, 2))
        if architecture["stem_pool"]:
            x = self.node("MaxPool", [x], "maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        c_in = width
        for stage, blocks in enumerate(BLOCKS[depth]):
            inner = width << stage
            c_out = inner * 4 if bottleneck else inner
            for i in range(blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                x = self.block(x, f"layer{stage + 1}.{i}", c_in, inner, c_out, stride, bottleneck)
                c_in = c_out
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x], "avgpool")], "flatten")
        weight = self.weights.tensor("fc.weight", [outputs, c_in], 1.0 / np.sqrt(c_in))
        bias = self.weights.tensor("fc.bias", [outputs], 0.02)
        inputs = [x, self.constant("fc.W", weight), self.constant("fc.B", bias)]
        return self.node("Gemm", inputs, "logits", transB=1)

    def double_conv(self, x, name, c_in, c_out):
        for i in (1, 2):
            x = self.relu(self.conv_bn(x, f"{name}.conv{i}", f"{name}.bn{i}", c_in, c_out, 3, 1))
            c_in = c_out
        return x

    def conv_bias(self, kind, x, name, shape, fan_in, **attributes):
        """A convolution, or a transposed one, with a bias of its own."""
        c_out = shape[1] if kind == "ConvTranspose" else shape[0]
        weight = self.weights.tensor(f"{name}.weight", shape, np.sqrt(1.0 / fan_in))
        bias = self.weights.tensor(f"{name}.bias", [c_out], 0.02)
        inputs = [x, self.constant(f"{name}.W", weight), self.constant(f"{name}.B", bias)]
        return self.node(kind, inputs, name, **attributes)

    def unet(self, x, architecture, outputs):
        widths, c_in, skips = architecture["widths"], architecture["in_channels"], []
        for i, width in enumerate(widths):
            if i > 0:
                skips.append(x)
                x = self.node("MaxPool", [x], f"down.{i}.pool", kernel_shape=[2, 2], strides=[2, 2])
            x = self.double_conv(x, f"down.{i}", c_in, width)
            c_in = width
        for i, width in enumerate(reversed(widths[:-1])):
            name, shape = f"up.{i}", [c_in, width, 2, 2]
            x = self.conv_bias("ConvTranspose", x, f"{name}.upconv", shape, c_in, kernel_shape=[2, 2], strides=[2, 2])
            x = self.node("Concat", [x, skips.pop()], f"{name}.concat", axis=1)
            x = self.double_conv(x, name, 2 * width, width)
            c_in = width
        head = self.conv_bias("Conv", x, "head", [outputs, c_in, 1, 1], c_in, kernel_shape=[1, 1])
        return self.node("Identity", [head], "logits")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", type=json.loads, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--folded")
    parser.add_argument("--random", type=int, metavar="SEED")
    args = parser.parse_args()

    weights = StoredWeights(args.weights) if args.random is None else RandomWeights(args.random)
    graph = Graph(weights)
    architecture, size, outputs = (args.network[key] for key in ("architecture", "size", "outputs"))
    if args.network["kind"] == "resnet":
        logits, shape = graph.resnet("image", architecture, outputs), [1, outputs]
    else:
        logits, shape = graph.unet("image", architecture, outputs), [1, outputs, size, size]
    image = [1, architecture["in_channels"], size, size]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            args.network["kind"],
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
            [helper.make_tensor_value_info(logits, TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(values, name) for name, values in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    onnx.save(model, args.onnx)
    if args.random is not None:
        save_file(dict(weights), args.weights)
    if args.folded is not None:
        save_file(graph.constants, args.folded)


if __name__ == "__main__":
    main()
