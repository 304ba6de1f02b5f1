//! X-rays as users have them: the page's samples, and other formats made of them.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{GrayImage, ImageFormat};
use xtask::process::root;

/// A file name and its content.
pub(crate) type NamedFile = (String, Vec<u8>);

/// The sample x-rays of the page.
pub(crate) fn samples() -> Vec<NamedFile> {
    let folder = root().join("static/samples");
    let entries = fs::read_dir(&folder).expect("static/samples is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "png"));
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no PNG file", folder.display());
    let read = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        (name.to_owned(), fs::read(path).expect("readable"))
    };
    paths.iter().map(read).collect()
}

/// A real x-ray in PNG.
pub(crate) fn png() -> NamedFile {
    samples().swap_remove(0)
}

/// The same in JPEG.
pub(crate) fn jpeg() -> NamedFile {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(&pixels(512)).expect("encodes");
    ("x-ray.jpg".to_owned(), bytes)
}

/// The same as a DICOM file, with 12 bits a pixel, dark where the x-ray is bright (MONOCHROME1), and a name without
/// an ending, as files come from a hospital's archive.
pub(crate) fn dicom() -> NamedFile {
    let side = 256u16;
    let pixels: Vec<u8> =
        pixels(u32::from(side)).iter().flat_map(|&p| (4095 - u16::from(p) * 16).to_le_bytes()).collect();
    let mut body = Vec::new();
    let text = |body: &mut Vec<u8>, tag, vr, value: &str| element(body, tag, vr, &padded(value));
    text(&mut body, (0x0008, 0x0016), "UI", DIGITAL_X_RAY);
    text(&mut body, (0x0008, 0x0018), "UI", "1.2.826.0.1.3680043.10.1");
    text(&mut body, (0x0008, 0x0060), "CS", "DX");
    let short = |body: &mut Vec<u8>, tag, value: u16| element(body, tag, "US", &value.to_le_bytes());
    short(&mut body, (0x0028, 0x0002), 1); // Samples per Pixel
    text(&mut body, (0x0028, 0x0004), "CS", "MONOCHROME1");
    short(&mut body, (0x0028, 0x0010), side); // Rows
    short(&mut body, (0x0028, 0x0011), side); // Columns
    short(&mut body, (0x0028, 0x0100), 16); // Bits Allocated
    short(&mut body, (0x0028, 0x0101), 12); // Bits Stored
    short(&mut body, (0x0028, 0x0102), 11); // High Bit
    short(&mut body, (0x0028, 0x0103), 0); // Pixel Representation
    text(&mut body, (0x0028, 0x1050), "DS", "2048"); // Window Center
    text(&mut body, (0x0028, 0x1051), "DS", "4096"); // Window Width
    element(&mut body, (0x7FE0, 0x0010), "OW", &pixels);

    let mut meta = Vec::new();
    element(&mut meta, (0x0002, 0x0001), "OB", &[0, 1]);
    text(&mut meta, (0x0002, 0x0002), "UI", DIGITAL_X_RAY);
    text(&mut meta, (0x0002, 0x0003), "UI", "1.2.826.0.1.3680043.10.1");
    text(&mut meta, (0x0002, 0x0010), "UI", "1.2.840.10008.1.2.1"); // Explicit VR Little Endian
    text(&mut meta, (0x0002, 0x0012), "UI", "1.2.826.0.1.3680043.10.2");
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    element(&mut file, (0x0002, 0x0000), "UL", &(meta.len() as u32).to_le_bytes());
    file.extend(meta);
    file.extend(body);
    ("IM000001".to_owned(), file)
}

/// Digital X-Ray Image Storage, for presentation.
const DIGITAL_X_RAY: &str = "1.2.840.10008.5.1.4.1.1.1.1";

/// Appends a data element in explicit value representation, little endian.
///
/// Source: DICOM PS3.5, section 7.1.2.
fn element(out: &mut Vec<u8>, (group, number): (u16, u16), vr: &str, value: &[u8]) {
    out.extend(group.to_le_bytes());
    out.extend(number.to_le_bytes());
    out.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OW") {
        out.extend([0, 0]);
        out.extend((value.len() as u32).to_le_bytes());
    } else {
        out.extend((value.len() as u16).to_le_bytes());
    }
    out.extend(value);
}

/// A text value, made even in length.
fn padded(value: &str) -> Vec<u8> {
    let mut bytes = value.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        let identifier = value.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()) && value.contains('.');
        bytes.push(if identifier { 0 } else { b' ' });
    }
    bytes
}

/// The first sample as a grey square.
fn pixels(side: u32) -> GrayImage {
    let (_, bytes) = png();
    let image = image::load(Cursor::new(bytes), ImageFormat::Png).expect("a PNG file");
    image.resize_exact(side, side, FilterType::Triangle).to_luma8()
}
