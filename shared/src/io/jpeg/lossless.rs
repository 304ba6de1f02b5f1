//! The lossless process of JPEG, which most compressed radiographs use: prediction from neighbours, Huffman codes.
//!
//! The crate `jpeg-decoder` reads it too, but forgets to reset the prediction at restart markers and scales the point
//! transform before predicting.
//!
//! Source: ITU-T T.81, annexes C, F.2.2 and H.

use super::Frame;
use super::segments::Segments;
use crate::error::Result;
use crate::io::format::Origin;

/// Samples of all components, interleaved: `[height, width, components]`.
pub(super) fn decode(origin: Origin<'_>, bytes: &[u8], frame: Frame) -> Result<Vec<u16>> {
    let damaged = |reason: &str| origin.damaged(format!("JPEG Lossless: {reason}"));
    let mut tables: [Option<HuffmanTable>; 4] = [None, None, None, None];
    let mut restart_rows = 0;
    for segment in Segments::new(bytes) {
        match segment.marker {
            0xC3 => {
                // Sampling factors of each component.
                let factors = segment.payload.get(7..).unwrap_or_default().iter().step_by(3);
                if factors.take(frame.components.into()).any(|&factor| factor != 0x11) && frame.components > 1 {
                    return Err(origin.unsupported("lossless JPEG with reduced colour", "convert it to PNG"));
                }
            }
            0xC4 => {
                define_tables(segment.payload, &mut tables).ok_or_else(|| damaged("an impossible Huffman table"))?;
            }
            0xDD => {
                let interval = segment.payload.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
                if frame.width == 0 || interval % frame.width != 0 {
                    return Err(damaged("the restart interval is not a number of rows"));
                }
                restart_rows = usize::from(interval / frame.width);
            }
            0xDA => {
                let scan = Scan::parse(segment.payload, frame, &tables)
                    .ok_or_else(|| damaged("a scan header that does not fit the image"))?;
                return scan
                    .decode(segment.scan, frame, restart_rows)
                    .ok_or_else(|| damaged("invalid or missing code"));
            }
            _ => {}
        }
    }
    Err(damaged("there is no scan"))
}

/// For every 16 bits that may come next: how many of them are the code, and the value it stands for.
struct HuffmanTable {
    codes: Vec<(u8, u8)>,
}

/// Reads the tables of one segment; `None` if it breaks the rules.
fn define_tables(mut payload: &[u8], tables: &mut [Option<HuffmanTable>; 4]) -> Option<()> {
    while let [selector, rest @ ..] = payload {
        let counts: &[u8; 16] = rest.first_chunk()?;
        let n_values = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
        let values = rest.get(16..16 + n_values)?;
        payload = &rest[16 + n_values..];
        // The upper half of the selector is the class: the lossless process uses class 0 alone.
        if selector >> 4 == 0 {
            *tables.get_mut(usize::from(*selector))? = Some(HuffmanTable::new(counts, values)?);
        }
    }
    Some(())
}

impl HuffmanTable {
    /// `None` if the lengths leave no room for all codes.
    fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut codes = Vec::with_capacity(1 << 16);
        let mut values = values.iter();
        for (length, &count) in (1u8..).zip(counts) {
            for &value in values.by_ref().take(count.into()) {
                codes.resize(codes.len() + (1 << (16 - length)), (length, value));
                if codes.len() > 1 << 16 {
                    return None;
                }
            }
        }
        codes.resize(1 << 16, (0, 0));
        Some(Self { codes })
    }
}

struct Scan<'a> {
    /// Table of each component.
    tables: Vec<&'a HuffmanTable>,
    predictor: u8,
    point_transform: u8,
}

