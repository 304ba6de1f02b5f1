//! What the workbench knows, in words.

use shared::Modality;
use shared::metric::Interval;

use crate::language::t;
use crate::mri::files::Aside;
use crate::mri::protocol::Refusal;
use crate::mri::session::{Evidence, FileState, Session};

/// Probability from which a guess is called likely.
const LIKELY: f32 = 0.9;

/// `240 x 240 x 155`, with the sign for it.
pub(super) fn sides([x, y, z]: [usize; 3]) -> String {
    format!("{x} × {y} × {z}")
}

/// What came of a file, and whether that is something to mind.
pub(super) fn about(state: &FileState) -> (String, Tone) {
    match state {
        FileState::Reading => (t!("mri.reading"), Tone::Quiet),
        FileState::Image { by, .. } => evidence(*by),
        FileState::Truth { .. } => (t!("mri.truth"), Tone::Quiet),
        FileState::Refused(refusal) => (refused(refusal), Tone::Wrong),
        FileState::Aside(aside) => match aside {
            Aside::TooLarge { megabytes } => (t!("mri.too_large", mb = format!("{megabytes:.0}")), Tone::Wrong),
            Aside::NoData { data_file } => (t!("mri.no_data", file = data_file), Tone::Wrong),
            Aside::NoHeader => (t!("mri.no_header"), Tone::Wrong),
            Aside::Model => (t!("mri.model_alone"), Tone::Wrong),
            Aside::Other => (t!("mri.left_aside"), Tone::Quiet),
        },
    }
}

/// How words are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// For information.
    Quiet,
    /// To be looked at.
    Unsure,
    /// Something is wrong.
    Wrong,
}

impl Tone {
    /// Name in style sheets.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Unsure => "unsure",
            Self::Wrong => "wrong",
        }
    }
}

fn evidence(by: Evidence) -> (String, Tone) {
    match by {
        Evidence::Name => (t!("mri.by_name"), Tone::Quiet),
        Evidence::Shades(probability) if probability >= LIKELY => (t!("mri.by_shades_likely"), Tone::Unsure),
        Evidence::Shades(_) => (t!("mri.by_shades_unsure"), Tone::Unsure),
        Evidence::Person => (t!("mri.by_person"), Tone::Quiet),
        Evidence::Nothing => (t!("mri.by_nothing"), Tone::Unsure),
        Evidence::Double(modality) => (t!("mri.double", sequence = modality.label()), Tone::Wrong),
        Evidence::OtherSize { size, first } => {
            (t!("mri.other_size", size = sides(size), first = sides(first)), Tone::Wrong)
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Ct => t!("mri.ct"),
        Refusal::Dicom => t!("mri.dicom"),
        Refusal::Picture => t!("mri.picture"),
        Refusal::BrainMask => t!("mri.brain_mask"),
        Refusal::NoLabels => t!("mri.no_labels"),
        Refusal::Unread(words) => words.clone(),
    }
}

/// `0.48 (0.42 to 0.54)`.
pub(super) fn interval(dice: Interval) -> String {
    let Interval { value, lo, hi } = dice;
    t!("mri.interval", value = format!("{value:.2}"), lo = format!("{lo:.2}"), hi = format!("{hi:.2}"))
}

/// Seconds, rounded as a person would say them.
pub(super) fn seconds(ms: f64) -> String {
    if ms < 10_000.0 { format!("{:.1}", ms / 1000.0) } else { format!("{:.0}", ms / 1000.0) }
}

/// What to mind about an outline, beside its Dice.
pub(super) fn warnings(session: &Session) -> Vec<String> {
    let Some((entry, used)) = session.model() else { return Vec::new() };
    let mut warnings = Vec::new();
    if !used.contains(Modality::T1c) {
        warnings.push(t!("mri.no_t1c"));
    }
    let is_drawn = |name: &str| name.starts_with("generated");
    if entry.card.training.data.iter().all(|data| is_drawn(&data.name)) {
        warnings.push(t!("mri.from_drawings"));
    }
    warnings
}
