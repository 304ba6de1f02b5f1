"""Everything that wants an NVIDIA GPU, from one program: `cmim`, as `cargo xtask cuda` builds it.

    gpu.py PROGRAM check     every layer, loss and network beside the CPU, and twice
    gpu.py PROGRAM train     short trainings on generated data
    gpu.py PROGRAM exact     the same trainings killed and resumed: the weights are the same bytes
    gpu.py PROGRAM bench     the training step beside PyTorch's, in turn, in time and in memory

CUDA's libraries are those of the Python that runs this, where it has them (PyTorch brings them), else the system's.
`bench` needs PyTorch and torchvision for CUDA in that Python.
"""

import glob
import json
import os
import signal
import site
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = [("unet-240", 16), ("resnet50-224", 64)]
PRECISIONS = ["tf32", "bf16"]
# Generated heads for short trainings.
BRAINS = ["--data", "phantom:brain?n=24&seed=1&size=64&slices=8&difficulty=30"]
# Steps before those that count, and those.
WARM_UP, ROUNDS = 4, 15


def environment(caches=None):
    """CUDA's libraries, and the folder that the record of algorithms is kept in, unless it is the user's."""
    folders = [folder for s in site.getsitepackages() for folder in sorted(glob.glob(f"{s}/nvidia/*/lib"))]
    path = os.environ.get("LD_LIBRARY_PATH", "")
    own = {"XDG_CACHE_HOME": caches} if caches else {}
    return {**os.environ, **own, "LD_LIBRARY_PATH": ":".join([*folders, *filter(None, [path])])}


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
        return all(
            run(program, "train", f"{configs()}/{name}.toml", *words, "--device", "cuda:0", "--out", f"{folder}/{name}")
            for name, words in [("smoke", []), ("mri-cmim", BRAINS), ("mri-hemis", BRAINS)]
        )


def exact(program):
    return all(
        [
            killed_and_resumed(program, name, precision, words)
            for name, precision, words in [
                ("smoke", "bf16", []),
                ("mri-cmim", "tf32", BRAINS),
                ("mri-hemis", "f32", BRAINS),
            ]
        ]
    )


def killed_and_resumed(program, name, precision, words):
    """Two runs from an empty cache, then one that is killed and goes on without any: its checkpoint must be enough."""
    with tempfile.TemporaryDirectory() as folder:
        out = {run: os.path.join(folder, run) for run in ("whole", "again", "killed")}

        def start(run, caches, *more):
            how = ["--device", "cuda:0", "--precision", precision, "--out", out[run]]
            command = [program, "train", f"{configs()}/{name}.toml", *words, *how, *more]
            return subprocess.Popen(command, env=environment(os.path.join(folder, caches)))

        def weights(run):
            with open(os.path.join(out[run], "model.safetensors"), "rb") as file:
                return file.read()

        for run in ("whole", "again"):
            if start(run, "caches").wait() != 0:
                return False
        process = start("killed", "caches")
        while process.poll() is None and not os.path.exists(os.path.join(out["killed"], "checkpoint.safetensors")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            print(f"exact: {name} was not interrupted: it ended first")
            return False
        if start("killed", "no caches", "--resume").wait() != 0:
            return False
        same = {run: weights(run) == weights("whole") for run in ("again", "killed")}
        words = {True: "the same bytes", False: "WRONG: other bytes"}
        print(
            f"exact: {name} in {precision}: run again {words[same['again']]}, killed and resumed {words[same['killed']]}",
            flush=True,
        )
        return all(same.values())


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
    actions = {
        "check": lambda: run(program, "gpu", "check"),
        "train": lambda: train(program),
        "exact": lambda: exact(program),
        "bench": lambda: bench(program),
    }
    unknown = [word for word in sys.argv[2:] if word not in actions]
    if unknown:
        raise SystemExit(f"`{unknown[0]}` is none of {', '.join(actions)}\n\n{__doc__}")
    if not all([actions[word]() for word in sys.argv[2:]]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