impl<'a> Scan<'a> {
    /// `None` if a component, a table or the predictor is not possible.
    fn parse(payload: &[u8], frame: Frame, tables: &'a [Option<HuffmanTable>; 4]) -> Option<Self> {
        let (&n, rest) = payload.split_first()?;
        if n != frame.components {
            return None;
        }
        let selectors = rest.get(..2 * usize::from(n))?;
        let tables: Option<Vec<_>> = selectors
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[_, table]| tables.get(usize::from(table >> 4))?.as_ref())
            .collect();
        let &[predictor, _, approximation, ..] = rest.get(2 * usize::from(n)..)? else { return None };
        let point_transform = approximation & 0x0F;
        if !(1..=7).contains(&predictor) || point_transform >= frame.precision {
            return None;
        }
        Some(Self { tables: tables?, predictor, point_transform })
    }

    /// `None` if the codes end too early or make no sense.
    fn decode(&self, coded: &[u8], frame: Frame, restart_rows: usize) -> Option<Vec<u16>> {
        let channels = self.tables.len();
        let stride = usize::from(frame.width) * channels;
        let first = 1i32 << (frame.precision - self.point_transform - 1);
        let mut samples = vec![0u16; stride * usize::from(frame.height)];
        let mut bits = BitReader::new(coded);
        for y in 0..usize::from(frame.height) {
            let restarts = restart_rows > 0 && y > 0 && y.is_multiple_of(restart_rows);
            if restarts {
                bits.restart()?;
            }
            let is_first_row = y == 0 || restarts;
            let (above, row) = samples.split_at_mut(y * stride);
            let above = if is_first_row { &[][..] } else { &above[(y - 1) * stride..] };
            for i in 0..stride {
                let left = i.checked_sub(channels);
                let at = |row: &[u16], i: usize| i32::from(row[i]);
                let prediction = match (left, is_first_row) {
                    (None, true) => first,
                    (None, false) => at(above, i),
                    (Some(left), true) => at(row, left),
                    (Some(left), false) => predict(self.predictor, at(row, left), at(above, i), at(above, left)),
                };
                let difference = bits.difference(self.tables[i % channels])?;
                row[i] = (prediction + difference) as u16; // modulo 2^16
            }
        }
        for sample in &mut samples {
            *sample <<= self.point_transform;
        }
        Some(samples)
    }
}

/// Table H.1, from the left, the upper and the upper left neighbour.
fn predict(predictor: u8, a: i32, b: i32, c: i32) -> i32 {
    match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}

/// Reads codes from one scan, highest bit first.
struct BitReader<'a> {
    rest: &'a [u8],
    /// The next bits, in its lowest `available` bits.
    bits: u64,
    available: u32,
}

impl<'a> BitReader<'a> {
    fn new(coded: &'a [u8]) -> Self {
        Self { rest: coded, bits: 0, available: 0 }
    }

    /// Takes bytes until 48 bits are there, a marker comes or the data ends.
    fn fill(&mut self) {
        while self.available <= 48 {
            let (byte, used) = match self.rest {
                [0xFF, 0x00, ..] => (0xFF, 2),
                [0xFF, ..] | [] => return,
                [byte, ..] => (*byte, 1),
            };
            self.rest = &self.rest[used..];
            self.bits = self.bits << 8 | u64::from(byte);
            self.available += 8;
        }
    }

    /// The next `count` bits; `None` at the end.
    fn take(&mut self, count: u32) -> Option<u32> {
        self.available = self.available.checked_sub(count)?;
        Some((self.bits >> self.available) as u32 & ((1 << count) - 1))
    }

    /// One coded difference: F.2.2.1 and H.1.2.2.
    fn difference(&mut self, table: &HuffmanTable) -> Option<i32> {
        if self.available < 32 {
            self.fill();
        }
        // Zeros stand in for bits after the end; a code that would need them is refused by `take`.
        let window = if self.available >= 16 {
            (self.bits >> (self.available - 16)) as u16
        } else {
            (self.bits << (16 - self.available)) as u16
        };
        let (length, category) = table.codes[usize::from(window)];
        if length == 0 {
            return None;
        }
        self.take(length.into())?;
        match category {
            0 => Some(0),
            1..=15 => {
                let value = self.take(category.into())? as i32;
                Some(if value < 1 << (category - 1) { value - (1 << category) + 1 } else { value })
            }
            16 => Some(32768),
            _ => None,
        }
    }

    /// Passes a restart marker; `None` if there is none.
    fn restart(&mut self) -> Option<()> {
        let at = self.rest.windows(2).position(|pair| pair[0] == 0xFF && matches!(pair[1], 0xD0..=0xD7))?;
        *self = Self::new(&self.rest[at + 2..]);
        Some(())
    }
}
