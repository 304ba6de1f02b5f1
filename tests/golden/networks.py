"""Golden numbers of the networks and losses, computed by PyTorch.

Usage: python networks.py  (writes resnet50.json, segmentation.json and training_step.json beside this file; versions: requirements.txt)

Weights and inputs are not stored: both sides draw them from the same generator, seeded with the tensor's name.
"""

import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

HERE = pathlib.Path(__file__).parent
MASK = (1 << 64) - 1
# How far from its kink every ReLU's input is: more than rounding in 32 bits can move it.
MARGIN = 1e-5


def uniform(name: str, n: int) -> np.ndarray:
    """SplitMix64 seeded with FNV-1a of the name, as f32 in [-1, 1)."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0).astype(np.float32)


def value(name: str, shape: tuple) -> torch.Tensor:
    """A tensor that a trained network could have, by its name and shape."""
    u = torch.from_numpy(uniform(name, math.prod(shape))).reshape(shape)
    if name.endswith("running_var"):
        return 1.0 + 0.3 * u
    if len(shape) >= 2:
        return u * math.sqrt(3.0 / math.prod(shape[1:]))
    return 1.0 + 0.1 * u if name.endswith("weight") else 0.1 * u


def fill(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(value(name, tuple(tensor.shape)))
    return module


def summary(t: torch.Tensor) -> dict:
    """Enough of a tensor to tell it from another: norm, sum, and eight elements spread over it."""
    flat = t.detach().double().flatten()
    at = [i * (len(flat) - 1) // 7 for i in range(8)]
    return {"shape": list(t.shape), "norm": flat.norm().item(), "sum": flat.sum().item(), "at": at,
            "values": flat[at].tolist()}


def resnet50() -> None:
    model = fill(torchvision.models.resnet50(num_classes=14)).eval()
    x = torch.from_numpy(uniform("input", 3 * 224 * 224)).reshape(1, 3, 224, 224)
    local = {}
    model.layer4.register_forward_hook(lambda _m, _i, out: local.update(out=out))
    with torch.no_grad():
        logits = model(x)
    golden = {"torch": torch.__version__, "torchvision": torchvision.__version__, "local": summary(local["out"]),
              "logits": logits[0].double().tolist()}
    (HERE / "resnet50.json").write_text(json.dumps(golden, indent=1) + "\n")


class DoubleConv(nn.Module):
    def __init__(self, c_in, c):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c_in, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class Up(DoubleConv):
    def __init__(self, c_in, c):
        super().__init__(2 * c, c)
        self.upconv = nn.ConvTranspose2d(c_in, c, 2, stride=2)

    def forward(self, x, skip):
        return super().forward(torch.cat([self.upconv(x), skip], 1))


class UNet(nn.Module):
    """The network of shared/src/model/unet.rs."""

    def __init__(self, c_in, n_classes, widths):
        super().__init__()
        self.down = nn.ModuleList(DoubleConv(a, b) for a, b in zip([c_in, *widths], widths))
        self.up = nn.ModuleList(Up(b, a) for a, b in reversed(list(zip(widths, widths[1:]))))
        self.head = nn.Conv2d(widths[0], n_classes, 1)

    def forward(self, x):
        skips = []
        for i, level in enumerate(self.down):
            x = level(F.max_pool2d(x, 2) if i else x)
            skips.append(x)
        skips.pop()
        for level in self.up:
            x = level(x, skips.pop())
        return self.head(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 48, 5, padding=2), nn.Conv2d(48, 48, 5, padding=2)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-math.inf), 2, 1)


class Hemis(nn.Module):
    """The network of shared/src/model/hemis.rs, with its default sizes."""

    MODALITIES = ["flair", "t1", "t1c", "t2"]

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict({name: Encoder() for name in self.MODALITIES})
        self.fuse, self.head = nn.Conv2d(96, 16, 5, padding=2), nn.Conv2d(16, 2, 21, padding=10)

    def forward(self, slices):
        features = torch.stack([self.encoder[name](x) for name, x in slices.items()])
        variance = features.var(0) if len(slices) > 1 else torch.zeros_like(features[0])
        return self.head(F.relu(self.fuse(torch.cat([features.mean(0), variance], 1))))


def segmentation() -> None:
    unet = fill(UNet(2, 3, [16, 32, 48])).eval()
    hemis = fill(Hemis()).eval()
    slices = {name: torch.from_numpy(uniform(name, 24 * 20)).reshape(1, 1, 24, 20) for name in Hemis.MODALITIES}
    sets = [["flair", "t1", "t1c", "t2"], ["t1c"], ["flair", "t2"]]
    with torch.no_grad():
        logits = unet(torch.from_numpy(uniform("slice", 2 * 44 * 36)).reshape(1, 2, 44, 36))
        cases = [{"present": names, "logits": summary(hemis({name: slices[name] for name in names})[0])}
                 for names in sets]
    golden = {"torch": torch.__version__, "unet": summary(logits[0]), "hemis": cases}
    (HERE / "segmentation.json").write_text(json.dumps(golden, indent=1) + "\n")


class Kinks:
    """The smallest distance of any ReLU's input from zero, where rounding would decide which side it is on."""

    distance = math.inf


