//! The elements of a DICOM file: finds the attributes that matter and passes over all others, nested ones included.
//!
//! Source: PS3.5 chapter 7 and annex A, PS3.10 chapter 7.

use super::attribute::{Attribute, Tag};
use super::attribute_error;
use super::transfer_syntax::{PixelCoding, TransferSyntax};
use crate::error::Result;
use crate::io::format::Origin;

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    ImplicitLittle,
    ExplicitLittle,
    ExplicitBig,
}

/// The attributes of an image, its pixels still coded.
pub(super) struct Dataset<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) syntax: TransferSyntax,
    /// First occurrence of every attribute of the outermost level.
    elements: Vec<(Attribute, &'a [u8])>,
    /// Absent if the file has none.
    pub(super) pixel_data: Option<PixelData<'a>>,
}

/// The value of the Pixel Data attribute.
pub(super) enum PixelData<'a> {
    /// Samples one after the other.
    Native {
        bytes: &'a [u8],
        /// Written as 16-bit words whatever the size of a sample.
        in_words: bool,
    },
    /// Compressed data in fragments, without the offset table.
    Encapsulated(Vec<&'a [u8]>),
}

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED_LENGTH: u32 = u32::MAX;

/// Value representations whose length takes 32 bits.
const LONG_VRS: [&[u8; 2]; 13] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];
const SHORT_VRS: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
];

/// Whether the bytes are a DICOM file, or a data set without preamble that begins as an image's does.
pub(crate) fn is_dicom(bytes: &[u8]) -> bool {
    has_preamble(bytes) || bytes.starts_with(b"DICM") || bare_encoding(bytes).is_some()
}

fn has_preamble(bytes: &[u8]) -> bool {
    bytes.get(128..).is_some_and(|rest| rest.starts_with(b"DICM"))
}

/// Encoding of a data set without preamble, told by its first element: group 0002 or 0008 with a plausible length.
fn bare_encoding(bytes: &[u8]) -> Option<Encoding> {
    [Encoding::ExplicitLittle, Encoding::ExplicitBig, Encoding::ImplicitLittle].into_iter().find(|&encoding| {
        let mut reader = Reader { bytes, position: 0, encoding };
        let Some(header) = reader.header() else { return false };
        let group_fits = header.tag.0 == 0x0008 || header.tag.0 == 0x0002 && encoding == Encoding::ExplicitLittle;
        let remaining = bytes.len() - reader.position;
        group_fits && header.tag.1 <= 0x1FFF && header.length < 1024 && header.length as usize <= remaining
    })
}

#[derive(Debug, Clone, Copy)]
struct Header {
    tag: Tag,
    /// Absent in the implicit encoding and for items.
    vr: Option<[u8; 2]>,
    length: u32,
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    encoding: Encoding,
}

impl<'a> Reader<'a> {
    fn is_at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// Tag, representation and length; `None` where the data ends or is no element.
    fn header(&mut self) -> Option<Header> {
        let rest = self.bytes.get(self.position..)?;
        let encoding = self.encoding;
        let tag = Tag(encoding.u16(*rest.first_chunk()?), encoding.u16(*rest[2..].first_chunk()?));
        let after = &rest[4..];
        let is_item = tag.0 == 0xFFFE;
        let (vr, length, size) = if is_item || encoding == Encoding::ImplicitLittle {
            (None, encoding.u32(*after.first_chunk()?), 8)
        } else {
            let vr: [u8; 2] = *after.first_chunk()?;
            if LONG_VRS.contains(&&vr) {
                (Some(vr), encoding.u32(*after.get(4..)?.first_chunk()?), 12)
            } else if SHORT_VRS.contains(&&vr) {
                (Some(vr), u32::from(encoding.u16(*after.get(2..)?.first_chunk()?)), 8)
            } else {
                return None;
            }
        };
        self.position += size;
        Some(Header { tag, vr, length })
    }

    fn value(&mut self, length: u32) -> Option<&'a [u8]> {
        let end = self.position.checked_add(length as usize)?;
        let value = self.bytes.get(self.position..end)?;
        self.position = end;
        Some(value)
    }

    /// Passes over a value of undefined length; `None` if its end is not there.
    ///
    /// Sequences and items of undefined length nest: their depth is counted instead of recursing.
    fn skip_undefined(&mut self, vr: Option<[u8; 2]>) -> Option<()> {
        let encoding = self.encoding;
        // A sequence whose representation the writer did not know is written implicitly: PS3.5, 6.2.2, note 4.
        let mut implicit_from = (vr == Some(*b"UN")).then_some(1usize);
        let mut depth = 1usize;
        while depth > 0 {
            self.encoding = if implicit_from.is_some() { Encoding::ImplicitLittle } else { encoding };
            let header = self.header()?;
            match header.tag {
                ITEM_END | SEQUENCE_END => {
                    depth -= 1;
                    if implicit_from.is_some_and(|from| depth < from) {
                        implicit_from = None;
                    }
                }
                _ if header.length == UNDEFINED_LENGTH => {
                    depth += 1;
                    if header.vr == Some(*b"UN") && implicit_from.is_none() {
                        implicit_from = Some(depth);
                    }
                }
                _ => {
                    self.value(header.length)?;
                }
            }
        }
        self.encoding = encoding;
        Some(())
    }

    /// The fragments of encapsulated pixel data; the first item is the offset table.
    fn fragments(&mut self) -> Option<Vec<&'a [u8]>> {
        let mut items = Vec::new();
        loop {
            let header = self.header()?;
            match header.tag {
                ITEM => items.push(self.value(header.length)?),
                SEQUENCE_END => break,
                _ => return None,
            }
        }
        if items.is_empty() {
            return None;
        }
        items.remove(0);
        Some(items)
    }
}

