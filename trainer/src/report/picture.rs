//! Pictures inside a page.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};

use crate::error::{Error, Result};

/// A picture as it is written into a page: `[height, width]` pixels of one byte, grey.
pub(super) fn grey(name: &str, size: [usize; 2], pixels: &[u8]) -> Result<String> {
    data_uri(name, size, pixels, ExtendedColorType::L8)
}

/// The same of four bytes a pixel: red, green, blue and opacity.
pub(super) fn rgba(name: &str, size: [usize; 2], pixels: &[u8]) -> Result<String> {
    data_uri(name, size, pixels, ExtendedColorType::Rgba8)
}

fn data_uri(name: &str, [width, height]: [usize; 2], pixels: &[u8], colour: ExtendedColorType) -> Result<String> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive)
        .write_image(pixels, width as u32, height as u32, colour)
        .map_err(|error| Error::File {
            path: name.into(),
            action: "cannot make a picture of it",
            source: std::io::Error::other(error),
        })?;
    Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_back() {
        let uri = grey("a", [3, 2], &[0, 50, 100, 150, 200, 250]).unwrap();
        let png = BASE64_STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let read = image::load_from_memory(&png).unwrap().into_luma8();
        assert_eq!((read.dimensions(), read.into_raw()), ((3, 2), vec![0, 50, 100, 150, 200, 250]));
        let error = rgba("scan 7", [3, 2], &[0; 24]).err();
        assert!(error.is_none(), "{error:?}");
    }
}
