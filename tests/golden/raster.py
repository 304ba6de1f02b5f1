"""Writes tests/golden/raster/: tiny PNG and JPEG images and the grey values Pillow reads of them.

    python -m venv venv
    venv/bin/pip install numpy==2.4.6 pillow==13.0.0
    venv/bin/python tests/golden/raster.py

`expected.json` holds for each file: `source`, `width`, `height`, `pixels` (luminance times opacity) and `tolerance`.
The files it does not name are those that must be refused.
"""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import jpeg_lossless

FOLDER = Path(__file__).parent / "raster"
ROWS, COLUMNS = 5, 7
EXPECTED = {}
LUMINANCE = np.array([0.299, 0.587, 0.114])
PNG_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def noise(channels, largest, seed=1):
    shape = (ROWS, COLUMNS, channels)
    return np.random.default_rng(seed).integers(0, largest + 1, shape)


def png(values, bits):
    """A PNG written by hand: Pillow has no 16-bit colour."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    channels = values.shape[2]
    header = struct.pack(">IIBBBBB", COLUMNS, ROWS, bits, PNG_TYPES[channels], 0, 0, 0)
    if bits < 8:
        text = ["".join(format(v, f"0{bits}b") for v in row.ravel()) for row in values]
        rows = [int(row.ljust(-len(row) // 8 * -8, "0"), 2).to_bytes(-(-len(row) // 8), "big") for row in text]
    else:
        rows = [row.astype(">u2" if bits == 16 else "u1").tobytes() for row in values]
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def grey(unit):
    """Luminance times opacity of `[height, width, channels]` in 0..=1."""
    n = unit.shape[2]
    light = unit[..., :3] @ LUMINANCE if n >= 3 else unit[..., 0]
    return light * unit[..., -1] if n in (2, 4) else light


def expect(name, source, pixels, tolerance=1e-6):
    height, width = pixels.shape
    pixels = [round(float(p), 7) for p in pixels.ravel()]
    EXPECTED[name] = dict(source=source, width=width, height=height, stride=1, pixels=pixels, tolerance=tolerance)


def pngs():
    for bits in [1, 2, 4, 8, 16]:
        for channels in [1] if bits < 8 else [1, 2, 3, 4]:
            values = noise(channels, 2**bits - 1)
            name = f"png-{bits}-{channels}"
            (FOLDER / name).write_bytes(png(values, bits))
            expect(name, f"PNG, {bits} bit", grey(values / (2**bits - 1)))
            if bits == 8 and channels != 2:
                image = Image.open(FOLDER / name)
                assert np.array_equal(np.atleast_3d(np.asarray(image)), values)
    image = Image.fromarray(noise(3, 255).astype(np.uint8)).quantize(16)
    image.save(FOLDER / "png-palette", "PNG", transparency=bytes([0, 128] + [255] * 14))
    expect("png-palette", "PNG, 8 bit", grey(np.asarray(Image.open(FOLDER / "png-palette").convert("RGBA")) / 255))
    turned = Image.fromarray(noise(1, 255)[..., 0].astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(FOLDER / "png-turned", "PNG", exif=exif)
    expect("png-turned", "PNG, 8 bit", np.rot90(np.asarray(turned), -1) / 255)
    frames = [Image.fromarray(noise(1, 255, seed)[..., 0].astype(np.uint8)) for seed in (1, 2)]
    frames[0].save(FOLDER / "animated", "PNG", save_all=True, append_images=frames[1:])


def jpegs():
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    values = np.stack([30 + 30 * x, 240 - 40 * y, 10 + 20 * x + 15 * y], axis=-1).astype(np.uint8)
    image = Image.fromarray(values)
    exif = Image.Exif()
    exif[0x0112] = 8
    kinds = {
        "jpeg-grey": (image.convert("L"), {}),
        "jpeg-rgb": (image, dict(subsampling=0)),
        "jpeg-subsampled": (image, dict(subsampling=2)),
        "jpeg-progressive": (image.convert("L"), dict(progressive=True)),
        "jpeg-turned": (image.convert("L"), dict(exif=exif)),
        "cmyk": (image.convert("CMYK"), {}),
    }
    for name, (image, how) in kinds.items():
        image.save(FOLDER / name, "JPEG", quality=95, **how)
        if name != "cmyk":
            read = np.atleast_3d(np.asarray(Image.open(FOLDER / name))) / 255
            pixels = np.rot90(grey(read)) if name == "jpeg-turned" else grey(read)
            expect(name, "JPEG, 8 bit", pixels, 0.03 if name == "jpeg-subsampled" else 0.012)
    # Four channels without and with Adobe's colour transform look alike to Pillow; the marker says which it is.
    raw = (FOLDER / "cmyk").read_bytes()
    at = raw.index(b"Adobe") + 11
    (FOLDER / "ycck").write_bytes(raw[:at] + b"\x02" + raw[at + 1 :])
    values = noise(1, 4095)[..., 0]
    (FOLDER / "jpeg-lossless").write_bytes(jpeg_lossless.encode(values, 12, predictor=7))
    expect("jpeg-lossless", "JPEG Lossless, 12 bit", values / 4095)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    pngs()
    jpegs()
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(EXPECTED.items()))
    (FOLDER / "expected.json").write_text("{\n" + lines + "\n}\n")
    print(len(EXPECTED), "files,", sum(path.stat().st_size for path in FOLDER.iterdir()), "bytes")
