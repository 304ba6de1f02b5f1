"""One training step after the other in PyTorch: the peer of `cargo xtask bench train` and `bench gpu`.

    train_step.py CASE THREADS               on the CPU; CASE is resnet50-224 or unet-240
    train_step.py CASE PRECISION BATCH       on the first GPU; PRECISION is f32, tf32 or bf16

Every line on standard input asks for one step; the answer is a line of JSON with the loss and the milliseconds. When
the input ends, a last line tells the process's peak memory in bytes: the resident memory, or on a GPU the most that
tensors and libraries had there after the second step.

On a GPU the network is what PyTorch is fastest with: channels last, and cuDNN's algorithms tried out beforehand.
"""

import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
import torchvision
from torch import nn


def double(c_in, c_out):
    layers = []
    for c in (c_in, c_out):
        layers += [nn.Conv2d(c, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """The network of shared/src/model/unet.rs."""

    def __init__(self, c_in, n_classes, widths):
        super().__init__()
        pairs = list(zip(widths, widths[1:]))
        self.down = nn.ModuleList(double(a, b) for a, b in zip([c_in, *widths], widths))
        self.upconv = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in reversed(pairs))
        self.up = nn.ModuleList(double(2 * a, a) for a, _ in reversed(pairs))
        self.head = nn.Conv2d(widths[0], n_classes, 1)

    def forward(self, x):
        skips = []
        for i, level in enumerate(self.down):
            x = level(F.max_pool2d(x, 2) if i else x)
            skips.append(x)
        skips.pop()
        for upconv, level in zip(self.upconv, self.up):
            x = level(torch.cat([upconv(x), skips.pop()], 1))
        return self.head(x)


def case(name, batch, device):
    """A network, its input, and its loss."""
    if name == "resnet50-224":
        net, x = torchvision.models.resnet50(num_classes=14), torch.randn(batch or 8, 3, 224, 224)
        targets = (torch.rand(len(x), 14) > 0.8).float().to(device)
        return net.to(device), x.to(device), lambda y: F.binary_cross_entropy_with_logits(y, targets)
    if name == "unet-240":
        net, x = UNet(4, 2, [32, 64, 128, 256]), torch.randn(batch or 4, 4, 240, 240)
        targets = (torch.rand(len(x), 240, 240) > 0.9).long().to(device)
        return net.to(device), x.to(device), lambda y: F.cross_entropy(y, targets)
    raise SystemExit(f"{name} is no case: resnet50-224 or unet-240")


def main():
    name, how, *batch = sys.argv[1:]
    on_gpu = how in ("f32", "tf32", "bf16")
    torch.manual_seed(0)
    if on_gpu:
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = how != "f32"
    else:
        torch.set_num_threads(int(how))
    net, x, loss_of = case(name, int(batch[0]) if batch else None, "cuda" if on_gpu else "cpu")
    if on_gpu:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    net.train()
    adam = torch.optim.Adam(net.parameters(), lr=1e-4)
    print(json.dumps({"ready": torch.__version__}), flush=True)
    for step, _line in enumerate(sys.stdin):
        if on_gpu and step == 2:
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        adam.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=how == "bf16"):
            loss = loss_of(net(x))
        loss.backward()
        adam.step()
        if on_gpu:
            torch.cuda.synchronize()
        ms = 1e3 * (time.perf_counter() - start)
        print(json.dumps({"loss": loss.item(), "ms": ms}), flush=True)
    resident = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else resident}), flush=True)


if __name__ == "__main__":
    main()
