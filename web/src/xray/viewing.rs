//! What a person looks at, beside the file: which map lies over the image, and what is pointed at.

use leptos::prelude::*;
use shared::Finding;

/// The map over the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlay {
    /// None.
    #[default]
    None,
    /// What speaks for the chosen finding.
    Finding,
    /// What agrees with the report.
    Agreement,
}

/// What is chosen and pointed at. A handle: copies act on the same.
#[derive(Clone, Copy)]
pub struct Viewing {
    /// The map over the image.
    pub overlay: RwSignal<Overlay>,
    /// The finding of the map.
    pub finding: RwSignal<Option<Finding>>,
    /// Opacity of the map, `0..=1`.
    pub opacity: RwSignal<f64>,
    /// The position of the report that is pointed at.
    pub position: RwSignal<Option<usize>>,
    /// The place of the image that is pointed at, counted row by row.
    pub place: RwSignal<Option<usize>>,
}

impl Viewing {
    /// Nothing over the image, nothing pointed at.
    pub fn new() -> Self {
        Self {
            overlay: RwSignal::new(Overlay::None),
            finding: RwSignal::new(None),
            opacity: RwSignal::new(0.55),
            position: RwSignal::new(None),
            place: RwSignal::new(None),
        }
    }

    /// Shows the map of a finding, or none if it is shown already.
    pub fn press(self, finding: Finding) {
        if self.overlay.get_untracked() == Overlay::Finding && self.finding.get_untracked() == Some(finding) {
            self.overlay.set(Overlay::None);
            self.finding.set(None);
        } else {
            self.finding.set(Some(finding));
            self.overlay.set(Overlay::Finding);
        }
    }
}

impl Default for Viewing {
    fn default() -> Self {
        Self::new()
    }
}
