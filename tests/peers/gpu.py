"""Everything that wants an NVIDIA GPU, from one program: `cmim`, as `cargo xtask cuda` builds it.

    gpu.py PROGRAM check     every layer, loss and network beside the CPU
    gpu.py PROGRAM train     short trainings on generated data
    gpu.py PROGRAM bench     the training step beside PyTorch's, in turn, in time and in memory

CUDA's libraries are those of the Python that runs this, where it has them (PyTorch brings them), else the system's.
`bench` needs PyTorch and torchvision for CUDA in that Python.
"""

import glob
import json
import os
import site
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = [("unet-240", 16), ("resnet50-224", 64)]
PRECISIONS = ["tf32", "bf16"]
# Steps before those that count, and those.
WARM_UP, ROUNDS = 4, 15


def environment():
    folders = [folder for s in site.getsitepackages() for folder in sorted(glob.glob(f"{s}/nvidia/*/lib"))]
    path = os.environ.get("LD_LIBRARY_PATH", "")
    return {**os.environ, "LD_LIBRARY_PATH": ":".join([*folders, *filter(None, [path])])}


def configs():
    """In the repository, or beside this script."""
    folders = [os.path.join(HERE, "../../trainer/configs"), os.path.join(HERE, "configs")]
    return next(folder for folder in folders if os.path.isdir(folder))


def run(program, *words):
    start = time.time()
    status = subprocess.run([program, *words], env=environment()).returncode
    print(f"`{' '.join(words[:2])}` ended with {status} after {time.time() - start:.1f} s", flush=True)
    return status == 0


def train(program):
    with tempfile.TemporaryDirectory() as folder:
        brains = "phantom:brain?n=24&seed=1&size=64&slices=8&difficulty=30"
        return all(
            run(program, "train", f"{configs()}/{name}.toml", *words, "--device", "cuda:0", "--out", f"{folder}/{name}")
            for name, words in [("smoke", []), ("mri-cmim", ["--data", brains]), ("mri-hemis", ["--data", brains])]
        )


class Contestant:
    """A program that takes a step for each line of its input, and answers with a line of JSON."""

    def __init__(self, *command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment())
        self.ms = []
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"`{' '.join(self.process.args)}` ended early with {self.process.wait()}")
        return json.loads(line)

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.read()
        self.ms.append(answer["ms"])
        return answer["loss"]

    def end(self):
        self.process.stdin.close()
        return self.read()["peak_bytes"] / 2**20


def bench(program):
    for case, batch in CASES:
        for precision in PRECISIONS:
            ours = Contestant(program, "gpu", "step", case, "--batch", str(batch), "--precision", precision)
            peer = Contestant(sys.executable, os.path.join(HERE, "train_step.py"), case, precision, str(batch))
            for _ in range(WARM_UP + ROUNDS):
                losses = [ours.step(), peer.step()]
            ours_mib, peer_mib = ours.end(), peer.end()
            ours_ms, peer_ms = (statistics.median(one.ms[WARM_UP:]) for one in (ours, peer))
            row = {
                "bench": "gpu", "case": case, "batch": batch, "precision": precision, "peer": "pytorch",
                "ratio": round(ours_ms / peer_ms, 3), "ours_ms": round(ours_ms, 2), "peer_ms": round(peer_ms, 2),
                "memory_ratio": round(ours_mib / peer_mib, 3), "ours_mib": round(ours_mib), "peer_mib": round(peer_mib),
                "losses": losses,
            }  # fmt: skip
            print(json.dumps(row), flush=True)
    return True


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    program = os.path.abspath(sys.argv[1])
    actions = {"check": lambda: run(program, "gpu", "check"), "train": lambda: train(program), "bench": lambda: bench(program)}
    unknown = [word for word in sys.argv[2:] if word not in actions]
    if unknown:
        raise SystemExit(f"`{unknown[0]}` is none of {', '.join(actions)}\n\n{__doc__}")
    if not all([actions[word]() for word in sys.argv[2:]]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
