//! What a person looks at: where the crosshair is, which sequence is shown, in which window, with which overlay.

use leptos::prelude::*;
use shared::Modality;

use super::scan::{Image, Scan};
use super::view::{Plane, Window};

/// How an outline lies over the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    /// Its edge alone.
    Outline,
    /// Its edge, and its area tinted.
    Fill,
    /// Not at all.
    Hidden,
}

impl Overlay {
    /// All, in the order of the choice.
    pub const ALL: [Self; 3] = [Self::Outline, Self::Fill, Self::Hidden];

    /// Name in the page's marks.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outline => "outline",
            Self::Fill => "fill",
            Self::Hidden => "hidden",
        }
    }
}

/// A colour of an outline: of the palette that eyes of every kind tell apart, the ones that stand out from grey.
///
/// Source: Okabe and Ito 2008, <https://jfly.uni-koeln.de/color/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Orange.
    Orange,
    /// Sky blue.
    Blue,
    /// Yellow.
    Yellow,
    /// Reddish purple.
    Purple,
}

impl Colour {
    /// All, in the order of the choice.
    pub const ALL: [Self; 4] = [Self::Orange, Self::Blue, Self::Yellow, Self::Purple];

    /// As style sheets write it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Orange => "#e69f00",
            Self::Blue => "#56b4e9",
            Self::Yellow => "#f0e442",
            Self::Purple => "#cc79a7",
        }
    }

    /// The colour of the truth beside it.
    #[must_use]
    pub fn of_truth(self) -> Self {
        if self == Self::Blue { Self::Yellow } else { Self::Blue }
    }
}

/// What a person looks at. A handle: copies act on the same screen.
#[derive(Clone, Copy)]
pub struct Screen {
    /// The voxel at which the three cuts meet.
    pub cross: RwSignal<[usize; 3]>,
    /// The sequence that is shown.
    pub shown: RwSignal<Modality>,
    /// The window of its values.
    pub window: RwSignal<Window>,
    /// How the outline is shown.
    pub overlay: RwSignal<Overlay>,
    /// The outline's colour.
    pub colour: RwSignal<Colour>,
    /// How strongly its area is tinted, `0..=1`.
    pub opacity: RwSignal<f64>,
    /// Counts up whenever the outline changes.
    pub drawn: RwSignal<u64>,
}

impl Screen {
    /// A screen before there is anything to show.
    pub fn new() -> Self {
        Self {
            cross: RwSignal::new([0; 3]),
            shown: RwSignal::new(Modality::Flair),
            window: RwSignal::new(Window::between([0.0, 1.0])),
            overlay: RwSignal::new(Overlay::Fill),
            colour: RwSignal::new(Colour::Orange),
            opacity: RwSignal::new(0.35),
            drawn: RwSignal::new(0),
        }
    }

    /// Looks at a new scan: at its middle, or where its truth is largest, in the sequence that shows enhancement best.
    pub fn look_at(self, scan: &Scan) {
        let truth = scan.truth.as_ref().and_then(|truth| largest(scan, truth));
        self.cross.set(truth.unwrap_or_else(|| scan.canonical.size.map(|side| side / 2)));
        self.show_first(scan, Modality::T1c);
    }

    /// Looks at the same place of a scan whose files are other sequences now.
    pub fn stay(self, scan: &Scan) {
        self.show_first(scan, self.shown.get_untracked());
    }

    /// Looks where a mask is largest; stays where it is if the mask is empty.
    pub fn look_at_mask(self, scan: &Scan, mask: &[u8]) {
        if let Some(place) = largest(scan, mask) {
            self.cross.set(place);
        }
    }

    /// Shows a sequence, or the next best that is there.
    fn show_first(self, scan: &Scan, wanted: Modality) {
        let order = [wanted, Modality::T1c, Modality::Flair, Modality::T2, Modality::T1];
        if let Some(shown) = order.into_iter().find(|modality| scan.images[modality.index()].is_some()) {
            self.show(scan, shown);
        }
    }

    /// Shows a sequence, in the window that suits its brain.
    pub fn show(self, scan: &Scan, modality: Modality) {
        if let Some(image) = &scan.images[modality.index()] {
            self.shown.set(modality);
            self.window.set(suiting(image));
        }
    }

    /// Goes some cuts further in a plane, up or to the front or right where positive.
    pub fn step(self, plane: Plane, steps: i64, size: [usize; 3]) {
        let axis = plane.axes()[2];
        self.cross.update(|cross| {
            let last = size[axis].saturating_sub(1) as i64;
            cross[axis] = (cross[axis] as i64).saturating_add(steps).clamp(0, last) as usize;
        });
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// The window that shows the brain of an image well.
pub fn suiting(image: &Image) -> Window {
    Window::between(image.window)
}

/// The middle of a mask in the slice where it is largest; `None` if it is empty.
fn largest(scan: &Scan, mask: &[u8]) -> Option<[usize; 3]> {
    let width = scan.canonical.size[0];
    let slices = mask.chunks_exact(scan.slice_len());
    let counts = slices.map(|slice| slice.iter().map(|label| usize::from(*label == 1)).sum::<usize>());
    let (z, n) = counts.enumerate().max_by_key(|(_, n)| *n).filter(|(_, n)| *n > 0)?;
    let slice = &mask[z * scan.slice_len()..(z + 1) * scan.slice_len()];
    let marked = slice.iter().enumerate().filter(|(_, label)| **label == 1);
    let (x, y) = marked.fold((0, 0), |(x, y), (at, _)| (x + at % width, y + at / width));
    Some([x / n, y / n, z])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mri::scan::tests::head;

    #[test]
    fn the_screen_looks_where_the_tumour_is() {
        let scan = head(1);
        let truth = scan.truth.clone().expect("a truth");
        let [x, y, z] = largest(&scan, &truth).expect("a tumour");
        let slice = &truth[z * scan.slice_len()..(z + 1) * scan.slice_len()];
        let n = |slice: &[u8]| slice.iter().map(|label| usize::from(*label)).sum::<usize>();
        assert_eq!(n(slice), truth.chunks(scan.slice_len()).map(n).max().expect("slices"));
        assert!(x < 64 && y < 64);
        assert_eq!(largest(&scan, &vec![0; truth.len()]), None);
    }

    #[test]
    fn the_truth_has_another_colour() {
        assert!(Colour::ALL.iter().all(|colour| colour.of_truth() != *colour));
    }
}
