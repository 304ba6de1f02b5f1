//! Readers deliver the pixels other programs see, and answer anything else with an error that names the file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use shared::io::{Radiograph, read_radiograph};
use shared::{Error, Result};
use tests::{golden_dir, reference_data};

/// Files of a folder of goldens by name, without the list of what is expected.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the goldens are in the repository");
    let mut files: BTreeMap<_, _> = entries
        .map(|entry| entry.expect("readable").path())
        .map(|path| {
            (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(path).expect("readable"))
        })
        .collect();
    files.remove("expected.json");
    files
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(golden_dir().join(name)).expect("the goldens are in the repository")
}

fn hold_to_goldens(folder: &str) {
    let folder = golden_dir().join(folder);
    let expected = fs::read(folder.join("expected.json")).expect("the goldens are in the repository");
    let expected: BTreeMap<String, Value> = serde_json::from_slice(&expected).expect("JSON");
    let files = files(&folder);
    assert!(!expected.is_empty());
    for (name, expected) in &expected {
        let image = read_radiograph(name, &files[name]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(image.source, expected["source"].as_str().unwrap(), "{name}");
        assert_eq!(image.width as u64, expected["width"].as_u64().unwrap(), "{name}");
        assert_eq!(image.height as u64, expected["height"].as_u64().unwrap(), "{name}");
        assert_eq!(image.pixels.len(), image.width * image.height, "{name}");
        let stride = expected["stride"].as_u64().unwrap() as usize;
        let pixels = expected["pixels"].as_array().unwrap();
        assert_eq!(pixels.len(), image.pixels.len().div_ceil(stride), "{name}");
        let tolerance = expected["tolerance"].as_f64().unwrap();
        for (i, pixel) in pixels.iter().enumerate() {
            let (found, expected) = (f64::from(image.pixels[i * stride]), pixel.as_f64().unwrap());
            assert!((found - expected).abs() <= tolerance, "{name}, pixel {}: {found}, not {expected}", i * stride);
        }
    }
}

#[test]
fn dicom_files_look_as_pydicom_shows_them() {
    hold_to_goldens("dicom");
}

#[test]
fn png_and_jpeg_files_look_as_pillow_reads_them() {
    hold_to_goldens("raster");
}

/// Name, width, height, mean, and the pixels at (w/2, h/2), (w/3, h/4), (2w/3, 3h/4), from pydicom 3.0.2 with
/// pylibjpeg, the functions of `golden/dicom.py` and Pillow 13.0.0. Lossy streams may differ by two levels of 255.
const REAL_FILES: [(&str, usize, usize, f64, [f32; 3]); 11] = [
    (
        "dicom/1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm",
        1024,
        1024,
        0.629_133,
        [0.815_686, 0.368_627, 0.760_784],
    ),
    ("dicom/CT_small.dcm", 128, 128, 0.376_600, [0.872_516, 0.573_437, 0.411_537]),
    ("dicom/Fake_MONOHR1.dcm", 1024, 1024, 0.370_867, [0.184_314, 0.631_373, 0.239_216]),
    ("dicom/JPEG-LL.dcm", 256, 1024, 0.049_350, [0.046_763, 0.176_259, 0.003_597]),
    ("dicom/MR_small.dcm", 64, 64, 0.443_378, [0.238_899, 0.284_553, 0.252_658]),
    ("dicom/MR_small_RLE.dcm", 64, 64, 0.443_378, [0.238_899, 0.284_553, 0.252_658]),
    ("dicom/RG1_J2KI", 1841, 1955, 0.753_610, [0.888_596, 0.511_750, 0.822_594]),
    ("dicom/RG3_RLE", 1760, 1760, 0.696_079, [0.738_025, 0.076_246, 0.059_629]),
    ("dicom/gdcm-CR-MONO1-10-chest.dcm", 440, 440, 0.546_570, [0.758_553, 0.425_220, 0.615_836]),
    ("xray.png", 512, 512, 0.499_580, [0.576_471, 0.235_294, 0.733_333]),
    ("xray.jpg", 1036, 885, 0.703_140, [0.831_373, 0.301_961, 0.788_235]),
];

#[test]
fn real_files_look_as_other_programs_show_them() {
    let Some(data) = reference_data() else { return };
    for (name, width, height, mean, pixels) in REAL_FILES {
        let bytes = fs::read(data.join("samples").join(name)).unwrap();
        let image = read_radiograph(name, &bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((image.width, image.height), (width, height), "{name}");
        let is_lossy = image.source.contains("JPEG") && !image.source.contains("Lossless");
        let tolerance = if is_lossy { 2.0 / 255.0 } else { 2e-6 };
        let places = [(width / 2, height / 2), (width / 3, height / 4), (width * 2 / 3, height * 3 / 4)];
        for ((x, y), expected) in places.into_iter().zip(pixels) {
            let found = image.pixels[y * width + x];
            assert!((found - expected).abs() <= tolerance, "{name} ({}) at {x}, {y}: {found}", image.source);
        }
        let found = image.pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / image.pixels.len() as f64;
        assert!((found - mean).abs() <= 1e-3, "{name}: mean {found}");
    }
}

#[test]
fn real_folders_are_read_completely() {
    let Some(data) = reference_data() else { return };
    for folder in ["nih-cxr/images", "covid-cxr/images"] {
        for (name, bytes) in files(&data.join(folder)).into_iter().step_by(9) {
            let image = read_radiograph(&name, &bytes).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((image.width, image.height), (256, 256), "{name}");
            assert!(is_in_range(&image), "{name}");
        }
    }
}

fn is_in_range(image: &Radiograph) -> bool {
    image.pixels.iter().all(|p| (0.0..=1.0).contains(p))
}

fn refusal(name: &str, bytes: &[u8]) -> Error {
    let error = read_radiograph(name, bytes).expect_err(name);
    assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
    error
}

#[test]
fn what_the_project_does_not_read_is_said_by_name() {
    let error = refusal("animated.png", &golden("raster/animated"));
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("animated")), "{error}");
    for name in ["cmyk", "ycck"] {
        let error = refusal(name, &golden(&format!("raster/{name}")));
        assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("CMYK")), "{error}");
    }
    assert!(matches!(refusal("empty.dcm", b""), Error::EmptyFile { .. }));
    let error = refusal("report.dcm", b"No acute cardiopulmonary abnormality.");
    assert!(matches!(&error, Error::UnknownFormat { found, .. } if found == "text"), "{error}");
    let error = refusal("scan.png", b"GIF89a\x01\0\x01\0");
    assert!(matches!(&error, Error::UnknownFormat { found, .. } if found == "a GIF image"), "{error}");
}

