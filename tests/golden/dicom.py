"""Writes tests/golden/dicom/: tiny DICOM files and what pydicom reads and shows of them.

    python -m venv venv
    venv/bin/pip install pydicom==3.0.2 numpy==2.4.6 pillow==13.0.0 pylibjpeg==2.1.0 pylibjpeg-libjpeg==2.5.0 \
        pylibjpeg-openjpeg==2.6.0
    venv/bin/python tests/golden/dicom.py

`expected.json` holds for each file: `source`, `width`, `height`, `pixels` (0 is black, 1 is white; of larger images
only every `stride`-th) and `tolerance`.
"""

import io
import json
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_windowing
from pydicom.sequence import Sequence

import jpeg_lossless

FOLDER = Path(__file__).parent / "dicom"
ROWS, COLUMNS = 5, 7
EXPECTED = {}


def ramp(bits, signed=False, rows=ROWS, columns=COLUMNS):
    """Values over the whole range of `bits`, in no simple order, extremes included."""
    i = np.arange(rows * columns)
    values = (i * 2654435761 >> 7) % (1 << bits)
    values[3], values[17] = 0, (1 << bits) - 1
    values = values.reshape(rows, columns)
    return values - (1 << (bits - 1)) if signed else values


def smooth(rows=ROWS, columns=COLUMNS):
    """An 8-bit image that lossy compression treats kindly."""
    y, x = np.mgrid[0:rows, 0:columns]
    return (20 + 150 * x / columns + 60 * y / rows).astype(np.uint8)


def colours(rows=ROWS, columns=COLUMNS):
    y, x = np.mgrid[0:rows, 0:columns] / max(rows, columns)
    return np.stack([30 + 200 * x, 240 - 200 * y, 10 + 120 * x + 90 * y], axis=-1).astype(np.uint8)


