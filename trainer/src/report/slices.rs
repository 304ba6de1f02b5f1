//! Samples of outlines: the worst, the median and the best test scan.

use maud::{Markup, html};
use shared::render::volume::{axial, to_bytes};
use shared::{Modality, ModalitySet};

use super::picture;
use crate::data::volumes::Entry;
use crate::error::Result;
use crate::evaluate::outlines::{OutlineReport, Outlined, ScanResult, SubsetReport, outline};
use crate::model_dir::SegmenterDir;
use crate::outliner::Outliner;

/// What a scan is among the others.
const RANKS: [&str; 3] = ["Worst", "Median", "Best"];

/// A slice of each of three scans with truth and outline, for the sets of sequences that the run is about.
pub(super) fn samples(model: &SegmenterDir, scans: &[Entry], measured: &OutlineReport) -> Result<Markup> {
    let mut outliner = Outliner::new(model)?;
    let mut shown = Vec::new();
    for subset in measured.subsets.iter().filter(|subset| is_shown(measured, subset.present)) {
        let mut cards = Vec::new();
        for (rank, result) in RANKS.into_iter().zip(ranked(subset)).filter_map(|(rank, of)| Some((rank, of?))) {
            let Some(entry) = scans.iter().find(|entry| entry.name == result.scan) else { continue };
            if let Some(outlined) = outline(&mut outliner, entry, &[subset.present])? {
                cards.push(card(rank, result, &outlined, subset.present)?);
            }
        }
        shown.push((subset.present, cards));
    }
    Ok(html! {
        section.samples {
            h2 { "Samples of the test part" }
            p.hint {
                "Chosen by rule, not by look: among the test scans with tumour, those of the lowest, the median and the highest \
                 Dice; of each the slice with most true tumour. " span.above { "Filled orange" } " is what the model outlines, "
                span.below { "edged blue" } " the truth. Seen from below, the patient's right on the left."
            }
            @for (present, cards) in &shown {
                h3 { "Given " (present) }
                @if cards.is_empty() { p { "No test scan has a tumour." } }
                div.cards { @for card in cards { (card) } }
            }
        }
    })
}

/// Of a model that answers from many sets: each sequence alone, and the largest set.
fn is_shown(measured: &OutlineReport, present: ModalitySet) -> bool {
    let most = measured.subsets.iter().map(|subset| subset.present.len()).max();
    present.len() == 1 || Some(present.len()) == most
}

/// The scans with tumour of the lowest, the median and the highest Dice, as far as they are different ones.
fn ranked(subset: &SubsetReport) -> [Option<&ScanResult>; 3] {
    let mut scans: Vec<&ScanResult> = subset.scans.iter().filter(|scan| scan.tumour_ml > 0.0).collect();
    scans.sort_by(|a, b| a.dice.total_cmp(&b.dice));
    match scans.as_slice() {
        [] => [None; 3],
        [only] => [None, Some(only), None],
        [worst, best] => [Some(worst), None, Some(best)],
        [worst, .., best] => [Some(worst), Some(scans[(scans.len() - 1) / 2]), Some(best)],
    }
}

fn card(rank: &str, result: &ScanResult, outlined: &Outlined, given: ModalitySet) -> Result<Markup> {
    let Outlined { raw, geometry, masks } = outlined;
    let [width, height, depth] = geometry.size;
    let truth: Vec<u8> = raw.truth.iter().flatten().map(|&inside| u8::from(inside)).collect();
    let n_tumour = |slice: &usize| {
        truth.iter().skip(slice * width * height).take(width * height).filter(|label| **label != 0).count()
    };
    let slice = (0..depth).max_by_key(n_tumour).unwrap_or(0);
    // Where contrast agent shows the tumour, a person sees it best.
    let sequence = if given.contains(Modality::T1c) { Some(Modality::T1c) } else { given.iter().next() };
    let volume = sequence.and_then(|sequence| raw.sequences[sequence.index()].as_ref());
    let voxels = volume.map(|volume| to_bytes(&volume.voxels)).unwrap_or_default();
    let mut pixels = Vec::new();
    axial(geometry.size, slice, &voxels, masks.first().map(Vec::as_slice), Some(&truth), &mut pixels);
    let picture = picture::rgba(&raw.name, [width, height], &pixels)?;
    let [dx, dy, _] = geometry.spacing_mm();
    let ratio = format!("aspect-ratio: {:.4}", width as f64 * dx / (height as f64 * dy));
    let sequence = sequence.map_or("", Modality::label);
    Ok(html! {
        figure.card {
            div.picture { img src=(picture) style=(ratio) alt=(format!("{sequence}, slice {} of {}", slice + 1, raw.name)); }
            figcaption {
                strong { (rank) ": Dice " (format!("{:.3}", result.dice)) }
                span {
                    (format!("{:.1} ml outlined, {:.1} ml tumour", result.outlined_ml, result.tumour_ml))
                }
                span { (sequence) ", slice " (slice + 1) " of " (depth) }
                span.file { (raw.name) }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_the_median_and_the_best_are_different_scans() {
        let scan = |dice: f64, tumour_ml: f64| ScanResult {
            scan: format!("scan {dice}"),
            patient: String::new(),
            dice,
            sensitivity: None,
            hausdorff95_mm: None,
            outlined_ml: 1.0,
            tumour_ml,
        };
        let subset = |scans: Vec<ScanResult>| SubsetReport {
            present: ModalitySet::ALL,
            threshold: 0.5,
            n: scans.len(),
            n_patients: scans.len(),
            n_without_tumour: 0,
            dice: None,
            sensitivity: None,
            hausdorff95_mm: None,
            volume_error_ml: None,
            scans,
        };
        let dice = |scans: &[(f64, f64)]| {
            let subset = subset(scans.iter().map(|(dice, ml)| scan(*dice, *ml)).collect());
            ranked(&subset).map(|found| found.map(|scan| scan.dice))
        };
        // One without tumour, whose Dice of 0 or 1 says nothing of an outline, is left out.
        let four = [(0.5, 1.0), (0.2, 1.0), (1.0, 0.0), (0.9, 1.0), (0.6, 1.0)];
        assert_eq!(dice(&four), [Some(0.2), Some(0.5), Some(0.9)]);
        assert_eq!(dice(&four[..2]), [Some(0.2), None, Some(0.5)]);
        assert_eq!(dice(&four[..1]), [None, Some(0.5), None]);
        assert_eq!(dice(&four[2..3]), [None; 3]);
    }
}
