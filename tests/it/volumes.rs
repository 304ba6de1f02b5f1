//! Volumes lie and look as SimpleITK and nibabel find them; what is written is read again; anything else is an error that
//! names the file.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use serde::Deserialize;
use shared::io::metaimage::{self, read_metaimage, write_metaimage};
use shared::io::nifti::{read_nifti, write_mask, write_nifti};
use shared::io::{Geometry, Volume, read_volume};
use shared::{Error, Result};
use tests::{golden_dir, reference_data};
use trainer::data::brats::{Layout, discover};

/// What another program finds in a file.
#[derive(Debug, Deserialize)]
struct Expected {
    size: [usize; 3],
    world_from_voxel: [[f64; 4]; 3],
    letters: String,
    volumes: Vec<Vec<f32>>,
    data: Option<String>,
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(golden_dir().join("volumes").join(name)).expect("the goldens are in the repository")
}

fn goldens() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&golden("expected.json")).expect("JSON")
}

fn is_nifti(name: &str) -> bool {
    name.contains(".nii")
}

/// Every volume of a golden file.
fn volumes(name: &str, expected: &Expected) -> Result<Vec<Volume>> {
    let bytes = golden(name);
    if is_nifti(name) {
        return read_nifti(name, &bytes);
    }
    let data_file = metaimage::data_file_name(name, &bytes)?;
    assert_eq!(data_file, expected.data, "{name}");
    let data = data_file.map(|data_file| (golden(&data_file), data_file));
    Ok(vec![read_metaimage(name, &bytes, data.as_ref().map(|(data, file)| (file.as_str(), data.as_slice())))?])
}

