//! The marker segments of a JPEG stream.
//!
//! Source: ITU-T T.81, B.1.

/// One marker with what follows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'a> {
    /// Second byte of the marker; 0xD9 is the end of the image.
    pub(crate) marker: u8,
    /// Parameters, without their length; empty for markers that have none.
    pub(crate) payload: &'a [u8],
    /// After a start of scan: the coded data with its restart markers and stuffed bytes. Else empty.
    pub(crate) scan: &'a [u8],
}

/// Iterates over the segments; ends after the end of the image or where the data stops.
pub(crate) struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    /// Of a stream that begins with the start of an image.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes.get(2..).unwrap_or_default() }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        loop {
            // Any number of fill bytes may stand before a marker; what is no marker at all is passed over.
            let at = self.rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xFF))?;
            let marker = self.rest[at + 1];
            self.rest = &self.rest[at + 2..];
            match marker {
                0x01 | 0xD0..=0xD8 => {}
                0xD9 => {
                    self.rest = &[];
                    return Some(Segment { marker, payload: &[], scan: &[] });
                }
                _ => {
                    let length = usize::from(u16::from_be_bytes(*self.rest.first_chunk()?));
                    let payload = self.rest.get(2..length)?;
                    self.rest = &self.rest[length..];
                    let scan = if marker == 0xDA { scan_data(self.rest) } else { &[] };
                    self.rest = &self.rest[scan.len()..];
                    return Some(Segment { marker, payload, scan });
                }
            }
        }
    }
}

/// Up to the next marker that is neither a stuffed byte nor a restart.
fn scan_data(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xFF | 0xD0..=0xD7));
    &bytes[..end.unwrap_or(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_end_with_the_image() {
        let stream = b"\xff\xd8\xff\xe0\x00\x03A\xff\xff\xda\x00\x02\x12\xff\x00\xff\xd0\x34\xff\xd9\xff\xe0";
        let found: Vec<_> = Segments::new(stream).map(|s| (s.marker, s.payload.len(), s.scan.len())).collect();
        assert_eq!(found, [(0xE0, 1, 0), (0xDA, 0, 6), (0xD9, 0, 0)]);
    }

    #[test]
    fn a_length_beyond_the_data_ends_the_segments() {
        assert_eq!(Segments::new(b"\xff\xd8\xff\xe0\xff\xff").count(), 0);
        assert_eq!(Segments::new(b"\xff\xd8\xff\xe0\x00\x01AAA").count(), 0);
    }
}
