//! The methods that a lesson holds side by side, and which network answers for which set of sequences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::io::SegmenterCard;
use shared::metric::Interval;
use shared::{Modality, ModalitySet};

/// A method of the lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Method {
    /// Trained with all sequences, one network for each that may be left.
    Cmim,
    /// The same network, trained on its one sequence alone.
    UNet,
    /// Moments of feature maps, however many there are.
    Hemis,
    /// Missing sequences replaced by their mean.
    Mean,
    /// Missing sequences computed from the others.
    Mlp,
}

/// A shipped network by the name of its folder in `models`: `mri-flair`.
pub type Network = String;

impl Method {
    /// All, in the order of the page.
    pub const ALL: [Self; 5] = [Self::Cmim, Self::UNet, Self::Hemis, Self::Mean, Self::Mlp];

    /// Its name for people, the same in every language.
    pub fn label(self) -> &'static str {
        match self {
            Self::Cmim => "CMIM",
            Self::UNet => "U-Net",
            Self::Hemis => "HeMIS",
            Self::Mean => "Mean",
            Self::Mlp => "MLP",
        }
    }

    /// Its name in the document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cmim => "cmim",
            Self::UNet => "unet",
            Self::Hemis => "hemis",
            Self::Mean => "mean",
            Self::Mlp => "mlp",
        }
    }

    /// Whether each sequence has a network of its own, so that of several one has to be chosen.
    pub fn is_of_one_sequence(self) -> bool {
        matches!(self, Self::Cmim | Self::UNet)
    }

    /// All its networks.
    pub fn networks(self) -> Vec<Network> {
        match self {
            Self::Cmim => Modality::ALL.map(|modality| format!("mri-{}", modality.name())).to_vec(),
            Self::UNet => TWINS.iter().map(|modality| format!("mri-unet1-{}", modality.name())).collect(),
            Self::Hemis | Self::Mean | Self::Mlp => vec![format!("mri-{}", self.name())],
        }
    }

    /// The network that answers where these sequences are there, and those of them that it reads. Of networks for one
    /// sequence it is the one that was measured best. `None` where the method has none for them.
    pub fn answers(self, present: ModalitySet, cards: &Cards) -> Option<(Network, ModalitySet)> {
        if !self.is_of_one_sequence() {
            return Some((self.networks().swap_remove(0), present));
        }
        let candidates = self.networks().into_iter().filter_map(|network| {
            let set = cards.get(&network)?.subsets.first()?.present;
            set.iter().all(|modality| present.contains(modality)).then_some((network, set))
        });
        let dice = |(network, set): &(Network, ModalitySet)| {
            expected(cards.get(network), *set).map_or(0.0, |(dice, _)| dice.value)
        };
        candidates.max_by(|a, b| dice(a).total_cmp(&dice(b)))
    }
}

/// The sequences for which a twin of CMIM's network, trained on that sequence alone, is shipped.
pub const TWINS: [Modality; 0] = [];

/// The cards of the shipped networks.
pub type Cards = BTreeMap<Network, SegmenterCard>;

/// The Dice to expect of a network on other generated heads, with the number of heads that were measured.
pub fn expected(card: Option<&SegmenterCard>, present: ModalitySet) -> Option<(Interval, usize)> {
    let subset = card?.subset(present)?;
    Some((subset.dice?, subset.n))
}

/// The same on real patients.
pub fn expected_elsewhere(card: Option<&SegmenterCard>, present: ModalitySet) -> Option<(Interval, usize)> {
    let subset = card?.elsewhere.iter().flat_map(|data| &data.subsets).find(|subset| subset.present == present)?;
    Some((subset.dice?, subset.n))
}

/// The cards as they lie in `static/models`, for tests.
#[cfg(test)]
pub(crate) fn shipped_cards() -> Cards {
    let networks = Method::ALL.into_iter().flat_map(Method::networks);
    let read = |network: Network| {
        let path = format!("{}/../static/models/{network}/model.json", env!("CARGO_MANIFEST_DIR"));
        let json = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        (network, SegmenterCard::from_json("model.json", &json).expect("a card"))
    };
    networks.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(modalities: &[Modality]) -> ModalitySet {
        ModalitySet::new(modalities.iter().copied()).expect("not empty")
    }

    #[test]
    fn every_network_is_shipped_and_says_what_to_expect() {
        let cards = shipped_cards();
        for present in ModalitySet::all() {
            for method in [Method::Cmim, Method::Hemis, Method::Mean, Method::Mlp] {
                let (network, read) = method.answers(present, &cards).expect("an answer");
                assert!(expected(cards.get(&network), read).is_some(), "{network} with {present}");
            }
        }
    }

    #[test]
    fn of_several_sequences_cmim_reads_the_one_that_was_measured_best() {
        let cards = shipped_cards();
        let all = set(&Modality::ALL);
        assert_eq!(Method::Cmim.answers(all, &cards), Some(("mri-t1c".to_owned(), set(&[Modality::T1c]))));
        let two = set(&[Modality::T1, Modality::Flair]);
        assert_eq!(Method::Cmim.answers(two, &cards), Some(("mri-flair".to_owned(), set(&[Modality::Flair]))));
        assert_eq!(Method::Hemis.answers(two, &cards), Some(("mri-hemis".to_owned(), two)));
    }

    #[test]
    fn without_its_network_a_method_has_no_answer() {
        assert_eq!(Method::Cmim.answers(set(&[Modality::T2]), &Cards::new()), None);
    }
}
