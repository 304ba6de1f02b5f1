//! The 14 findings of ChestX-ray14, the labels of every chest model here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the 14 findings. The order is that of the model's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the field's own")]
#[allow(non_camel_case_types, reason = "ChestX-ray14 spells it so, and the spelling is in files")]
pub enum Finding {
    Atelectasis,
    Cardiomegaly,
    Effusion,
    Infiltration,
    Mass,
    Nodule,
    Pneumonia,
    Pneumothorax,
    Consolidation,
    Edema,
    Emphysema,
    Fibrosis,
    Pleural_Thickening,
    Hernia,
}

impl Finding {
    /// All findings, in the order of the model's outputs.
    pub const ALL: [Self; 14] = [
        Self::Atelectasis,
        Self::Cardiomegaly,
        Self::Effusion,
        Self::Infiltration,
        Self::Mass,
        Self::Nodule,
        Self::Pneumonia,
        Self::Pneumothorax,
        Self::Consolidation,
        Self::Edema,
        Self::Emphysema,
        Self::Fibrosis,
        Self::Pleural_Thickening,
        Self::Hernia,
    ];

    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Position among the model's outputs.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Name as in label files, such as `Pleural_Thickening`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Atelectasis => "Atelectasis",
            Self::Cardiomegaly => "Cardiomegaly",
            Self::Effusion => "Effusion",
            Self::Infiltration => "Infiltration",
            Self::Mass => "Mass",
            Self::Nodule => "Nodule",
            Self::Pneumonia => "Pneumonia",
            Self::Pneumothorax => "Pneumothorax",
            Self::Consolidation => "Consolidation",
            Self::Edema => "Edema",
            Self::Emphysema => "Emphysema",
            Self::Fibrosis => "Fibrosis",
            Self::Pleural_Thickening => "Pleural_Thickening",
            Self::Hernia => "Hernia",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not one of the 14 findings (Atelectasis, Cardiomegaly, Effusion, Infiltration, Mass, Nodule, Pneumonia, Pneumothorax, Consolidation, Edema, Emphysema, Fibrosis, Pleural_Thickening, Hernia)"
)]
pub struct UnknownFinding(pub String);

impl FromStr for Finding {
    type Err = UnknownFinding;

    fn from_str(text: &str) -> Result<Self, UnknownFinding> {
        Self::ALL.into_iter().find(|finding| finding.name() == text).ok_or_else(|| UnknownFinding(text.to_owned()))
    }
}

/// A set of findings; empty means "no finding".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingSet(u16);

impl FindingSet {
    /// Adds a finding.
    pub fn insert(&mut self, finding: Finding) {
        self.0 |= 1 << finding.index();
    }

    /// Whether the finding is in the set.
    pub fn contains(self, finding: Finding) -> bool {
        self.0 >> finding.index() & 1 == 1
    }

    /// Whether the set says "no finding".
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many findings are in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The findings in the order of the model's outputs.
    pub fn iter(self) -> impl Iterator<Item = Finding> {
        Finding::ALL.into_iter().filter(move |&finding| self.contains(finding))
    }

    /// 1 for each finding present, 0 for the others.
    pub fn to_targets(self) -> [f32; Finding::COUNT] {
        Finding::ALL.map(|finding| f32::from(u8::from(self.contains(finding))))
    }
}

impl FromIterator<Finding> for FindingSet {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        let mut set = Self::default();
        for finding in findings {
            set.insert(finding);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order_round_trip() {
        for (i, finding) in Finding::ALL.into_iter().enumerate() {
            assert_eq!(finding.index(), i);
            assert_eq!(finding.name().parse(), Ok(finding));
            assert_eq!(serde_json::to_string(&finding).expect("serialises"), format!("\"{finding}\""));
        }
        assert_eq!("Cold".parse::<Finding>(), Err(UnknownFinding("Cold".into())));
    }

    #[test]
    fn a_set_keeps_what_it_is_given() {
        let set: FindingSet = [Finding::Hernia, Finding::Mass].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Finding::Mass, Finding::Hernia]);
        assert_eq!(set.len(), 2);
        assert_eq!(set.to_targets().iter().sum::<f32>(), 2.0);
        assert!(FindingSet::default().is_empty());
    }
}
