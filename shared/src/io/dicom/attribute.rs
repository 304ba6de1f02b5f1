//! The attributes this reader looks at.

use std::fmt;

/// Group and element number of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u16, pub(super) u16);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.0, self.1)
    }
}

macro_rules! attributes {
    ($($name:ident = $group:literal, $element:literal;)*) => {
        /// An attribute by its keyword in PS3.6.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Attribute {
            $($name,)*
        }

        impl Attribute {
            pub(super) fn tag(self) -> Tag {
                match self {
                    $(Self::$name => Tag($group, $element),)*
                }
            }

            pub(super) fn from_tag(tag: Tag) -> Option<Self> {
                match tag {
                    $(Tag($group, $element) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

attributes! {
    TransferSyntaxUID = 0x0002, 0x0010;
    Modality = 0x0008, 0x0060;
    ViewPosition = 0x0018, 0x5101;
    SamplesPerPixel = 0x0028, 0x0002;
    PhotometricInterpretation = 0x0028, 0x0004;
    PlanarConfiguration = 0x0028, 0x0006;
    NumberOfFrames = 0x0028, 0x0008;
    Rows = 0x0028, 0x0010;
    Columns = 0x0028, 0x0011;
    BitsAllocated = 0x0028, 0x0100;
    BitsStored = 0x0028, 0x0101;
    HighBit = 0x0028, 0x0102;
    PixelRepresentation = 0x0028, 0x0103;
    PixelPaddingValue = 0x0028, 0x0120;
    PixelPaddingRangeLimit = 0x0028, 0x0121;
    WindowCenter = 0x0028, 0x1050;
    WindowWidth = 0x0028, 0x1051;
    RescaleIntercept = 0x0028, 0x1052;
    RescaleSlope = 0x0028, 0x1053;
    VOILUTFunction = 0x0028, 0x1056;
    FloatPixelData = 0x7FE0, 0x0008;
    DoubleFloatPixelData = 0x7FE0, 0x0009;
    PixelData = 0x7FE0, 0x0010;
}

/// Number and keyword: `(0028,0010) Rows`.
impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self:?}", self.tag())
    }
}
