//! Findings read from a report's text.

use shared::FindingSet;

/// placeholder until the readers are merged
pub fn findings(_text: &str) -> FindingSet {
    FindingSet::default()
}
