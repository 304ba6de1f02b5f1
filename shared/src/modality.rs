//! The four MRI sequences, and non-empty sets of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An MRI sequence of the brain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Fluid-attenuated inversion recovery: fluid is dark, swollen tissue bright.
    Flair,
    /// T1-weighted.
    T1,
    /// T1-weighted after contrast agent: what takes it up is bright.
    T1c,
    /// T2-weighted: fluid and swollen tissue are bright.
    T2,
}

impl Modality {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// All of them, in the order of a network's inputs.
    pub const ALL: [Self; Self::COUNT] = [Self::Flair, Self::T1, Self::T1c, Self::T2];

    /// Position in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Name in files, configurations and tensors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flair => "flair",
            Self::T1 => "t1",
            Self::T1c => "t1c",
            Self::T2 => "t2",
        }
    }

    /// Name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Flair => "FLAIR",
            Self::T1 => "T1",
            Self::T1c => "T1c",
            Self::T2 => "T2",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for Modality {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|modality| modality.name() == name).ok_or_else(|| Error::Shape {
            what: "MRI sequence",
            expected: "flair, t1, t1c or t2".to_owned(),
            found: format!("`{text}`"),
        })
    }
}

/// The error of no sequence where there must be one.
pub(crate) fn none(what: &'static str) -> Error {
    Error::Shape { what, expected: "at least one of flair, t1, t1c and t2".to_owned(), found: "none".to_owned() }
}

/// One or more MRI sequences; never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Modality>", into = "Vec<Modality>")]
pub struct ModalitySet(u8);

impl ModalitySet {
    /// All four.
    pub const ALL: Self = Self(0b1111);

    /// How many sets there are.
    pub const COUNT: usize = 15;

    /// One sequence alone.
    pub fn one(modality: Modality) -> Self {
        Self(1 << modality.index())
    }

    /// The set of some sequences.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is none.
    pub fn new(modalities: impl IntoIterator<Item = Modality>) -> Result<Self> {
        let bits = modalities.into_iter().fold(0, |bits, modality| bits | 1 << modality.index());
        if bits == 0 { Err(none("set of MRI sequences")) } else { Ok(Self(bits)) }
    }

    /// The sequences of the places that are filled, in the order of [`Modality::ALL`].
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is none.
    pub fn of_present<T>(places: &[Option<T>; Modality::COUNT]) -> Result<Self> {
        Self::new(Modality::ALL.into_iter().zip(places).filter(|(_, place)| place.is_some()).map(|(of, _)| of))
    }

    /// All 15 sets, by size, then in the order of their sequences.
    pub fn all() -> [Self; Self::COUNT] {
        let mut sets: [Self; Self::COUNT] = std::array::from_fn(|i| Self(i as u8 + 1));
        sets.sort_by_key(|set| (set.len(), std::cmp::Reverse(set.0.reverse_bits())));
        sets
    }

    /// Whether a sequence belongs to it.
    pub fn contains(self, modality: Modality) -> bool {
        self.0 & (1 << modality.index()) != 0
    }

    /// Whether every sequence of another set belongs to it.
    pub fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The sequences of both sets; `None` if they share none.
    pub fn intersection(self, other: Self) -> Option<Self> {
        (self.0 & other.0 != 0).then_some(Self(self.0 & other.0))
    }

    /// The sequences, in the order of [`Modality::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Modality> {
        Modality::ALL.into_iter().filter(move |modality| self.contains(*modality))
    }

    /// How many sequences; 1 to 4.
    #[allow(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Name in files and tables, such as `flair+t1c`.
    pub fn name(self) -> String {
        self.iter().map(Modality::name).collect::<Vec<_>>().join("+")
    }
}

impl fmt::Display for ModalitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Modality::label).collect::<Vec<_>>().join(" + "))
    }
}

impl FromStr for ModalitySet {
    type Err = Error;

    /// Reads names joined by `+` or commas.
    fn from_str(text: &str) -> Result<Self> {
        let all = text.split(['+', ',']).map(str::parse).collect::<Result<Vec<Modality>>>()?;
        Self::new(all)
    }
}

impl TryFrom<Vec<Modality>> for ModalitySet {
    type Error = Error;

    fn try_from(modalities: Vec<Modality>) -> Result<Self> {
        Self::new(modalities)
    }
}

impl From<ModalitySet> for Vec<Modality> {
    fn from(set: ModalitySet) -> Self {
        set.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_sets_from_single_ones_to_all() {
        let names: Vec<String> = ModalitySet::all().into_iter().map(ModalitySet::name).collect();
        assert_eq!(&names[..6], ["flair", "t1", "t1c", "t2", "flair+t1", "flair+t1c"]);
        assert_eq!(names[14], "flair+t1+t1c+t2");
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), ModalitySet::COUNT);
        for (name, set) in names.iter().zip(ModalitySet::all()) {
            assert_eq!(name.parse::<ModalitySet>().expect("a name"), set);
        }
    }

    #[test]
    fn none_and_unknown_are_refused() {
        assert!(ModalitySet::new([]).is_err());
        assert!("flair,dwi".parse::<ModalitySet>().expect_err("unknown").to_string().contains("`dwi`"));
        assert!(serde_json::from_str::<ModalitySet>("[]").is_err());
        assert_eq!(serde_json::to_string(&ModalitySet::one(Modality::T1c)).expect("json"), "[\"t1c\"]");
    }
}