def dataset(values, bits, allocated=16, photometric="MONOCHROME2", signed=False, **attributes):
    ds = Dataset()
    ds.SOPClassUID = uid.ComputedRadiographyImageStorage
    ds.SOPInstanceUID = "1.2.3.4"
    ds.Modality = "CR"
    ds.PatientName = "Golden^Example"
    ds.SamplesPerPixel = 3 if values.ndim == 3 and photometric not in ("MONOCHROME1", "MONOCHROME2") else 1
    ds.PhotometricInterpretation = photometric
    if ds.SamplesPerPixel == 3:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = values.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def set_native(ds, values, syntax, vr=None):
    kind = ("i" if ds.PixelRepresentation else "u") + str(ds.BitsAllocated // 8)
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    raw = values.astype(order + kind).tobytes()
    raw += b"\0" * (len(raw) % 2)
    if vr is None:
        vr = "OW" if ds.BitsAllocated == 16 or syntax == uid.ImplicitVRLittleEndian else "OB"
    if vr == "OW" and ds.BitsAllocated == 8 and syntax == uid.ExplicitVRBigEndian:
        raw = np.frombuffer(raw, "<u2").astype(">u2").tobytes()
    ds.add_new("PixelData", vr, raw)


def set_encapsulated(ds, stream, fragments=1):
    ds.add_new("PixelData", "OB", encapsulate([stream], fragments_per_frame=fragments))
    ds["PixelData"].is_undefined_length = True


def save(ds, name, syntax, preamble=True):
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    path = FOLDER / name
    if preamble:
        ds.save_as(path, enforce_file_format=True)
    else:
        del ds.file_meta
        little = syntax != uid.ExplicitVRBigEndian
        ds.save_as(path, implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=little)
    return path


def shown(ds, stored):
    """What a viewing station shows of stored grey values, by pydicom's own functions, in 0..=1."""
    values = apply_modality_lut(stored, ds).astype(np.float64)
    if "WindowWidth" in ds:
        out = apply_windowing(values, ds)
        low = -(2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
        high = low + 2**ds.BitsStored - 1
        slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
        low, high = low * slope + intercept, high * slope + intercept
        out = (out - low) / (high - low)
    else:
        out = (values - values.min()) / max(values.max() - values.min(), 1e-12)
    return 1 - out if ds.PhotometricInterpretation == "MONOCHROME1" else out


def expect(name, source, pixels, tolerance=1e-6):
    height, width = pixels.shape
    stride = 1 if pixels.size < 100 else 23
    pixels = [round(float(p), 7) for p in pixels.ravel()[::stride]]
    EXPECTED[name] = dict(source=source, width=width, height=height, stride=stride, pixels=pixels, tolerance=tolerance)


def check(ds, name, syntax, label, preamble=True, tolerance=1e-6, stored=None):
    """Saves, reads back with pydicom, and notes what it shows; `stored` where pydicom is known to differ."""
    path = save(ds, name, syntax, preamble)
    read = pydicom.dcmread(path, force=True)
    if not preamble:
        read.file_meta = FileMetaDataset()
        read.file_meta.TransferSyntaxUID = syntax
    values = read.pixel_array if stored is None else stored
    if ds.SamplesPerPixel == 3:
        pixels = values @ np.array([0.299, 0.587, 0.114]) / (2**ds.BitsStored - 1)
    else:
        pixels = shown(read, values)
    name_of = {"YBR_RCT": "RGB", "YBR_ICT": "RGB", "YBR_FULL": "YBR", "YBR_FULL_422": "YBR"}
    photometric = name_of.get(ds.PhotometricInterpretation, ds.PhotometricInterpretation)
    expect(name, f"DICOM, {label}, {photometric}, {ds.BitsStored} bit", pixels, tolerance)
    return values


NATIVE = {"implicit": uid.ImplicitVRLittleEndian, "explicit": uid.ExplicitVRLittleEndian, "big": uid.ExplicitVRBigEndian}


def native():
    for word, syntax in NATIVE.items():
        for bits, allocated in [(8, 8), (12, 16), (16, 16)]:
            for signed in [False, True]:
                values = ramp(bits, signed)
                ds = dataset(values, bits, allocated, signed=signed)
                set_native(ds, values, syntax)
                read = check(ds, f"{word}-{'s' if signed else 'u'}{bits}", syntax, "uncompressed")
                assert np.array_equal(read, values)
        ds = dataset(ramp(10), 10, photometric="MONOCHROME1")
        set_native(ds, ramp(10), syntax)
        check(ds, f"{word}-mono1-bare", syntax, "uncompressed", preamble=False)
        ds = dataset(colours(), 8, 8, "RGB")
        set_native(ds, colours(), syntax, "OB" if word != "implicit" else None)
        check(ds, f"{word}-rgb", syntax, "uncompressed")
    ds = dataset(ramp(8), 8, 8)
    set_native(ds, ramp(8), uid.ExplicitVRBigEndian, "OW")
    check(ds, "big-u8-words", uid.ExplicitVRBigEndian, "uncompressed", stored=ramp(8))
    ds = dataset(colours(), 8, 8, "RGB")
    set_native(ds, np.moveaxis(colours(), -1, 0), NATIVE["explicit"])
    ds.PlanarConfiguration = 1
    check(ds, "planes-rgb", NATIVE["explicit"], "uncompressed")
    ds = dataset(colours(), 8, 8, "YBR_FULL")
    set_native(ds, colours(), NATIVE["explicit"])
    path = save(ds, "explicit-ybr", NATIVE["explicit"])
    expect(path.name, "DICOM, uncompressed, YBR, 8 bit", colours()[..., 0] / 255)
    # Overlay bits above the stored ones, and stored bits that do not begin at the lowest.
    ds = dataset(ramp(12), 12)
    set_native(ds, ramp(12) | 0xA000, NATIVE["explicit"])
    check(ds, "overlay-bits", NATIVE["explicit"], "uncompressed", stored=ramp(12))
    ds = dataset(ramp(10, True), 10, signed=True, HighBit=13)
    set_native(ds, ramp(10, True) << 4, NATIVE["explicit"])
    check(ds, "high-bit", NATIVE["explicit"], "uncompressed", stored=ramp(10, True))


def display():
    syntax = NATIVE["explicit"]
    windows = {
        "linear": dict(WindowCenter=2048, WindowWidth=1024),
        "linear-several": dict(WindowCenter=[1500, 40], WindowWidth=[3000, 400]),
        "linear-narrow": dict(WindowCenter=1000, WindowWidth=1),
        "exact": dict(WindowCenter=1000.5, WindowWidth=0.5, VOILUTFunction="LINEAR_EXACT"),
        "exact-wide": dict(WindowCenter=2000, WindowWidth=2500, VOILUTFunction="LINEAR_EXACT"),
        "sigmoid": dict(WindowCenter=1800, WindowWidth=900, VOILUTFunction="SIGMOID"),
        "rescaled": dict(WindowCenter=0, WindowWidth=2000, RescaleSlope="0.5", RescaleIntercept="-1024"),
        "only-rescaled": dict(RescaleSlope="2.5", RescaleIntercept="-100"),
    }
    for word, attributes in windows.items():
        for photometric in ["MONOCHROME1", "MONOCHROME2"]:
            ds = dataset(ramp(12), 12, photometric=photometric, **attributes)
            set_native(ds, ramp(12), syntax)
            check(ds, f"window-{word}-{photometric[-1]}", syntax, "uncompressed", tolerance=2e-6)
    ds = dataset(ramp(12, True), 12, signed=True, WindowCenter=-200, WindowWidth=1500)
    set_native(ds, ramp(12, True), syntax)
    check(ds, "window-signed", syntax, "uncompressed", tolerance=2e-6)
    ds = dataset(np.full((ROWS, COLUMNS), 77), 12)
    set_native(ds, np.full((ROWS, COLUMNS), 77), syntax)
    check(ds, "blank", syntax, "uncompressed")
    # Padding counts for nothing and is black, in both senses.
    for photometric in ["MONOCHROME1", "MONOCHROME2"]:
        for word, limit in [("padding", None), ("padding-range", 120)]:
            values = ramp(12, True)
            values[0, :4] = [-2000, -2000, 100, 120]
            ds = dataset(values, 12, photometric=photometric, signed=True)
            ds.add_new("PixelPaddingValue", "SS", 100 if limit else -2000)
            padding = values == -2000
            if limit:
                ds.add_new("PixelPaddingRangeLimit", "SS", limit)
                padding = (values >= 100) & (values <= limit)
            set_native(ds, values, syntax)
            path = save(ds, f"{word}-{photometric[-1]}", syntax)
            part = values[~padding]
            pixels = (values - part.min()) / (part.max() - part.min())
            pixels = 1 - pixels if photometric == "MONOCHROME1" else pixels
            expect(path.name, f"DICOM, uncompressed, {photometric}, 12 bit", np.where(padding, 0, pixels))


def nested():
    """Sequences of undefined length, one with an image in it, stand before the pixels."""
    syntax = NATIVE["explicit"]
    for word, undefined in [("defined", False), ("undefined", True)]:
        icon = dataset(ramp(8), 8, 8, WindowCenter=1, WindowWidth=2)
        icon.Rows = icon.Columns = 2
        set_native(icon, np.zeros((2, 2)), syntax)
        inner = Dataset()
        inner.IconImageSequence = Sequence([icon])
        ds = dataset(ramp(12), 12, RequestAttributesSequence=Sequence([inner, Dataset()]))
        for sequence in [ds["RequestAttributesSequence"], inner["IconImageSequence"]]:
            sequence.is_undefined_length = undefined
        for item in [inner, icon, *ds.RequestAttributesSequence]:
            item.is_undefined_length_sequence_item = undefined
        set_native(ds, ramp(12), syntax)
        check(ds, f"nested-{word}", syntax, "uncompressed")
    # A private sequence whose writer did not know it to be one: implicit inside.
    path = FOLDER / "nested-undefined"
    raw = path.read_bytes()
    at = raw.index(b"\x28\x00\x02\x00US")
    inside = bytes.fromhex("0b000110 04000000 61626364")
    item = bytes.fromhex("feff00e0 ffffffff") + inside + bytes.fromhex("feff0de0 00000000")
    unknown = bytes.fromhex("0b000210") + b"UN\0\0" + bytes.fromhex("ffffffff") + item + bytes.fromhex("feffdde0 00000000")
    (FOLDER / "nested-unknown").write_bytes(raw[:at] + unknown + raw[at:])
    assert np.array_equal(pydicom.dcmread(FOLDER / "nested-unknown").pixel_array, ramp(12))
    EXPECTED["nested-unknown"] = EXPECTED["nested-undefined"]


def compressed():
    # OpenJPEG's encoder wants at least 32 pixels a side.
    kinds = [("rle", uid.RLELossless, "RLE", {}), ("j2k", uid.JPEG2000Lossless, "JPEG 2000", dict(rows=32, columns=35))]

    def save_compressed(name, values, bits, allocated, syntax, label, tolerance=1e-6, photometric="MONOCHROME2", **how):
        ds = dataset(values, bits, allocated, photometric, signed=values.min() < 0)
        set_native(ds, values, NATIVE["explicit"])
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = NATIVE["explicit"]
        ds.compress(syntax, generate_instance_uid=False, **how)
        read = check(ds, name, syntax, label, tolerance=tolerance)
        assert tolerance > 1e-6 or np.array_equal(read, values)

    for word, syntax, label, size in kinds:
        for bits, allocated, signed in [(8, 8, False), (12, 16, False), (16, 16, True), (16, 16, False)]:
            name = f"{word}-{'s' if signed else 'u'}{bits}"
            save_compressed(name, ramp(bits, signed, **size), bits, allocated, syntax, label)
        save_compressed(f"{word}-rgb", colours(**size), 8, 8, syntax, label, photometric="RGB")
    size = dict(rows=32, columns=35)
    save_compressed("j2k-lossy", smooth(**size), 8, 8, uid.JPEG2000, "JPEG 2000", 0.012, "MONOCHROME1", j2k_psnr=[45])


def jpeg():
    for word, syntax in [("jpeg-baseline", uid.JPEGBaseline8Bit), ("jpeg-extended", uid.JPEGExtended12Bit)]:
        stream = io.BytesIO()
        Image.fromarray(smooth()).save(stream, "JPEG", quality=95)
        ds = dataset(smooth(), 8, 8)
        set_encapsulated(ds, stream.getvalue(), 3)
        check(ds, word, syntax, "JPEG", tolerance=0.012)
    stream = io.BytesIO()
    Image.fromarray(colours()).save(stream, "JPEG", quality=95, subsampling=0)
    ds = dataset(colours(), 8, 8, "YBR_FULL_422")
    set_encapsulated(ds, stream.getvalue())
    path = save(ds, "jpeg-ybr", uid.JPEGBaseline8Bit)
    stream.seek(0)
    luminance = np.asarray(Image.open(stream).convert("L"))
    expect(path.name, "DICOM, JPEG, YBR, 8 bit", luminance / 255, 0.012)

    def lossless(name, values, bits, syntax=uid.JPEGLossless, allocated=16, photometric="MONOCHROME2", signed=False, **how):
        ds = dataset(values, bits, allocated, photometric, signed)
        set_encapsulated(ds, jpeg_lossless.encode(values & ((1 << bits) - 1), bits, **how))
        # The decoder behind pydicom ignores the point transform; libjpeg-turbo reads this very stream as noted here.
        transform = how.get("point_transform", 0)
        read = check(ds, name, syntax, "JPEG Lossless", stored=values >> transform << transform if transform else None)
        assert transform or np.array_equal(read, values), name

    for predictor in range(1, 8):
        lossless(f"jpeg-lossless-{predictor}", ramp(12), 12, predictor=predictor)
    lossless("jpeg-lossless-first", ramp(16), 16, uid.JPEGLosslessSV1)
    lossless("jpeg-lossless-8", ramp(8), 8, uid.JPEGLosslessSV1, allocated=8)
    lossless("jpeg-lossless-signed", ramp(16, True), 16, uid.JPEGLosslessSV1, signed=True)
    lossless("jpeg-lossless-restarts", ramp(12), 12, predictor=4, restart_rows=2)
    lossless("jpeg-lossless-transform", ramp(12), 12, predictor=5, point_transform=3)
    lossless("jpeg-lossless-rgb", colours(), 8, allocated=8, photometric="RGB", predictor=6)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for group in [native, display, nested, compressed, jpeg]:
        group()
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(EXPECTED.items()))
    (FOLDER / "expected.json").write_text("{\n" + lines + "\n}\n")
    print(len(EXPECTED), "files,", sum(path.stat().st_size for path in FOLDER.iterdir()), "bytes")
