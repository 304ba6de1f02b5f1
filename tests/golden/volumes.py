"""Writes tests/golden/volumes/: small volumes, and where SimpleITK and nibabel find which voxel in them.

    python -m venv venv
    venv/bin/pip install SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.4.6
    venv/bin/python tests/golden/volumes.py

`expected.json` holds for each file: `size` (x, y, z), `world_from_voxel` (three rows, mm, x to the right, y to the front,
z to the head), `letters` (where x, y and z of the file point) and `volumes`, the voxels of each, x the fastest. A header
whose voxels are in another file has `data`, the name of that file. NIfTI files are read by nibabel, MetaImage files by
SimpleITK.
"""

import gzip
import json
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

FOLDER = Path(__file__).parent / "volumes"
SIZE = (4, 5, 3)
SPACING = (0.5, 1.25, 3.0)
ORIGIN = (-12.5, 30.25, 7.0)
EXPECTED = {}

TYPES = {
    "u8": (np.uint8, "MET_UCHAR"),
    "i8": (np.int8, "MET_CHAR"),
    "u16": (np.uint16, "MET_USHORT"),
    "i16": (np.int16, "MET_SHORT"),
    "u32": (np.uint32, "MET_UINT"),
    "i32": (np.int32, "MET_INT"),
    "u64": (np.uint64, "MET_ULONG_LONG"),
    "i64": (np.int64, "MET_LONG_LONG"),
    "f32": (np.float32, "MET_FLOAT"),
    "f64": (np.float64, "MET_DOUBLE"),
}


