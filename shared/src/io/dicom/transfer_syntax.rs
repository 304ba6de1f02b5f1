//! Transfer syntaxes: how elements and pixels are coded.
//!
//! Source: PS3.5 annex A; names from PS3.6 table A-1.

use super::dataset::Encoding;
use crate::error::{Error, Result};
use crate::io::format::Origin;

/// A transfer syntax that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TransferSyntax {
    /// How the elements of the data set are written.
    pub(super) encoding: Encoding,
    /// How the pixels are written.
    pub(super) pixels: PixelCoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PixelCoding {
    Native,
    Rle,
    Jpeg,
    JpegLossless,
    Jpeg2000,
}

/// What the standard names and this program does not read.
const NOT_READ: [(&str, &str); 28] = [
    ("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless"),
    ("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component Lossless"),
    ("1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component"),
    ("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
    ("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate"),
    ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level"),
    ("1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level"),
    ("1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level"),
    ("1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level"),
    ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    ("1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    ("1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    ("1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    ("1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    ("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1"),
    ("1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
    ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
    ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"),
    ("1.2.840.10008.1.2.4.112", "JPEG XL"),
    ("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Lossless"),
    ("1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL Options Lossless"),
    ("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000"),
    ("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced"),
    ("1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate"),
    ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
];

impl TransferSyntax {
    /// The transfer syntax of a unique identifier.
    ///
    /// # Errors
    ///
    /// [`Error::TransferSyntax`] for one that is not read.
    pub(super) fn from_uid(origin: Origin<'_>, uid: &str) -> Result<Self> {
        let (encoding, pixels) = match uid {
            "1.2.840.10008.1.2" => (Encoding::ImplicitLittle, PixelCoding::Native),
            "1.2.840.10008.1.2.1" => (Encoding::ExplicitLittle, PixelCoding::Native),
            "1.2.840.10008.1.2.2" => (Encoding::ExplicitBig, PixelCoding::Native),
            // Baseline (process 1) and Extended (processes 2 and 4).
            "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51" => (Encoding::ExplicitLittle, PixelCoding::Jpeg),
            // Process 14, with any predictor and with the first.
            "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => {
                (Encoding::ExplicitLittle, PixelCoding::JpegLossless)
            }
            "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => (Encoding::ExplicitLittle, PixelCoding::Jpeg2000),
            "1.2.840.10008.1.2.5" => (Encoding::ExplicitLittle, PixelCoding::Rle),
            _ => {
                let name = NOT_READ.iter().find(|(known, _)| *known == uid).map_or("unknown", |(_, name)| name);
                return Err(Error::TransferSyntax {
                    file: origin.file.to_owned(),
                    name: name.to_owned(),
                    uid: uid.to_owned(),
                });
            }
        };
        Ok(Self { encoding, pixels })
    }

    /// Short name of the coding of the pixels, for people.
    pub(super) fn label(self) -> &'static str {
        match self.pixels {
            PixelCoding::Native => "uncompressed",
            PixelCoding::Rle => "RLE",
            PixelCoding::Jpeg => "JPEG",
            PixelCoding::JpegLossless => "JPEG Lossless",
            PixelCoding::Jpeg2000 => "JPEG 2000",
        }
    }
}
