"""Golden numbers of the trainable layers, computed by PyTorch: outputs and all gradients.

Usage: python layers.py  (writes layers.json beside this file; versions: requirements.txt)

Inputs are drawn as in networks.py, from the case's name. The objective is the sum of the output, weighted with a draw.
Tensors are written with channels last, as the layers compute; weights as PyTorch has them.
"""

import json
import math

import torch
import torch.nn.functional as F

from networks import HERE, uniform


def draw(case: str, name: str, shape: tuple) -> torch.Tensor:
    return torch.from_numpy(uniform(f"{case}/{name}", math.prod(shape))).reshape(shape)


def first(x: torch.Tensor) -> torch.Tensor:
    """Channels last to PyTorch's channels first."""
    return x.movedim(-1, 1)


def last(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(1, -1)


def batch_norm(x, weight, bias):
    return F.batch_norm(first(x), None, None, weight, bias, training=True)


CASES = {
    # name: (shapes of the inputs, function that gives channels first)
    "conv2d": ([(2, 7, 6, 3), (5, 3, 3, 3), (5,)], lambda x, w, b: F.conv2d(first(x), w, b, padding=1)),
    "conv2d-winograd": ([(1, 9, 7, 16), (16, 16, 3, 3), (16,)], lambda x, w, b: F.conv2d(first(x), w, b, padding=1)),
    "conv2d-stride": ([(2, 7, 9, 4), (6, 4, 3, 3), (6,)], lambda x, w, b: F.conv2d(first(x), w, b, stride=2, padding=1)),
    "conv2d-stem": ([(1, 13, 14, 3), (8, 3, 7, 7), (8,)], lambda x, w, b: F.conv2d(first(x), w, b, stride=2, padding=3)),
    "conv1d": ([(3, 11, 4), (6, 4, 5)], lambda x, w: F.conv1d(first(x), w, stride=2, padding=2)),
    "conv-transpose2d": ([(2, 4, 3, 6), (6, 4, 2, 2), (4,)], lambda x, w, b: F.conv_transpose2d(first(x), w, b, stride=2)),
    "batch-norm": ([(3, 5, 4, 6), (6,), (6,)], batch_norm),
    "batch-norm-relu": ([(3, 5, 4, 6), (6,), (6,)], lambda x, w, b: F.relu(batch_norm(x, w, b))),
    "batch-norm-add-relu": (
        [(3, 5, 4, 6), (6,), (6,), (3, 5, 4, 6)],
        lambda x, w, b, skip: F.relu(batch_norm(x, w, b) + first(skip)),
    ),
    "max-pool": ([(2, 7, 8, 3)], lambda x: F.max_pool2d(first(x), 3, stride=2, padding=1)),
    "avg-pool": ([(2, 6, 9, 3)], lambda x: F.avg_pool2d(first(x), 3, stride=3)),
    "avg-pool-padded": ([(1, 7, 5, 2)], lambda x: F.avg_pool2d(first(x), 3, stride=2, padding=1, count_include_pad=False)),
    "upsample-nearest": ([(2, 3, 4, 3)], lambda x: F.interpolate(first(x), scale_factor=2, mode="nearest")),
    "upsample-bilinear": ([(2, 3, 4, 3)], lambda x: F.interpolate(first(x), scale_factor=3, mode="bilinear")),
}


def main():
    golden = {}
    for case, (shapes, layer) in CASES.items():
        inputs = [draw(case, f"input{i}", shape).requires_grad_() for i, shape in enumerate(shapes)]
        output = last(layer(*inputs))
        (output * draw(case, "objective", tuple(output.shape))).sum().backward()
        golden[case] = {
            "shapes": [list(shape) for shape in shapes],
            "output_shape": list(output.shape),
            "output": output.flatten().tolist(),
            "gradients": [x.grad.flatten().tolist() for x in inputs],
        }
    rounded = json.loads(json.dumps(golden), parse_float=lambda text: float(f"{float(text):.8g}"))
    (HERE / "layers.json").write_text(json.dumps(rounded, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
