//! The guided tour: six steps, each with a state of the switches.

use shared::{Modality, ModalitySet};

/// Number of steps.
pub const N_STEPS: usize = 6;

/// A step of the tour, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step(usize);

impl Step {
    /// The first.
    pub const FIRST: Self = Self(0);

    /// The step of a number in the address, counted from 1.
    pub fn of_number(number: &str) -> Option<Self> {
        let number: usize = number.parse().ok()?;
        (1..=N_STEPS).contains(&number).then(|| Self(number - 1))
    }

    /// Its number, counted from 1.
    pub fn number(self) -> usize {
        self.0 + 1
    }

    /// The one after it.
    pub fn next(self) -> Option<Self> {
        (self.0 + 1 < N_STEPS).then_some(Self(self.0 + 1))
    }

    /// The one before it.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// The sequences that are left in this step.
    pub fn present(self) -> ModalitySet {
        let without = |dropped: Modality| ModalitySet::new(Modality::ALL.into_iter().filter(|one| *one != dropped));
        match self.0 {
            0 => ModalitySet::ALL,
            1 => without(Modality::T1c).unwrap_or(ModalitySet::ALL),
            _ => ModalitySet::one(Modality::Flair),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_steps_lead_forth_and_back() {
        let mut step = Step::FIRST;
        let mut n = 1;
        while let Some(next) = step.next() {
            assert_eq!(next.previous(), Some(step));
            assert_eq!(Step::of_number(&next.number().to_string()), Some(next));
            step = next;
            n += 1;
        }
        assert_eq!((n, Step::FIRST.previous()), (N_STEPS, None));
        assert_eq!((Step::of_number("0"), Step::of_number("7"), Step::of_number("x")), (None, None, None));
    }

    #[test]
    fn the_tour_drops_first_one_sequence_and_then_all_but_one() {
        let step = |number: &str| Step::of_number(number).expect("a step").present();
        assert_eq!(step("1"), ModalitySet::ALL);
        assert_eq!((step("2").len(), step("2").contains(Modality::T1c)), (3, false));
        assert_eq!(step("3"), ModalitySet::one(Modality::Flair));
    }
}
