//! The x-rays that the page brings along. `static/samples/samples.json` is their one list.

use serde::Deserialize;

/// An x-ray that the page brings along.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Name of the file in `static/samples`.
    pub file: String,
    /// A few words for the button.
    pub title: String,
    /// What is known of the image and of the person.
    pub about: String,
    /// What its owner's labels say.
    pub labels: String,
    /// Where it comes from.
    pub source: String,
    /// What its owner allows.
    pub licence: String,
}

impl Sample {
    /// Where the file lies, relative to the page.
    pub fn path(&self) -> String {
        format!("samples/{}", self.file)
    }
}

/// The samples in the order of the page.
///
/// # Errors
///
/// If the list was broken when the page was built; a test holds it.
pub fn samples() -> serde_json::Result<Vec<Sample>> {
    serde_json::from_str(include_str!("../../../static/samples/samples.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_there_with_source_and_licence() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../static/samples/");
        let sources = std::fs::read_to_string(format!("{folder}SOURCES.md")).expect("SOURCES.md");
        let samples = samples().expect("a list");
        assert_eq!(samples.len(), 3);
        for sample in samples {
            let bytes = std::fs::read(format!("{folder}{}", sample.file)).expect("the file");
            assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{}", sample.file);
            assert!(sources.contains(&sample.file), "{} is not in SOURCES.md", sample.file);
            assert!(!sample.licence.is_empty() && !sample.source.is_empty() && !sample.labels.is_empty());
        }
    }
}