#[test]
fn an_enormous_image_is_refused_from_its_header() {
    let mut png = golden("raster/png-8-1");
    png[16..24].copy_from_slice(&[0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10]);
    let mut jpeg = golden("raster/jpeg-grey");
    let frame = jpeg.windows(4).position(|w| w == [0xFF, 0xC0, 0x00, 0x0B]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x27, 0x10, 0x27, 0x10]);
    let dicom = with_value(
        &with_value(&golden("dicom/explicit-u12"), (0x28, 0x10), &[0x10, 0x27]),
        (0x28, 0x11),
        &[0x10, 0x27],
    );
    for (name, bytes) in [("x.png", png), ("x.jpg", jpeg), ("x.dcm", dicom)] {
        let error = refusal(name, &bytes);
        assert!(matches!(error, Error::TooManyPixels { width: 10_000, height: 10_000, .. }), "{error}");
    }
}

/// Where an element of a file in Explicit VR Little Endian begins, and where its value and the next one.
fn element(bytes: &[u8], (group, element): (u16, u16)) -> (usize, usize, usize) {
    let tag = [group.to_le_bytes(), element.to_le_bytes()].concat();
    let at = bytes.windows(4).position(|window| window == tag).expect("the element is there");
    let is_long = matches!(&bytes[at + 4..at + 6], b"OB" | b"OW");
    let value = at + if is_long { 12 } else { 8 };
    let length = if is_long {
        u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize
    } else {
        usize::from(u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]))
    };
    (at, value, value + length)
}

/// The same file without the element.
fn without(bytes: &[u8], tag: (u16, u16)) -> Vec<u8> {
    let (at, _, end) = element(bytes, tag);
    [&bytes[..at], &bytes[end..]].concat()
}

