"""A small encoder for lossless JPEG (ITU-T T.81, annex H): every predictor, point transform, restart markers."""

import struct

import numpy as np


def predict(predictor, a, b, c):
    """Table H.1, from the left, the upper and the upper left neighbour."""
    return {
        1: a,
        2: b,
        3: c,
        4: a + b - c,
        5: a + ((b - c) >> 1),
        6: b + ((a - c) >> 1),
        7: (a + b) >> 1,
    }[predictor]


def encode(image, precision, predictor=1, point_transform=0, restart_rows=0):
    """Codes `[height, width]` or `[height, width, 3]`; the values lose their lowest `point_transform` bits."""
    samples = np.atleast_3d(image).astype(np.int64) >> point_transform
    height, width, channels = samples.shape
    first = 1 << (precision - point_transform - 1)

    def difference(y, x, c):
        is_first_row = y == 0 or (restart_rows and y % restart_rows == 0)
        if is_first_row:
            prediction = first if x == 0 else samples[y, x - 1, c]
        elif x == 0:
            prediction = samples[y - 1, x, c]
        else:
            prediction = predict(predictor, samples[y, x - 1, c], samples[y - 1, x, c], samples[y - 1, x - 1, c])
        return int((samples[y, x, c] - prediction + 32767) % 65536) - 32767  # -32767..=32768

    # Each category 0 to 16 has a code of 5 bits: its own number.
    def code(value):
        if value == 32768:
            return format(16, "05b")
        size = abs(value).bit_length()
        extra = value if value >= 0 else value + (1 << size) - 1
        return format(size, "05b") + (format(extra, f"0{size}b") if size else "")

    def packed(rows):
        bits = "".join(code(difference(y, x, c)) for y in rows for x in range(width) for c in range(channels))
        bits += "1" * (-len(bits) % 8)
        raw = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        return raw.replace(b"\xff", b"\xff\x00")

    def segment(marker, payload):
        return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload

    ids = range(1, channels + 1)
    stream = b"\xff\xd8"
    stream += segment(0xC3, struct.pack(">BHHB", precision, height, width, channels) + b"".join(bytes([i, 0x11, 0]) for i in ids))
    stream += segment(0xC4, bytes([0, 0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17)))
    if restart_rows:
        stream += segment(0xDD, struct.pack(">H", restart_rows * width))
    stream += segment(0xDA, bytes([channels]) + b"".join(bytes([i, 0]) for i in ids) + bytes([predictor, 0, point_transform]))
    step = restart_rows or height
    for n, top in enumerate(range(0, height, step)):
        stream += bytes([0xFF, 0xD0 + (n - 1) % 8]) if n else b""
        stream += packed(range(top, min(top + step, height)))
    return stream + b"\xff\xd9"