def voxels(kind, size=SIZE):
    """Distinct values indexed by x, y, z: the extremes of the type, or fractions."""
    n = np.prod(size)
    i = np.random.default_rng(7).permutation(n)
    if np.issubdtype(kind, np.floating):
        values = (i - 17) * 1.37e3 + 1 / (i + 3)
    else:
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        values = [low + int(j) * ((high - low) // int(n - 1)) for j in i]
    return np.array(values, kind).reshape(size, order="F")


def rotation(a=0.3, b=-0.5, c=0.8):
    """A rotation about all three axes, so far that z is not nearest to z."""
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


def axes(letters):
    """Directions of x, y, z of a file as columns of a matrix, in the world of NIfTI."""
    columns = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    return np.array([columns[letter] for letter in letters], float).T


def affine(directions, spacing=SPACING, origin=ORIGIN):
    matrix = np.eye(4)
    matrix[:3, :3] = directions * np.array(spacing)
    matrix[:3, 3] = origin
    return matrix


def expect(name, matrix, volumes, **more):
    EXPECTED[name] = {
        "size": [int(side) for side in volumes[0].shape],
        "world_from_voxel": [[float(v) for v in row] for row in matrix[:3]],
        "letters": "".join(nib.aff2axcodes(matrix)),
        "volumes": [[float(np.float32(v)) for v in volume.flatten(order="F")] for volume in volumes],
        **more,
    }


def nifti(name, data, matrix=None, order="<", qform=None, sform=None, change=None, edit=None):
    """Saves by nibabel; `change` alters the image, `edit` the bytes of its header. The codes say which matrix counts."""
    image = nib.Nifti1Image(data, matrix, nib.Nifti1Header(endianness=order))
    image.header.set_data_dtype(data.dtype)
    image.header.set_xyzt_units("mm")
    if matrix is not None:
        image.set_qform(matrix, code=qform or 0)
        image.set_sform(None if sform is None else matrix, code=sform or 0)
    if change:
        change(image)
    content = image.to_bytes()
    if edit:
        content = edit(bytearray(content))
    path = FOLDER / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else bytes(content))
    read = nib.load(path)
    values = read.get_fdata()
    values = values.reshape(values.shape[:3] + (-1,), order="F")
    expect(name, read.affine, [values[..., t] for t in range(values.shape[3])])


def nifti_files():
    plain = affine(axes("RAS"))
    for word, (kind, _) in TYPES.items():
        nifti(f"type-{word}.nii", voxels(kind), plain, sform=1)
        nifti(f"type-{word}-big.nii.gz", voxels(kind), plain, order=">", sform=1)
    for letters in ["LPS", "LAS", "PSR", "AIL", "SRP", "IAR"]:
        nifti(f"axes-{letters}.nii.gz", voxels(np.int16), affine(axes(letters)), sform=2)
    for letters in ["RAS", "LAS", "PSR", "SRP"]:
        nifti(f"qform-{letters}.nii", voxels(np.int16), affine(axes(letters)), qform=1)
    nifti("oblique-sform.nii.gz", voxels(np.float32), affine(rotation()), sform=1)
    nifti("oblique-qform.nii.gz", voxels(np.float32), affine(rotation()), qform=1)
    nifti("oblique-qform-flipped-big.nii", voxels(np.float32), affine(-rotation()), order=">", qform=1)
    shear = rotation() @ np.array([[1, 0.2, 0], [0, 1, 0.1], [0, 0, 1]])
    nifti("sheared.nii.gz", voxels(np.float32), affine(shear), sform=1)
    nifti("pixdim-only.nii", voxels(np.uint8), None, change=lambda image: image.header.set_zooms(SPACING))

    def both(image):
        image.set_qform(affine(axes("LPS")), code=1)
        image.set_sform(affine(axes("RAS"), origin=(1, 2, 3)), code=2)

    nifti("sform-before-qform.nii", voxels(np.uint8), plain, change=both)

    def scaled(slope, intercept):
        return lambda content: content[:112] + struct.pack("<ff", slope, intercept) + content[120:]

    nifti("slope.nii.gz", voxels(np.int16), plain, sform=1, edit=scaled(0.37, -1024.5))
    nifti("slope-negative.nii", voxels(np.uint8), plain, sform=1, edit=scaled(-2.0, 3.0))
    nifti("slope-zero.nii", voxels(np.int16), plain, sform=1, edit=scaled(0.0, 100.0))
    nifti("slope-nan.nii", voxels(np.int16), plain, sform=1, edit=scaled(float("nan"), float("nan")))
    nifti("slope-float.nii", voxels(np.float32), plain, sform=1, edit=scaled(0.25, 8.0))
    nifti("series.nii.gz", voxels(np.int16, (3, 4, 2, 3)), plain, sform=1)
    nifti("series-of-one.nii", voxels(np.int16, (3, 4, 2, 1, 1)), plain, sform=1)
    note = nib.nifti1.Nifti1Extension("comment", b"an extension before the voxels")
    nifti("extension.nii.gz", voxels(np.int16), plain, sform=1, change=lambda i: i.header.extensions.append(note))
    # Several gzip members, as block compressors write.
    content = nib.Nifti1Image(voxels(np.int16), plain).to_bytes()
    parts = [content[:100], content[100:360], content[360:]]
    (FOLDER / "members.nii.gz").write_bytes(b"".join(gzip.compress(part, mtime=0) for part in parts))
    expect("members.nii.gz", plain, [voxels(np.int16).astype(float)])


def itk_image(data, directions=np.eye(3)):
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection([float(v) for v in directions.flatten()])
    return image


def expect_itk(name, **more):
    image = sitk.ReadImage(str(FOLDER / name))
    values = sitk.GetArrayFromImage(image).T.astype(float)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    to_ras = np.diag([-1, -1, 1, 1])
    expect(name, to_ras @ affine(directions, image.GetSpacing(), image.GetOrigin()), [values], **more)


def metaimage(name, values, directions=np.eye(3), compress=False, edit=None, **more):
    """Saves by SimpleITK; `edit` alters the bytes."""
    path = FOLDER / name
    sitk.WriteImage(itk_image(values, directions), str(path), useCompression=compress)
    if edit:
        path.write_bytes(edit(path.read_bytes()))
    expect_itk(name, **more)


def by_hand(name, lines, data):
    """A header of these lines; what SimpleITK makes of it is what is expected."""
    header = "\n".join(["ObjectType = Image", *lines, "ElementDataFile = LOCAL", ""])
    (FOLDER / name).write_bytes(header.encode() + data)
    expect_itk(name)


def metaimage_files():
    for word, (kind, _) in TYPES.items():
        metaimage(f"type-{word}.mha", voxels(kind))
    for word in ["u8", "i16", "f32"]:
        metaimage(f"zlib-{word}.mha", voxels(TYPES[word][0]), compress=True)
    metaimage("raw.mhd", voxels(np.int16), data="raw.raw")
    metaimage("zraw.mhd", voxels(np.int16), compress=True, data="zraw.zraw")
    metaimage("oblique.mha", voxels(np.float32), rotation())
    metaimage("oblique-flipped.mhd", voxels(np.uint16), -rotation(), data="oblique-flipped.raw")
    # The header BRATS 2015 has: axes of NIfTI's world turned round.
    metaimage("axes-RAS.mha", voxels(np.int16), np.diag([-1.0, -1.0, 1.0]))
    metaimage("axes-permuted.mha", voxels(np.int16), np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]))
    metaimage("crlf.mha", voxels(np.int16), edit=lambda content: content.replace(b"\n", b"\r\n", content.count(b" = ")))

    size = "DimSize = 4 5 3"
    little, big = voxels(np.int16).tobytes(order="F"), voxels(np.int16).astype(">i2").tobytes(order="F")
    by_hand("msb.mha", ["NDims = 3", size, "BinaryDataByteOrderMSB = True", "ElementType = MET_SHORT"], big)
    by_hand("msb-element.mha", ["NDims = 3", size, "ElementByteOrderMSB = True", "ElementType = MET_SHORT"], big)
    by_hand("long.mha", ["NDims = 3", size, "ElementType = MET_LONG"], voxels(np.int32).tobytes(order="F"))
    by_hand(
        "header-size.mha",
        ["NDims = 3", size, "HeaderSize = -1", "ElementType = MET_SHORT"],
        b"bytes between the header and the voxels" + little,
    )
    names = ["Position = 1 2 3", "Orientation = 0 1 0 0 0 1 1 0 0", "ElementSize = 2 3 4"]
    by_hand("other-names.mha", ["NDims = 3", size, *names, "ElementType = MET_SHORT"], little)
    names = ["Origin = 1 2 3", "Rotation = 0 1 0 0 0 1 1 0 0", "ElementSpacing = 2 3 4", "ElementSize = 1 1 1"]
    by_hand("other-names-again.mha", ["NDims = 3", size, *names, "ElementType = MET_SHORT"], little)
    packed = gzip.compress(little, mtime=0)
    by_hand(
        "gzip.mha",
        ["NDims = 3", size, "CompressedData = True", f"CompressedDataSize = {len(packed)}", "ElementType = MET_SHORT"],
        packed,
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    nifti_files()
    metaimage_files()
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(EXPECTED.items()))
    (FOLDER / "expected.json").write_text("{\n" + lines + "\n}\n")
    print(len(EXPECTED), "files,", sum(path.stat().st_size for path in FOLDER.iterdir()), "bytes")