/// The same file with a value of the same length in the element.
fn with_value(bytes: &[u8], tag: (u16, u16), value: &[u8]) -> Vec<u8> {
    let (_, at, end) = element(bytes, tag);
    assert_eq!(value.len(), end - at);
    [&bytes[..at], value, &bytes[end..]].concat()
}

#[test]
fn a_missing_or_impossible_attribute_is_named() {
    let file = golden("dicom/explicit-u12");
    for (tag, name) in [
        ((0x0002, 0x0010), "(0002,0010) TransferSyntaxUID"),
        ((0x0028, 0x0002), "(0028,0002) SamplesPerPixel"),
        ((0x0028, 0x0004), "(0028,0004) PhotometricInterpretation"),
        ((0x0028, 0x0010), "(0028,0010) Rows"),
        ((0x0028, 0x0011), "(0028,0011) Columns"),
        ((0x0028, 0x0100), "(0028,0100) BitsAllocated"),
        ((0x0028, 0x0101), "(0028,0101) BitsStored"),
        ((0x0028, 0x0102), "(0028,0102) HighBit"),
        ((0x0028, 0x0103), "(0028,0103) PixelRepresentation"),
        ((0x7FE0, 0x0010), "(7FE0,0010) PixelData"),
    ] {
        let error = refusal("cut.dcm", &without(&file, tag));
        let is_missing = |problem: &str| problem == "is missing";
        assert!(
            matches!(&error, Error::DicomAttribute { tag, problem, .. } if tag == name && is_missing(problem)),
            "{error}"
        );
    }
    for (tag, value, name) in [
        ((0x0028, 0x0010), [0, 0], "(0028,0010) Rows"),
        ((0x0028, 0x0011), [9, 0], "(7FE0,0010) PixelData"),
        ((0x0028, 0x0002), [3, 0], "(0028,0002) SamplesPerPixel"),
        ((0x0028, 0x0101), [17, 0], "(0028,0101) BitsStored"),
        ((0x0028, 0x0102), [3, 0], "(0028,0102) HighBit"),
        ((0x0028, 0x0103), [7, 0], "(0028,0103) PixelRepresentation"),
    ] {
        let error = refusal("odd.dcm", &with_value(&file, tag, &value));
        assert!(matches!(&error, Error::DicomAttribute { tag, .. } if tag == name), "{error}");
    }
    let window = golden("dicom/window-linear-2");
    for tag in [(0x0028, 0x1050), (0x0028, 0x1051)] {
        assert!(matches!(refusal("half.dcm", &without(&window, tag)), Error::DicomAttribute { .. }));
    }
    let error = refusal("wide.dcm", &with_value(&window, (0x0028, 0x1051), b"NaN   "));
    assert!(matches!(&error, Error::DicomAttribute { problem, .. } if problem.contains("`NaN`")), "{error}");
    let error = refusal("float.dcm", &with_value(&file, (0x0028, 0x0100), &[32, 0]));
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("32 bits")), "{error}");
}

#[test]
fn several_frames_are_refused() {
    let file = golden("dicom/explicit-u12");
    let (at, ..) = element(&file, (0x0028, 0x0010));
    let frames = b"\x28\x00\x08\x00IS\x02\x0012";
    let error = refusal("cine.dcm", &[&file[..at], frames, &file[at..]].concat());
    assert!(matches!(&error, Error::Unsupported { what, .. } if what == "an image with 12 frames"), "{error}");
}

#[test]
fn a_transfer_syntax_that_is_not_read_is_named() {
    let file = golden("dicom/rle-u12");
    let (_, at, end) = element(&file, (0x0002, 0x0010));
    for (uid, expected) in [
        ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"),
        ("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Lossless"),
        ("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"),
        ("1.2.3", "unknown"),
    ] {
        let padded = format!("{uid}{}", if uid.len() % 2 == 1 { "\0" } else { "" });
        let mut other = [&file[..at], padded.as_bytes(), &file[end..]].concat();
        other[at - 2] = padded.len() as u8;
        let error = refusal("x.dcm", &other);
        let Error::TransferSyntax { name, uid: found, .. } = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), found.as_str()), (expected, uid));
    }
}

