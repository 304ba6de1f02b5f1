"""An MRI volume read and standardized with nibabel and NumPy, again and again: the peer of `cargo xtask bench volume`.

    volume.py --write FILE    writes a volume of BRATS's size: 240 x 240 x 155 voxels of 1 mm, a brain of noise
    volume.py FILE            every line on standard input asks for one run

The answer is a line of JSON with the milliseconds and some of the voxels. When the input ends, a last line says so. The
steps are those of `shared::prep::volume::normalize`: canonical order, the brain is what differs from most corners, cut at
the 0.1 and 99.9 percentiles, zero mean and unit variance.
"""

import json
import sys
import time

import nibabel as nib
import numpy as np

CUT = 0.001
VOXELS = 2048


def write(file):
    """An ellipsoid of noisy tissue, x to the left and y to the back as BRATS has them."""
    size = np.array([240, 240, 155])
    place = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in size), indexing="ij"))
    inside = (place**2 * np.array([1.8, 1.5, 1.4])[:, None, None, None]).sum(0) < 1
    rng = np.random.default_rng(1)
    tissue = 300 + 60 * np.sin(9 * place).sum(0) + rng.normal(0, 15, size)
    voxels = np.where(inside, tissue, 0).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, -1.0, 1.0, 1.0])), file)


def standardized(file):
    image = nib.as_closest_canonical(nib.load(file))
    voxels = np.asarray(image.dataobj, dtype=np.float32)
    values, counts = np.unique(voxels[:: voxels.shape[0] - 1, :: voxels.shape[1] - 1, :: voxels.shape[2] - 1], return_counts=True)
    inside = voxels != values[counts.argmax()] if counts.max() > 2 else np.ones(voxels.shape, bool)
    brain = voxels[inside]
    last = len(brain) - 1
    ends = [round(last * CUT), round(last * (1 - CUT))]
    lo, hi = np.partition(brain, ends)[ends]
    brain = brain.clip(lo, hi)
    out = np.zeros_like(voxels)
    out[inside] = (brain - brain.mean(dtype=np.float64)) / brain.std(dtype=np.float64)
    return out


def main():
    if sys.argv[1] == "--write":
        return write(sys.argv[2])
    print(json.dumps({"ready": nib.__version__}), flush=True)
    for _line in sys.stdin:
        start = time.perf_counter()
        voxels = standardized(sys.argv[1])
        ms = 1e3 * (time.perf_counter() - start)
        voxels = voxels.ravel(order="F")
        some = voxels[:: -(-len(voxels) // VOXELS)]
        print(json.dumps({"ms": ms, "values": some.tolist()}), flush=True)
    print(json.dumps({"end": True}), flush=True)
    return None


if __name__ == "__main__":
    main()
