//! The networks that the page ships, and which of them can answer from what is there.

use std::sync::Arc;

use shared::ModalitySet;
use shared::io::SegmenterCard;
use shared::io::segmenter_card::SubsetCard;

/// Folders below `models/`, in the order of the menu.
pub const SHIPPED: [&str; 7] = ["mri-t1c", "mri-flair", "mri-t2", "mri-t1", "mri-mean", "mri-hemis", "mri-mlp"];

/// Name of the model that a person gave.
pub const OWN: &str = "own";

/// A model of the menu.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its folder, or [`OWN`].
    pub name: String,
    /// What it is.
    pub card: Arc<SegmenterCard>,
}

impl Entry {
    /// What it uses of the sequences that are there; `None` if it cannot answer from them.
    pub fn used(&self, present: ModalitySet) -> Option<ModalitySet> {
        self.card.architecture.used(present)
    }

    /// Its kind and, of one that reads certain sequences, these: `CMIM (FLAIR)`.
    pub fn title(&self) -> String {
        let name = self.card.name.strip_prefix("MRI, ").unwrap_or(&self.card.name);
        match &self.card.architecture {
            shared::model::segmenter::SegmenterConfig::Unet { inputs, .. } => format!("{name} ({inputs})"),
            _ => name.to_owned(),
        }
    }
}

/// How a model did with certain sequences where it was measured: on its own kind of data first, then on others.
pub fn measured(card: &SegmenterCard, used: ModalitySet) -> Vec<(&SubsetCard, &str)> {
    let own = card.subset(used).map(|subset| (subset, card.evaluation.as_str()));
    let elsewhere = card.elsewhere.iter().filter_map(|measured| {
        let subset = measured.subsets.iter().find(|subset| subset.present == used)?;
        Some((subset, measured.data.as_str()))
    });
    own.into_iter().chain(elsewhere).filter(|(subset, _)| subset.dice.is_some()).collect()
}

/// Of the models that can answer from what is there, the one with the highest Dice on its own test: the first of equals.
pub fn best(models: &[Entry], present: ModalitySet) -> Option<&Entry> {
    let dice = |entry: &Entry| -> Option<f64> {
        let used = entry.used(present)?;
        Some(entry.card.subset(used).and_then(|subset| subset.dice).map_or(0.0, |dice| dice.value))
    };
    let mut best: Option<(&Entry, f64)> = None;
    for entry in models {
        if let Some(dice) = dice(entry)
            && best.is_none_or(|(_, highest)| dice > highest)
        {
            best = Some((entry, dice));
        }
    }
    best.map(|(entry, _)| entry)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The shipped models' cards.
    pub(crate) fn shipped() -> Vec<Entry> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../static");
        let entry = |name: &str| {
            let json = fs::read(folder.join(crate::browser::card_path(name))).expect("a card");
            let card = SegmenterCard::from_json(name, &json).expect("a valid card");
            Entry { name: name.to_owned(), card: Arc::new(card) }
        };
        SHIPPED.into_iter().map(entry).collect()
    }

    fn set(text: &str) -> ModalitySet {
        text.parse().expect("a set")
    }

    #[test]
    fn whatever_is_there_has_a_model() {
        let models = shipped();
        for present in ModalitySet::all() {
            let entry = best(&models, present).expect("a model");
            let used = entry.used(present).expect("it can answer");
            assert!(present.contains_all(used));
            assert!(!measured(&entry.card, used).is_empty(), "{present}: {}", entry.name);
        }
    }

    #[test]
    fn the_best_one_is_taken_and_knows_what_it_reads() {
        let models = shipped();
        assert_eq!(best(&models, set("flair")).expect("a model").title(), "CMIM (FLAIR)");
        let flair = models.iter().find(|entry| entry.name == "mri-flair").expect("shipped");
        assert_eq!(flair.used(set("t1+t2")), None);
        // Of generated heads and of real ones.
        assert_eq!(measured(&flair.card, set("flair")).len(), 2);
    }
}