def relu(x: torch.Tensor) -> torch.Tensor:
    Kinks.distance = min(Kinks.distance, x.detach().abs().min().item())
    return F.relu(x)


class Basic(nn.Module):
    """torchvision's basic block, here because torchvision cannot narrow ResNet-18."""

    def __init__(self, c_in, c, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c_in, c, 3, stride, 1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c)
        self.downsample = None
        if stride != 1 or c_in != c:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c, 1, stride, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + skip)


class Image(nn.Module):
    """ResNet-18 of width `w` on one channel, without the stem's pool."""

    def __init__(self, w, n_out):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, w, 7, 2, 3, bias=False), nn.BatchNorm2d(w)
        c_in = w
        for stage in range(4):
            c = w << stage
            blocks = [Basic(c_in, c, 2 if stage else 1), Basic(c, c, 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            c_in = c
        self.fc = nn.Linear(c_in, n_out)

    def forward(self, x):
        x = relu(self.bn1(self.conv1(x)))
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        pooled = x.mean((2, 3))
        return x, pooled, self.fc(pooled)


class TextBlock(nn.Module):
    def __init__(self, c_in, c):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(c_in, c, 5, 2, 2, bias=False), nn.BatchNorm1d(c)
        self.conv2, self.bn2 = nn.Conv1d(c, c, 5, 1, 2, bias=False), nn.BatchNorm1d(c)
        self.downsample = nn.Sequential(nn.Conv1d(c_in, c, 1, 2, bias=False), nn.BatchNorm1d(c))

    def forward(self, x):
        return relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))) + self.downsample(x))


class Text(nn.Module):
    def __init__(self, vocabulary, dim, widths):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim)
        self.blocks = nn.ModuleList(TextBlock(a, b) for a, b in zip([dim] + widths, widths))

    def forward(self, ids, lens):
        mask = (torch.arange(ids.shape[1])[None] < lens[:, None]).float()
        x = (self.embedding(ids) * mask[..., None]).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
            lens = (lens + 1) // 2
        mask = (torch.arange(x.shape[2])[None] < lens[:, None]).float()
        return x, lens, (x * mask[:, None]).sum(2) / lens[:, None]


class Joint(nn.Module):
    def __init__(self, c_a, c_b, side, out):
        super().__init__()
        self.a, self.b = nn.Linear(c_a, side), nn.Linear(c_b, side)
        self.weight, self.bias = nn.Parameter(torch.empty(side * side, out)), nn.Parameter(torch.empty(out))

    def forward(self, a, b):
        outer = torch.einsum("ni,nj->nij", self.a(a), self.b(b)).flatten(1)
        return outer @ self.weight + self.bias