/// A file that breaks off is an error; where only an end mark is lost it may still be the whole image.
#[test]
fn truncated_files_are_errors_or_the_whole_image() {
    for folder in ["dicom", "raster"] {
        for (name, bytes) in files(&golden_dir().join(folder)) {
            let whole = read_radiograph(&name, &bytes).ok();
            let mut cuts_read = 0;
            for cut in 0..bytes.len() {
                if let Ok(image) = read_radiograph(&name, &bytes[..cut]) {
                    assert_eq!(Some(&image), whole.as_ref(), "{name} cut at byte {cut} of {}", bytes.len());
                    cuts_read += 1;
                }
            }
            assert!(cuts_read <= 20, "{name}: {cuts_read} cuts go unnoticed");
        }
    }
}

#[test]
fn real_files_cut_off_anywhere_are_errors() {
    let Some(data) = reference_data() else { return };
    for (name, ..) in REAL_FILES {
        let bytes = fs::read(data.join("samples").join(name)).unwrap();
        for part in [0, 1, 2, 5, 17, 50, 77, 95] {
            let cut = bytes.len() * part / 100;
            assert!(read_radiograph(name, &bytes[..cut]).is_err(), "{name} cut at {part}%");
        }
    }
}

#[test]
fn deep_nesting_is_passed_over() {
    let file = golden("dicom/explicit-u12");
    let (at, ..) = element(&file, (0x0028, 0x0002));
    let sequence = b"\x09\x00\x01\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff".repeat(200_000);
    let open = [&file[..at], &sequence, &file[at..]].concat();
    assert!(matches!(refusal("deep.dcm", &open), Error::Damaged { .. }));
    let ends = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0".repeat(200_000);
    let closed = [&file[..at], &sequence, &ends, &file[at..]].concat();
    assert_eq!(read_radiograph("deep.dcm", &closed).unwrap(), read_radiograph("deep.dcm", &file).unwrap());
}

/// What must hold of every answer.
fn is_sound(answer: Result<Radiograph>) -> bool {
    answer.is_err() || answer.is_ok_and(|image| image.pixels.len() == image.width * image.height && is_in_range(&image))
}

/// How many cases a property is tried on; the environment variable `PROPTEST_CASES` takes precedence.
pub(crate) fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn random_bytes_never_panic(
        start in prop::sample::select(vec![
            &b""[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff", b"DICM", b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0",
            b"\x08\0\x05\0CS\x04\0abcd", b"\x08\0\x05\0\x04\0\0\0abcd", b"\0\x08\0\x05CS\0\x04abcd",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        prop_assert!(is_sound(read_radiograph("random", &[start, &bytes].concat())));
    }

    #[test]
    fn damaged_files_never_panic(
        file in prop::sample::select(every_golden()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), edit()), 1..8),
    ) {
        let mut bytes = file;
        for (at, edit) in edits {
            edit.apply(at.index(bytes.len()), &mut bytes);
        }
        prop_assert!(is_sound(read_radiograph("damaged", &bytes)));
    }
}

fn every_golden() -> Vec<Vec<u8>> {
    ["dicom", "raster"].iter().flat_map(|folder| files(&golden_dir().join(folder)).into_values()).collect()
}

/// One way to damage a file.
#[derive(Debug, Clone)]
enum Edit {
    Set(u8),
    Flip(u8),
    Insert(Vec<u8>),
    Remove(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        prop::sample::select(vec![0u8, 1, 0x7f, 0x80, 0xd9, 0xfe, 0xff]).prop_map(Edit::Set),
        any::<u8>().prop_map(Edit::Set),
        (0u8..8).prop_map(|bit| Edit::Flip(1 << bit)),
        prop::collection::vec(any::<u8>(), 1..8).prop_map(Edit::Insert),
        (1usize..40).prop_map(Edit::Remove),
    ]
}

impl Edit {
    fn apply(self, at: usize, bytes: &mut Vec<u8>) {
        match self {
            Self::Set(value) => bytes[at] = value,
            Self::Flip(bit) => bytes[at] ^= bit,
            Self::Insert(more) => drop(bytes.splice(at..at, more)),
            Self::Remove(n) => drop(bytes.drain(at..(at + n).min(bytes.len() - 1).max(at))),
        }
    }
}