impl Encoding {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self == Self::ExplicitBig { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self == Self::ExplicitBig { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

impl<'a> Dataset<'a> {
    /// Reads the elements up to the pixel data.
    pub(super) fn parse(origin: Origin<'a>, bytes: &'a [u8]) -> Result<Self> {
        let start = if has_preamble(bytes) {
            132
        } else if bytes.starts_with(b"DICM") {
            4
        } else {
            0
        };
        let mut reader = Reader { bytes, position: start, encoding: Encoding::ExplicitLittle };
        let syntax = if let Some(uid) = read_meta(origin, &mut reader)? {
            TransferSyntax::from_uid(origin, &uid)?
        } else {
            let encoding = bare_encoding(&bytes[reader.position..])
                .ok_or_else(|| attribute_error(origin, Attribute::TransferSyntaxUID, "is missing"))?;
            TransferSyntax { encoding, pixels: PixelCoding::Native }
        };
        reader.encoding = syntax.encoding;
        let mut dataset = Self { origin, syntax, elements: Vec::new(), pixel_data: None };
        while !reader.is_at_end() && dataset.pixel_data.is_none() {
            dataset.read_element(&mut reader)?;
        }
        Ok(dataset)
    }

    fn read_element(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let origin = self.origin;
        let offset = reader.position;
        let header =
            reader.header().ok_or_else(|| origin.damaged(format!("there is no valid element at byte {offset}")))?;
        let cut_off = || origin.damaged(format!("the data ends within element {} at byte {offset}", header.tag));
        let attribute = Attribute::from_tag(header.tag);
        if header.length == UNDEFINED_LENGTH {
            if attribute == Some(Attribute::PixelData) {
                self.pixel_data = Some(PixelData::Encapsulated(reader.fragments().ok_or_else(cut_off)?));
            } else {
                reader.skip_undefined(header.vr).ok_or_else(cut_off)?;
            }
            return Ok(());
        }
        let value = reader.value(header.length).ok_or_else(cut_off)?;
        match attribute {
            Some(Attribute::PixelData) => {
                let in_words = header.vr == Some(*b"OW");
                self.pixel_data = Some(PixelData::Native { bytes: value, in_words });
            }
            Some(attribute) if self.bytes(attribute).is_none() => self.elements.push((attribute, value)),
            _ => {}
        }
        Ok(())
    }

    /// Value of an attribute as it stands in the file.
    pub(super) fn bytes(&self, attribute: Attribute) -> Option<&'a [u8]> {
        self.elements.iter().find(|(known, _)| *known == attribute).map(|(_, value)| *value)
    }

    /// First value of a text attribute without its padding; `None` if it is absent or empty.
    pub(super) fn text(&self, attribute: Attribute) -> Option<String> {
        let value = self.bytes(attribute)?;
        let first = value.split(|&byte| byte == b'\\').next().unwrap_or_default();
        let text = String::from_utf8_lossy(first);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// First value of a number written in text (DS, IS); `None` if it is absent or empty.
    pub(super) fn number(&self, attribute: Attribute) -> Result<Option<f64>> {
        let Some(text) = self.text(attribute) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(attribute_error(self.origin, attribute, format!("is `{text}`, which is no number"))),
        }
    }

    /// First value of a 16-bit attribute; `None` if it is absent or empty.
    pub(super) fn u16(&self, attribute: Attribute) -> Result<Option<u16>> {
        match self.bytes(attribute) {
            None | Some([]) => Ok(None),
            Some([a, b, ..]) => Ok(Some(self.syntax.encoding.u16([*a, *b]))),
            Some(_) => Err(attribute_error(self.origin, attribute, "is shorter than its 2 bytes")),
        }
    }

    /// First value of a 16-bit attribute that must be there.
    pub(super) fn required_u16(&self, attribute: Attribute) -> Result<u16> {
        self.u16(attribute)?.ok_or_else(|| attribute_error(self.origin, attribute, "is missing"))
    }
}

/// Reads the file meta information (group 0002), always little endian with explicit representations, if there is any:
/// the identifier of the transfer syntax.
fn read_meta(origin: Origin<'_>, reader: &mut Reader<'_>) -> Result<Option<String>> {
    let mut has_meta = false;
    let mut uid = None;
    loop {
        let rest = reader.bytes.get(reader.position..).unwrap_or_default();
        if !rest.starts_with(&[0x02, 0x00]) {
            break;
        }
        has_meta = true;
        let offset = reader.position;
        let damaged = || origin.damaged(format!("the file meta information breaks off at byte {offset}"));
        let header = reader.header().ok_or_else(damaged)?;
        let value = reader.value(header.length).ok_or_else(damaged)?;
        if Attribute::from_tag(header.tag) == Some(Attribute::TransferSyntaxUID) {
            let text = String::from_utf8_lossy(value);
            uid = Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned());
        }
    }
    if has_meta && uid.as_ref().is_none_or(String::is_empty) {
        return Err(attribute_error(origin, Attribute::TransferSyntaxUID, "is missing"));
    }
    Ok(uid)
}