class Critic(nn.Module):
    """1x1 convolutions over concatenated vectors; `a` and `b` are the two halves of the first one's weight."""

    def __init__(self, c_a, c_b, hidden):
        super().__init__()
        self.a, self.b = nn.Linear(c_a, hidden), nn.Linear(c_b, hidden)
        self.hidden, self.score = nn.Linear(hidden, hidden), nn.Linear(hidden, 1)

    def forward(self, x, y):
        """One pair of vectors, concatenated."""
        weight = torch.cat([self.a.weight, self.b.weight], 1)
        first = F.linear(torch.cat([x, y], -1), weight, self.a.bias + self.b.bias)
        return self.score(relu(self.hidden(relu(first))))[..., 0]


class CrossModal(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = Image(8, 14)
        self.text = Text(20, 12, [16, 24])
        self.joint, self.joint_head = Joint(64, 24, 8, 10), nn.Linear(10, 14)
        self.critic_ll, self.critic_lg = Critic(64, 24, 9), Critic(64, 10, 9)


def jsd(critic, a, b, negatives):
    """`a[i]`, `b[j]`: lists of vectors of sample i and j. Plain loops over the definition."""
    n = len(a)
    mean = lambda i, j, sign: F.softplus(sign * critic(
        a[i][:, None].expand(-1, len(b[j]), -1), b[j][None].expand(len(a[i]), -1, -1))).mean()
    joint = sum(mean(i, i, -1) for i in range(n)) / n
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and negatives[i][j]]
    return joint + sum(mean(i, j, 1) for i, j in pairs) / len(pairs)


def training_step() -> None:
    """The first draw of images for which no ReLU is at its kink."""
    for draw in range(100):
        Kinks.distance = math.inf
        golden = training_step_of(f"images{draw}")
        if Kinks.distance > MARGIN:
            (HERE / "training_step.json").write_text(json.dumps(golden, indent=1) + "\n")
            return
    raise SystemExit("no draw of images keeps clear of every kink")


def training_step_of(images: str) -> dict:
    model = fill(CrossModal()).train()
    n, size, tokens = 4, 32, 16
    x = torch.from_numpy(uniform(images, n * size * size)).reshape(n, 1, size, size)
    ids = ((torch.from_numpy(uniform("ids", n * tokens)) + 1) * 10).long().clamp(0, 19).reshape(n, tokens)
    lens = torch.tensor([16, 16, 8, 4])
    targets = (torch.from_numpy(uniform("targets", n * 14)) > 0.4).float().reshape(n, 14)
    weights = 1.5 + torch.from_numpy(uniform("positive_weights", 14))
    negatives = [[0, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0]]

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    local, pooled, logits = model.image(x)
    text_local, text_lens, text_global = model.text(ids, lens)
    joint = model.joint(pooled, text_global)
    a = list(local.flatten(2).transpose(1, 2))
    b = [t[:length] for t, length in zip(text_local.transpose(1, 2), text_lens)]
    loss_of = lambda z: F.binary_cross_entropy_with_logits(z, targets, pos_weight=weights)
    losses = {
        "findings": loss_of(logits),
        "joint": loss_of(model.joint_head(joint)),
        "local_local": jsd(model.critic_ll, a, b, negatives),
        "local_global": jsd(model.critic_lg, a, list(joint[:, None]), negatives),
    }
    total = losses["findings"] + 0.5 * losses["joint"] + 0.3 * losses["local_local"] + 0.2 * losses["local_global"]
    total.backward()
    gradients = {name: summary(p.grad) for name, p in model.named_parameters()}
    optimizer.step()
    after = {name: summary(p) for name, p in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    return {"torch": torch.__version__, "images": images, "total": total.item(),
            "losses": {name: loss.item() for name, loss in losses.items()},
            "logits": logits.double().flatten().tolist(), "gradients": gradients, "after": after}


if __name__ == "__main__":
    torch.set_num_threads(1)
    resnet50()
    segmentation()
    training_step()
