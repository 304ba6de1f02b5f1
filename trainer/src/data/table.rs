//! Comma-separated tables with a header, read so that every error names its file and line.

use super::error::{DataError, Result};

/// A table with the columns one asked for, in the order one asked.
pub(super) struct Table<const N: usize> {
    /// Line number and cells of each row.
    pub(super) rows: Vec<(u64, [String; N])>,
}

impl<const N: usize> Table<N> {
    /// Reads the named columns; others are ignored.
    ///
    /// # Errors
    ///
    /// An empty file, text that is not UTF-8, a missing column, no rows, a row of another length than the header.
    pub(super) fn parse(file: &str, bytes: &[u8], columns: [&'static str; N]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| DataError::NotUtf8 {
            file: file.to_owned(),
            line: bytes[..error.valid_up_to()].split(|&b| b == b'\n').count() as u64,
        })?;
        // Spreadsheets put a byte-order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(DataError::EmptyFile { file: file.to_owned() });
        }
        let damaged = |error: csv::Error| DataError::Row {
            file: file.to_owned(),
            line: error.position().map_or(1, csv::Position::line),
            reason: match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("{len} fields, the header has {expected_len}")
                }
                _ => error.to_string(),
            },
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(damaged)?.clone();
        let mut positions = [0; N];
        for (position, column) in positions.iter_mut().zip(columns) {
            *position = header.iter().position(|name| name == column).ok_or_else(|| DataError::MissingColumn {
                file: file.to_owned(),
                column,
                found: header.iter().collect::<Vec<_>>().join(", "),
            })?;
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(damaged)?;
            let line = record.position().map_or(1, csv::Position::line);
            rows.push((line, positions.map(|position| record[position].to_owned())));
        }
        if rows.is_empty() {
            return Err(DataError::NoRows { file: file.to_owned() });
        }
        Ok(Self { rows })
    }
}

/// Checks that a cell is the name of a file in a folder, and not a path that leads elsewhere.
pub(super) fn check_file_name(file: &str, line: u64, image: &str) -> Result<()> {
    if image.is_empty() || image.contains(['/', '\\']) || image == ".." {
        let reason = format!("image `{image}` is not a file name");
        return Err(DataError::Row { file: file.to_owned(), line, reason });
    }
    Ok(())
}

/// A patient number: below the generated patients' numbers.
pub(super) fn parse_patient(file: &str, line: u64, cell: &str) -> Result<u32> {
    cell.parse().ok().filter(|&patient| patient < super::phantom::FIRST_PATIENT).ok_or_else(|| DataError::PatientId {
        file: file.to_owned(),
        line,
        value: cell.to_owned(),
    })
}
