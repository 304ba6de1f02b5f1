//! Whether two runs were given the same data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a run learns from, in short: a number of items and a hash for each kind, such as `images` or `labels`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(BTreeMap<String, Print>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Print {
    n: usize,
    sha256: String,
}

impl Fingerprint {
    /// Adds a kind; its order counts.
    #[must_use]
    pub fn with(mut self, kind: &str, items: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let (mut n, mut hash) = (0, Sha256::new());
        for item in items {
            let item = item.as_ref();
            // The length too, so that nothing moves unseen from one item to the next.
            hash.update((item.len() as u64).to_le_bytes());
            hash.update(item);
            n += 1;
        }
        let sha256 = format!("{:x}", hash.finalize());
        self.0.insert(kind.to_owned(), Print { n, sha256 });
        self
    }

    /// In what these data differ from those that a run began with, in words; nothing if they are the same.
    pub fn differences(&self, begun: &Self) -> Vec<String> {
        let n = |print: Option<&Print>| print.map_or(0, |print| print.n);
        let kinds = self.0.keys().chain(begun.0.keys().filter(|kind| !self.0.contains_key(*kind)));
        kinds
            .filter_map(|kind| match (self.0.get(kind), begun.0.get(kind)) {
                (now, then) if now == then => None,
                (now, then) if n(now) == n(then) => {
                    Some(format!("{kind}: {}, as many as before, but other ones", n(now)))
                }
                (now, then) => Some(format!("{kind}: {} now, {} when the run began", n(now), n(then))),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_kind() {
        let of = |names: &[&str], labels: &[&str]| Fingerprint::default().with("images", names).with("labels", labels);
        let begun = of(&["ab", "c"], &["x", "y"]);
        assert!(begun.differences(&begun).is_empty());
        assert_eq!(of(&["a", "bc"], &["x", "y"]).differences(&begun), ["images: 2, as many as before, but other ones"]);
        let more = of(&["ab", "c", "d"], &["x", "y"]).with("reports", ["r"]);
        assert_eq!(
            more.differences(&begun),
            ["images: 3 now, 2 when the run began", "reports: 1 now, 0 when the run began"]
        );
        assert_eq!(begun.differences(&more).len(), 2);
    }
}
