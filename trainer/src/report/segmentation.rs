//! What a run on MRI has come to: Dice by sequences, scan by scan, and samples of outlines.

use maud::{Markup, PreEscaped, html};
use shared::ModalitySet;
use shared::io::SegmenterCard;
use shared::io::segmenter_card::SubsetCard;
use shared::metric::Interval;

use super::run::Run;
use super::{Told, slices, unreadable, with_interval};
use crate::config::SegmentationConfig;
use crate::data::Part;
use crate::data::volumes::{Entry, ScanParts, list};
use crate::error::{Error, Result};
use crate::evaluate::outlines::{OutlineReport, SubsetReport, measure, subsets};
use crate::figure::{StripRow, strip};
use crate::model_dir::{SegmenterDir, read_scan_parts};

/// Tells of a run on MRI; `progress` learns how many scans are done, of how many.
pub(super) fn tell(run: &Run, config: &SegmentationConfig, progress: &mut impl FnMut(usize, usize)) -> Result<Told> {
    let split = read_scan_parts(&run.path)?;
    let parts = split.as_ref().map(|split| Part::ALL.map(|part| split.n(part)));
    let mut told = Told { parts, ..Told::default() };
    if !run.is_finished() {
        return Ok(told);
    }
    let model = SegmenterDir::read(&run.path)?;
    told.training = Some(model.card.training.clone());
    told.evaluation = Some(model.card.evaluation.clone());
    told.result = result(&model.card);
    let Some(split) = split else {
        told.missing
            .push("There is no split.csv in the folder: which scans were for the test is not known.".to_owned());
        told.sections.push(table(&model.card, None));
        return Ok(told);
    };
    let sources = config.data.sources();
    let answered = test_scans(config, &split, &mut told.missing).and_then(|scans| {
        let measured = measure(&model, &scans, &subsets(&model), &mut |done| progress(done, scans.len()))?;
        let samples = slices::samples(&model, &scans, &measured)?;
        Ok((measured, samples))
    });
    match answered {
        Ok((measured, samples)) => {
            told.sections.push(table(&model.card, Some(&measured)));
            told.sections.push(scan_by_scan(&measured));
            told.sections.push(samples);
            told.has_images = true;
        }
        Err(Error::Data(error)) => {
            let list = |sources: &[_]| list(sources);
            told.missing.push(unreadable(&sources, list, &error));
            told.sections.push(table(&model.card, None));
        }
        Err(error) => return Err(error),
    }
    Ok(told)
}

/// The outlined test scans that are at hand.
fn test_scans(config: &SegmentationConfig, split: &ScanParts, missing: &mut Vec<String>) -> Result<Vec<Entry>> {
    let mut scans = list(&config.data.sources())?.entries;
    scans.retain(|scan| split.part(&scan.name) == Some(Part::Test));
    let expected = split.n(Part::Test);
    if scans.len() < expected {
        missing.push(format!(
            "Of the {expected} test scans {} are not in the data any more: what was measured on the volumes' own voxels is \
             of the others.",
            expected - scans.len()
        ));
    }
    scans.retain(|scan| scan.is_labelled);
    Ok(scans)
}

/// The main result as the card has it.
fn result(card: &SegmenterCard) -> Vec<String> {
    let measured: Vec<(&SubsetCard, Interval)> =
        card.subsets.iter().filter_map(|subset| Some((subset, subset.dice?))).collect();
    let words = |(subset, Interval { value, lo, hi }): &(&SubsetCard, Interval)| {
        format!("{} given {}", with_interval([*value, *lo, *hi]), subset.present)
    };
    let most = measured.iter().max_by_key(|(subset, _)| subset.present.len());
    let Some(most) = most else { return vec!["Nothing was measured on the test part.".to_owned()] };
    let text = format!(
        "The mean Dice of the enhancing tumour on {} test {} is {}, 95% interval in brackets.",
        most.0.n,
        if most.0.n == 1 { "scan" } else { "scans" },
        words(most)
    );
    let by_dice = |a: &&(&SubsetCard, Interval), b: &&(&SubsetCard, Interval)| a.1.value.total_cmp(&b.1.value);
    let mut result = vec![text];
    if let [_, _, ..] = measured.as_slice()
        && let Some((least, best)) = measured.iter().min_by(by_dice).zip(measured.iter().max_by(by_dice))
    {
        let n = measured.len();
        result.push(format!("Of {n} sets of sequences the lowest is {}, the highest {}.", words(least), words(best)));
    }
    result
}

fn measured_with(measured: Option<&OutlineReport>, present: ModalitySet) -> Option<&SubsetReport> {
    measured?.subsets.iter().find(|subset| subset.present == present)
}

fn table(card: &SegmenterCard, measured: Option<&OutlineReport>) -> Markup {
    let dice = |dice: Option<Interval>| {
        dice.map_or_else(|| "–".to_owned(), |Interval { value, lo, hi }| with_interval([value, lo, hi]))
    };
    let number = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
    };
    html! {
        section {
            h2 { "Dice by sequences" }
            div.wide {
                table {
                    thead {
                        tr {
                            th scope="col" { "Given" }
                            th scope="col" { "Test scans" }
                            th scope="col" { "Threshold" }
                            th scope="col" { "Dice on the network's grid (95% interval)" }
                            th scope="col" { "at one half" }
                            @if measured.is_some() {
                                th scope="col" { "Dice on the volumes' own voxels" }
                                th scope="col" { "Sensitivity" }
                                th scope="col" { "Hausdorff, mm" }
                                th scope="col" { "Volume error, ml" }
                            }
                        }
                    }
                    tbody {
                        @for subset in &card.subsets {
                            @let own = measured_with(measured, subset.present);
                            tr {
                                th scope="row" { (subset.present) }
                                td { (subset.n) }
                                td { (number(Some(f64::from(subset.threshold)), 2)) }
                                td { (dice(subset.dice)) }
                                td { (number(subset.dice_at_half.map(|dice| dice.value), 3)) }
                                @if measured.is_some() {
                                    td { (dice(own.and_then(|own| own.dice))) }
                                    td { (number(own.and_then(|own| own.sensitivity).map(|mean| mean.mean), 2)) }
                                    td { (number(own.and_then(|own| own.hausdorff95_mm).map(|mean| mean.mean), 1)) }
                                    td { (number(own.and_then(|own| own.volume_error_ml).map(|error| error.mean), 2)) }
                                }
                            }
                        }
                    }
                }
            }
            p.hint {
                "The threshold was chosen on the validation part. "
                @if let Some(measured) = measured { "The last four columns are " (measured.rule) "." }
            }
        }
    }
}

fn scan_by_scan(measured: &OutlineReport) -> Markup {
    let names: Vec<String> = measured.subsets.iter().map(|subset| subset.present.to_string()).collect();
    let values: Vec<Vec<f64>> =
        measured.subsets.iter().map(|subset| subset.scans.iter().map(|scan| scan.dice).collect()).collect();
    let rows: Vec<StripRow<'_>> = measured
        .subsets
        .iter()
        .zip(names.iter().zip(&values))
        .map(|(subset, (label, values))| StripRow {
            label,
            values,
            mean: subset.dice.map(|Interval { value, lo, hi }| [value, lo, hi]),
        })
        .collect();
    html! {
        section {
            h2 { "Scan by scan" }
            p.hint {
                "Each ring is a test scan; below them the mean with its 95% interval. Scans without tumour count 1 where \
                 nothing is outlined, else 0."
            }
            figure.wide { (PreEscaped(strip("Dice of each test scan, on its own voxels", "Dice", &rows))) }
        }
    }
}