fn is_near(a: &Geometry, world_from_voxel: &[[f64; 4]; 3]) -> bool {
    let pairs = a.world_from_voxel.iter().flatten().zip(world_from_voxel.iter().flatten());
    pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn volumes_are_where_and_what_other_programs_find() {
    let goldens = goldens();
    assert!(goldens.len() > 60);
    for (name, expected) in &goldens {
        let volumes = volumes(name, expected).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(volumes.len(), expected.volumes.len(), "{name}");
        for (volume, voxels) in volumes.iter().zip(&expected.volumes) {
            let geometry = &volume.geometry;
            assert_eq!(geometry.size, expected.size, "{name}");
            assert!(is_near(geometry, &expected.world_from_voxel), "{name}: {geometry:?}");
            assert_eq!(geometry.orientation().letters(), expected.letters, "{name}");
            let wrong = volume.voxels.iter().zip(voxels).position(|(a, b)| (a - b).abs() > b.abs() * 1e-6);
            assert_eq!(wrong, None, "{name}: {:?} and {voxels:?}", volume.voxels);
        }
    }
}

#[test]
fn one_volume_is_read_whatever_the_file_is_called() {
    for (name, expected) in &goldens() {
        match read_volume("volume.bin", &golden(name)) {
            Ok(volume) => assert_eq!(volume.voxels.len(), expected.volumes[0].len(), "{name}"),
            Err(Error::SeveralVolumes { n_volumes, .. }) => assert_eq!(n_volumes, expected.volumes.len(), "{name}"),
            Err(Error::DataFileNeeded { data_file, .. }) => assert_eq!(Some(data_file), expected.data, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    for (name, expected) in &goldens() {
        let volume = volumes(name, expected).unwrap().swap_remove(0);
        let by_nifti = read_volume("x.nii.gz", &write_nifti(&volume).unwrap()).unwrap();
        assert_eq!(by_nifti.voxels, volume.voxels, "{name}");
        assert!(is_near(&by_nifti.geometry, &volume.geometry.world_from_voxel), "{name}: {:?}", by_nifti.geometry);
        // What 32 bits can hold comes back to the last bit.
        let again = read_volume("x.nii.gz", &write_nifti(&by_nifti).unwrap()).unwrap();
        assert_eq!(again, by_nifti, "{name}");
        for compression in [metaimage::Compression::Plain, metaimage::Compression::Zlib] {
            let by_itk = read_volume("x.mha", &write_metaimage(&volume, compression).unwrap()).unwrap();
            assert_eq!(by_itk.voxels, volume.voxels, "{name}");
            assert!(is_near(&by_itk.geometry, &volume.geometry.world_from_voxel), "{name}: {:?}", by_itk.geometry);
        }
        let labels: Vec<u8> = (0..volume.voxels.len()).map(|i| (i % 5) as u8).collect();
        let mask = read_volume("mask.nii.gz", &write_mask(&volume.geometry, &labels).unwrap()).unwrap();
        assert_eq!(mask.voxels, labels.iter().copied().map(f32::from).collect::<Vec<_>>(), "{name}");
        assert_eq!(mask.geometry, by_nifti.geometry, "{name}");
    }
}

/// A written rotation is read as the matrix it came from, also by programs that look at nothing else.
#[test]
fn the_rotation_that_is_written_is_the_matrix() {
    for name in ["axes-LPS.nii.gz", "axes-AIL.nii.gz", "axes-SRP.nii.gz", "oblique-sform.nii.gz", "oblique.mha"] {
        let volume = read_volume(name, &golden(name)).unwrap();
        let packed = write_nifti(&volume).unwrap();
        let mut bytes = unpacked(&packed);
        assert_eq!(&bytes[252..254], &[1, 0], "{name}: a rotation");
        bytes[254..256].fill(0); // no sform
        let geometry = read_volume(name, &bytes).unwrap().geometry;
        let pairs = geometry.world_from_voxel.iter().flatten().zip(volume.geometry.world_from_voxel.iter().flatten());
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5), "{name}: {geometry:?}");
    }
    let sheared = read_volume("sheared", &golden("sheared.nii.gz")).unwrap();
    assert_eq!(unpacked(&write_nifti(&sheared).unwrap())[252..254], [0, 0], "no rotation");
}

fn refusal(name: &str, bytes: &[u8]) -> Error {
    let error = read_volume(name, bytes).expect_err(name);
    assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
    error
}

/// Places of a file and the bytes to put there.
type Edits<'a> = &'a [(usize, &'a [u8])];

/// A golden file with other bytes in some places.
fn with(name: &str, edits: Edits) -> Vec<u8> {
    let mut bytes = golden(name);
    for (at, value) in edits {
        bytes[*at..*at + value.len()].copy_from_slice(value);
    }
    bytes
}

#[test]
fn what_is_no_volume_is_said_by_name() {
    assert!(matches!(refusal("empty.nii", b""), Error::EmptyFile { .. }));
    for (bytes, words) in [
        (&b"\x89PNG\r\n\x1a\n"[..], "a PNG image"),
        (&[&[0; 128][..], b"DICM"].concat(), "a DICOM file"),
        (b"No acute abnormality.", "text"),
        (b"NRRD0005\n", "an NRRD volume"),
        (b"ObjectType = Tube\n", "text"),
    ] {
        let error = refusal("x.nii", bytes);
        assert!(matches!(&error, Error::UnknownVolumeFormat { found, .. } if found == words), "{error}");
    }
    let packed = golden("../dicom/explicit-u12");
    let error = refusal("x.nii.gz", &gzip(&packed));
    assert!(error.to_string().contains("a gzip archive; in it: a DICOM file"), "{error}");
    let analyze = with("type-u8.nii", &[(344, b"\0\0\0\0")]);
    assert!(refusal("x.img", &analyze).to_string().contains("ANALYZE"));
    let pair = with("type-u8.nii", &[(344, b"ni1\0")]);
    assert!(matches!(refusal("x.hdr", &pair), Error::Unsupported { what, .. } if what.contains(".img")));
    let second = [&540i32.to_le_bytes()[..], b"n+2\0\r\n\x1a\n", &[0; 600]].concat();
    assert!(matches!(refusal("x.nii", &second), Error::Unsupported { what, .. } if what.contains("second version")));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_header_that_makes_no_sense_is_named() {
    let nan = f32::NAN.to_le_bytes();
    let file = "type-i16.nii"; // sform, little-endian
    let edits: [(&str, Edits); 10] = [
        ("dim[0]", &[(40, &[2, 0])]),
        ("dim[0]", &[(40, &[0, 0])]),
        ("dim", &[(42, &[0, 0])]),
        ("dim", &[(42, &[0xff, 0xff])]),
        ("dim", &[(40, &[5, 0]), (50, &[2, 0])]),
        ("vox_offset", &[(108, &100f32.to_le_bytes())]),
        ("vox_offset", &[(108, &nan)]),
        ("sform", &[(280, &nan)]),
        ("sform", &[(280, &[0; 48])]),
        ("scl_inter", &[(112, &2f32.to_le_bytes()), (116, &nan)]),
    ];
    for (name, edits) in edits {
        let error = refusal("odd.nii", &with(file, edits));
        assert!(matches!(&error, Error::VolumeHeader { field, .. } if *field == name), "{name}: {error}");
    }
    let error = refusal("odd.nii", &with("pixdim-only.nii", &[(80, &[0; 4])]));
    assert!(matches!(&error, Error::VolumeHeader { field: "pixdim", .. }), "{error}");
    for (kind, words) in [(128i16, "Rgb24"), (32, "Complex64"), (1, "number 1"), (-7, "number -7")] {
        let error = refusal("odd.nii", &with(file, &[(70, &kind.to_le_bytes())]));
        assert!(matches!(&error, Error::VoxelType { found, .. } if found.contains(words)), "{error}");
    }

    for (old, new, name) in [
        ("NDims = 3", "NDims = 2", "NDims"),
        ("NDims = 3", "NDims = three", "NDims"),
        ("DimSize = 4 5 3", "DimSize = 4 5", "DimSize"),
        ("DimSize = 4 5 3", "DimSize = 4 0 3", "DimSize"),
        ("DimSize = 4 5 3", "DimSize = 4 -5 3", "DimSize"),
        ("DimSize = 4 5 3\n", "", "DimSize"),
        ("ElementSpacing = 0.5 1.25 3", "ElementSpacing = 0.5 1.25 -3", "ElementSpacing"),
        ("ElementSpacing = 0.5 1.25 3", "ElementSpacing = 0.5 1.25", "ElementSpacing"),
        ("Offset = -12.5", "Offset = nan", "Offset"),
        ("TransformMatrix = 1 0 0", "TransformMatrix = 0 0 1", "TransformMatrix"),
        ("CompressedData = False", "CompressedData = maybe", "CompressedData"),
        ("BinaryData = True", "BinaryData = False", "BinaryData"),
        ("ElementDataFile = LOCAL", "ElementDataFile = LIST", "ElementDataFile"),
        ("ElementDataFile = LOCAL", "ElementDataFile = slice%03d.raw 1 3 1", "ElementDataFile"),
        ("NDims = 3", "HeaderSize = -2\nNDims = 3", "HeaderSize"),
        ("NDims = 3", "HeaderSize = 999\nNDims = 3", "HeaderSize"),
        ("NDims = 3", "ElementByteOrderMSB = True\nNDims = 3", "BinaryDataByteOrderMSB"),
        ("ElementType = MET_SHORT\n", "", "ElementType"),
    ] {
        let error = refusal("odd.mha", &replaced("type-i16.mha", old, new));
        assert!(matches!(&error, Error::VolumeHeader { field, .. } if *field == name), "{name}: {error}");
    }
    for (old, new) in [("NDims = 3", "ElementNumberOfChannels = 3\nNDims = 3"), ("MET_SHORT", "MET_UCHAR_ARRAY")] {
        assert!(matches!(refusal("odd.mha", &replaced("type-i16.mha", old, new)), Error::VoxelType { .. }));
    }
    for new in ["NDims 3 = 3\nsome text\nNDims = 3", "NDims = 3\nsome text"] {
        assert!(matches!(refusal("odd.mha", &replaced("type-i16.mha", "NDims = 3", new)), Error::Damaged { .. }));
    }
    let series = replaced("type-i16.mha", "NDims = 3", "NDims = 4");
    let series = String::from_utf8_lossy(&series).replace("DimSize = 4 5 3", "DimSize = 4 5 3 7");
    assert!(matches!(refusal("series.mha", series.as_bytes()), Error::SeveralVolumes { n_volumes: 7, .. }));
}

/// A golden MetaImage file with another text in its header.
fn replaced(name: &str, old: &str, new: &str) -> Vec<u8> {
    let bytes = golden(name);
    let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).expect(old);
    [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
}

#[test]
fn a_fourth_dimension_of_one_is_no_series() {
    let file = golden("type-i16.mha");
    let mut text = String::from_utf8_lossy(&file[..file.len() - 120]).into_owned();
    for (old, new) in [
        ("NDims = 3", "NDims = 4"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"),
        ("7\n", "7 0\n"),
        ("1.25 3\n", "1.25 3 1\n"),
        ("4 5 3", "4 5 3 1"),
    ] {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    let flat = [text.as_bytes(), &file[file.len() - 120..]].concat();
    assert_eq!(read_volume("flat.mha", &flat).unwrap(), read_volume("x.mha", &file).unwrap());
}

#[test]
fn more_voxels_than_bytes_are_refused_before_memory_is_taken() {
    // 1000 x 1000 x 1000 floats would be 4 GB.
    let huge: Edits = &[(42, &[0xe8, 3, 0xe8, 3, 0xe8, 3])];
    let plain = with("type-f32.nii", huge);
    for bytes in [gzip(&plain), plain] {
        let error = refusal("huge.nii", &bytes);
        assert!(matches!(&error, Error::TooFewVoxels { expected: 4_000_000_000, .. }), "{error}");
    }
    for name in ["type-f32.mha", "zlib-f32.mha"] {
        let error = refusal("huge.mha", &replaced(name, "DimSize = 4 5 3", "DimSize = 1000 1000 1000"));
        assert!(matches!(&error, Error::TooFewVoxels { expected: 4_000_000_000, .. }), "{error}");
    }
    let error = refusal("huge.nii", &with("type-f32.nii", &[(42, &[0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f])]));
    assert!(matches!(&error, Error::TooManyVoxels { n_voxels: 35_181_150_961_663, .. }), "{error}");
    let more = "DimSize = 4000000000 4000000000 4000000000";
    let error = refusal("huge.mha", &replaced("type-f32.mha", "DimSize = 4 5 3", more));
    assert!(matches!(&error, Error::TooManyVoxels { n_voxels: u64::MAX, .. }), "{error}");
    // One more than there are.
    let error = refusal("short.nii", &with("type-f32.nii", &[(42, &[61, 0, 1, 0, 1, 0])]));
    assert!(matches!(&error, Error::TooFewVoxels { expected: 244, found: 240, .. }), "{error}");
}

#[test]
fn a_voxel_that_is_no_number_is_named() {
    let at = 352 + 4 * (4 * 5 * 2 + 4 * 3 + 1);
    for (number, words) in [(f32::NAN, "voxel (1, 3, 2) is NaN"), (f32::NEG_INFINITY, "voxel (1, 3, 2) is -inf")] {
        let bytes = with("type-f32.nii", &[(at, &number.to_le_bytes())]);
        for bytes in [gzip(&bytes), bytes] {
            assert!(refusal("nan.nii", &bytes).to_string().contains(words));
        }
    }
    let huge = with("type-f64.nii", &[(352, &1e300f64.to_le_bytes())]);
    assert!(refusal("huge.nii", &huge).to_string().contains("voxel (0, 0, 0) is inf"));
}

#[test]
fn truncated_files_are_errors() {
    for name in goldens().keys() {
        let bytes = golden(name);
        if name == "header-size.mha" {
            continue; // Its voxels are the last bytes, wherever those are.
        }
        for cut in 0..bytes.len() {
            assert!(read_volume(name, &bytes[..cut]).is_err(), "{name} cut at byte {cut} of {}", bytes.len());
        }
    }
    let (header, data) = (golden("zraw.mhd"), golden("zraw.zraw"));
    for cut in 0..data.len() {
        let error = read_metaimage("zraw.mhd", &header, Some(("zraw.zraw", &data[..cut]))).unwrap_err();
        assert!(error.to_string().starts_with("zraw.zraw: "), "{error}");
    }
    let mut changed = data;
    let at = changed.len() - 1; // of the checksum
    changed[at] ^= 1;
    assert!(read_metaimage("zraw.mhd", &header, Some(("zraw.zraw", &changed))).is_err());
}

/// Size, letters, and mean of the voxels, from nibabel 5.4.2.
const REAL_FILES: [(&str, [usize; 3], &str, f64); 11] = [
    ("samples/nifti/avg152T1_LR_nifti.nii.gz", [91, 109, 91], "LAS", 82.897_161_5),
    ("samples/nifti/brainchop_t1_crop.nii.gz", [256, 256, 256], "LIA", 16.634_400_8),
    ("samples/nifti/minimal.nii", [64, 64, 10], "LAS", 31.5),
    ("samples/nifti/zstat1.nii.gz", [64, 64, 21], "LAS", 0.135_420_992),
    (
        "open-ms/patient07/FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz",
        [182, 218, 182],
        "LAS",
        13.410_139_8,
    ),
    (
        "open-ms/patient19/GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz",
        [182, 218, 182],
        "LAS",
        0.006_892_228_15,
    ),
    ("tcga-glioma/TCGA-DU-7294/TCGA-DU-7294_t1.nii.gz", [240, 240, 155], "LPS", 50.661_169_2),
    ("tcga-glioma/TCGA-FG-6692/TCGA-FG-6692_t2.nii.gz", [240, 240, 155], "LPS", 65.295_367_2),
    ("tcga-glioma/TCGA-FG-6692/TCGA-FG-6692_fused_algorithms_seg.nii.gz", [240, 240, 155], "LPS", 0.008_015_344_98),
    ("brats2015-flair-t1c/brats_2013_pat0003_1/Flair_subtrMeanDivStd.nii.gz", [240, 240, 155], "LPS", -2.560_960_37),
    ("brats2015-flair-t1c/brats_2013_pat0006_1/OTMultiClass.nii.gz", [240, 240, 155], "LPS", 0.056_217_293_9),
];

#[test]
fn real_files_look_as_nibabel_reads_them() {
    let Some(data) = reference_data() else { return };
    for (name, size, letters, mean) in REAL_FILES {
        let bytes = fs::read(data.join(name)).unwrap();
        let volume = read_volume(name, &bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((volume.geometry.size, volume.geometry.orientation().letters().as_str()), (size, letters), "{name}");
        let found = volume.voxels.iter().map(|&v| f64::from(v)).sum::<f64>() / volume.voxels.len() as f64;
        assert!((found - mean).abs() <= 1e-5 * mean.abs().max(1.0), "{name}: mean {found}");
        for part in [0, 1, 17, 50, 95] {
            assert!(read_volume(name, &bytes[..bytes.len() * part / 100]).is_err(), "{name} cut at {part}%");
        }
    }
}

#[test]
fn real_masks_hold_labels_of_their_sequences() {
    let Some(data) = reference_data() else { return };
    for (folder, mask, n_labels) in
        [("brats2015-flair-t1c", "OTMultiClass", 5), ("tcga-glioma", "_seg.", 5), ("open-ms", "GOLD_STANDARD", 2)]
    {
        for patient in fs::read_dir(data.join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            if !patient.is_dir() {
                continue;
            }
            let files = fs::read_dir(&patient).unwrap().map(|entry| entry.unwrap().path());
            let mut sizes = Vec::new();
            for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "gz")) {
                let name = path.display().to_string();
                let volume = read_volume(&name, &fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{error}"));
                sizes.push(volume.geometry.size);
                if name.contains(mask) {
                    let is_label = |v: &f32| v.fract() == 0.0 && (0.0..n_labels as f32).contains(v);
                    assert!(volume.voxels.iter().all(is_label), "{name}");
                    assert!(volume.voxels.iter().any(|&v| v > 0.0), "{name}");
                }
            }
            assert!(sizes.len() >= 4 && sizes.iter().all(|size| *size == sizes[0]), "{}: {sizes:?}", patient.display());
        }
    }
}

#[test]
fn real_scans_are_listed() {
    let Some(data) = reference_data() else { return };
    let listing = discover(&data.join("brats2015-flair-t1c")).unwrap();
    assert_eq!((listing.layout, listing.scans.len(), listing.notes.len()), (Layout::Prepared, 4, 4));
    for scan in &listing.scans {
        assert_eq!(scan.sequences.each_ref().map(Option::is_some), [true, false, true, false], "{}", scan.name);
        assert!(scan.truth.as_ref().is_some_and(|truth| truth.path.is_file()), "{}", scan.name);
    }
}

/// What must hold of every answer.
fn is_sound(answer: Result<Vec<Volume>>) -> bool {
    let is_whole = |volume: &Volume| {
        volume.voxels.len() == volume.geometry.n_voxels() && volume.voxels.iter().all(|voxel| voxel.is_finite())
    };
    answer.is_err() || answer.is_ok_and(|volumes| !volumes.is_empty() && volumes.iter().all(is_whole))
}

/// The answers of all readers to some bytes.
fn answers(bytes: &[u8]) -> [Result<Vec<Volume>>; 3] {
    drop(metaimage::data_file_name("x", bytes));
    let data: (&str, &[u8]) = ("x.raw", &[0; 64]);
    [
        read_volume("x", bytes).map(|volume| vec![volume.to_canonical()]),
        read_nifti("x", bytes),
        read_metaimage("x", bytes, Some(data)).map(|volume| vec![volume]),
    ]
}

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<String> = goldens().into_keys().collect();
    (prop::sample::select(names), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), 0..2u8)
        .prop_map(|(name, edits, packing)| {
            let mut bytes = golden(&name);
            // Behind a gzip checksum no damage gets as far as the header, so it is done before packing too.
            let is_packed = bytes.starts_with(b"\x1f\x8b") && packing == 1;
            if is_packed {
                bytes = unpacked(&bytes);
            }
            for (at, value) in edits {
                let at = at.index(bytes.len().min(420));
                bytes[at] = value;
            }
            if is_packed { gzip(&bytes) } else { bytes }
        })
}

fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(gzip), &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(crate::readers::cases(4000))]

    #[test]
    fn random_bytes_never_panic(
        start in prop::sample::select(vec![
            &b""[..], b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"ObjectType = Image\nNDims = 3\n",
            b"NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\n", b"NDims = 3\nElementDataFile = ",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        for answer in answers(&[start, &bytes].concat()) {
            prop_assert!(is_sound(answer));
        }
    }

    #[test]
    fn damaged_files_never_panic(bytes in damaged()) {
        for answer in answers(&bytes) {
            prop_assert!(is_sound(answer));
        }
    }
}
