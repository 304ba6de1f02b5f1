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

/// Pixels of black around what is cut out.
const MARGIN: usize = 4;
/// What is darker looks black: a background that is not exactly 0.
const DARK: u8 = 10;

/// A slice of each of three scans with truth and outline, for the sets of sequences that the run is about.
pub(super) fn samples(model: &SegmenterDir, scans: &[Entry], measured: &OutlineReport) -> Result<Markup> {
    let mut outliner = Outliner::new(model)?;
    let mut shown = Vec::new();
    for subset in measured.subsets.iter().filter(|subset| is_shown(measured, subset.present)) {
        let mut cards = Vec::new();
        for (rank, result) in ranked(subset) {
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

/// The scans with tumour of the lowest, the median and the highest Dice, as far as they are different ones, and what each
/// of them is among the others.
fn ranked(subset: &SubsetReport) -> Vec<(&'static str, &ScanResult)> {
    let mut scans: Vec<&ScanResult> = subset.scans.iter().filter(|scan| scan.tumour_ml > 0.0).collect();
    scans.sort_by(|a, b| a.dice.total_cmp(&b.dice));
    match scans.as_slice() {
        [] => vec![],
        [only] => vec![("Only one", only)],
        [worst, best] => vec![("Worst", worst), ("Best", best)],
        [worst, .., best] => vec![("Worst", worst), ("Median", scans[(scans.len() - 1) / 2]), ("Best", best)],
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
    let ([width, height], pixels) = cut_out([width, height], &pixels);
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

/// The part of a picture of four bytes a pixel that is not black, with a margin: its width and height, and its pixels.
fn cut_out([width, height]: [usize; 2], rgba: &[u8]) -> ([usize; 2], Vec<u8>) {
    let is_black = |x: usize, y: usize| {
        let at = 4 * (y * width + x);
        rgba.get(at..at + 3).is_none_or(|pixel| pixel.iter().all(|value| *value < DARK))
    };
    let columns: Vec<usize> = (0..width).filter(|&x| (0..height).any(|y| !is_black(x, y))).collect();
    let rows: Vec<usize> = (0..height).filter(|&y| (0..width).any(|x| !is_black(x, y))).collect();
    let range = |at: &[usize], n: usize| Some(at.first()?.saturating_sub(MARGIN)..(at.last()? + 1 + MARGIN).min(n));
    let Some((columns, rows)) = range(&columns, width).zip(range(&rows, height)) else {
        return ([width, height], rgba.to_vec());
    };
    let row = |y: usize| &rgba[4 * (y * width + columns.start)..4 * (y * width + columns.end)];
    ([columns.len(), rows.len()], rows.flat_map(row).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_is_cut_off_but_for_a_margin() {
        let mut rgba = vec![0; 4 * 20 * 30];
        rgba.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
        assert_eq!(cut_out([20, 30], &rgba), ([20, 30], rgba.clone()), "all of it is black");
        for (x, y) in [(9, 2), (10, 15)] {
            rgba[4 * (y * 20 + x)] = 70;
        }
        let (size, cut) = cut_out([20, 30], &rgba);
        // Columns 5 to 14, rows 0 to 19.
        assert_eq!((size, cut.len()), ([10, 20], 4 * 10 * 20));
        assert_eq!((cut[4 * (2 * 10 + 4)], cut[4 * (15 * 10 + 5)]), (70, 70));
    }

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
            ranked(&subset).into_iter().map(|(rank, scan)| (rank, scan.dice)).collect::<Vec<_>>()
        };
        // One without tumour, whose Dice of 0 or 1 says nothing of an outline, is left out.
        let four = [(0.5, 1.0), (0.2, 1.0), (1.0, 0.0), (0.9, 1.0), (0.6, 1.0)];
        assert_eq!(dice(&four), [("Worst", 0.2), ("Median", 0.5), ("Best", 0.9)]);
        assert_eq!(dice(&four[..2]), [("Worst", 0.2), ("Best", 0.5)]);
        assert_eq!(dice(&four[..1]), [("Only one", 0.5)]);
        assert_eq!(dice(&four[2..3]), []);
    }
}
