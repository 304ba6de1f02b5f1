//! `cmim eval` of a network that outlines tumours in MRI.

use std::fmt::Write as _;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use shared::ModalitySet;
use shared::metric::Interval;
use trainer::data::volumes::{Entry, VolumeListing, list};
use trainer::data::{DataError, Part, VolumeSource};
use trainer::evaluate::outlines::{OutlineReport, SubsetReport, measure, subsets};
use trainer::model_dir::{SegmenterDir, read_scan_parts};

use super::eval::EvalArgs;
use super::{note, print};

/// Measures a segmenter.
pub(super) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    if args.with_reports || args.min_positives.is_some() {
        bail!("{}: outlines tumours in MRI: --with-reports and --min-positives are for x-rays", args.model.display());
    }
    let sources = args.data.iter().map(|source| source.parse()).collect::<Result<Vec<VolumeSource>, _>>()?;
    let model = SegmenterDir::read(&args.model)?;
    let subsets = match args.modality {
        None => subsets(&model),
        Some(given) => {
            let used = model.card.architecture.require(Some(given))?;
            if used != given {
                note(&format!("of {given} the model reads {used} alone"))?;
            }
            vec![used]
        }
    };
    let VolumeListing { entries, notes } = list(&sources)?;
    notes.iter().try_for_each(|text| note(text))?;
    let scans = chosen(entries, args, &subsets)?;
    let bar = ProgressBar::new(scans.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} scan {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    let report = measure(&model, &scans, &subsets, &mut |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    if args.json {
        let report = if args.each { report } else { report.without_scans() };
        return print(&serde_json::to_string(&report)?);
    }
    print(&text(&report, args))
}

/// The outlined scans of a part of the split that have what is to be given.
fn chosen(entries: Vec<Entry>, args: &EvalArgs, subsets: &[ModalitySet]) -> anyhow::Result<Vec<Entry>> {
    let parts = read_scan_parts(&args.model)?;
    let mut scans = entries;
    match (args.part.map(Part::from), parts) {
        (None, None) => {}
        (None, Some(parts)) => {
            let seen = scans.iter().filter(|scan| parts.part(&scan.name) == Some(Part::Train)).count();
            if seen > 0 {
                note(&format!("the model was trained on {seen} of these {} scans; see --part test", scans.len()))?;
            }
        }
        (Some(part), Some(parts)) => {
            if let Some(scan) = scans.iter().find(|scan| parts.part(&scan.name).is_none()) {
                return Err(DataError::NotInSplit(scan.name.clone()).into());
            }
            scans.retain(|scan| parts.part(&scan.name) == Some(part));
        }
        (Some(_), None) => bail!("{}: there is no split.csv, so --part has nothing to choose by", args.model.display()),
    }
    let n = scans.len();
    scans.retain(|scan| scan.is_labelled);
    if scans.len() < n {
        note(&format!("{} of {n} scans have no truth and are left out", n - scans.len()))?;
    }
    if scans.is_empty() {
        bail!("none of these scans is outlined: there is nothing to measure by");
    }
    scans.retain(|scan| subsets.iter().any(|subset| scan.present.contains_all(*subset)));
    if scans.is_empty() {
        let sets: Vec<String> = subsets.iter().map(ToString::to_string).collect();
        bail!("none of these scans has the sequences to be given: {}", sets.join(", or "));
    }
    Ok(scans)
}

fn text(report: &OutlineReport, args: &EvalArgs) -> String {
    let mut text = format!("{} scans; {}\n", report.n, report.rule);
    for subset in &report.subsets {
        let _ = write!(text, "{}", subset_text(subset));
        for scan in subset.scans.iter().filter(|_| args.each) {
            let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
            let _ = writeln!(
                text,
                "    {:<28} Dice {:.3}, sensitivity {}, Hausdorff {} mm, {:.2} ml outlined, {:.2} ml tumour",
                scan.scan,
                scan.dice,
                number(scan.sensitivity),
                number(scan.hausdorff95_mm),
                scan.outlined_ml,
                scan.tumour_ml
            );
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn subset_text(subset: &SubsetReport) -> String {
    let mut text = format!("{:<22}", subset.present.to_string());
    if let Some(Interval { value, lo, hi }) = subset.dice {
        let _ = write!(text, " Dice {value:.3} ({lo:.3} to {hi:.3})");
    }
    if let Some(sensitivity) = subset.sensitivity {
        let _ = write!(text, ", sensitivity {:.3}", sensitivity.mean);
    }
    if let Some(distance) = subset.hausdorff95_mm {
        let _ = write!(text, ", Hausdorff {:.1} mm (n {})", distance.mean, distance.n);
    }
    if let Some(error) = subset.volume_error_ml {
        let _ = write!(text, ", volume error {:+.2} ml ({:.2} in amount)", error.mean, error.mean_absolute);
    }
    let _ = writeln!(
        text,
        "; {} scans of {} patients, {} without tumour; threshold {:.2}",
        subset.n, subset.n_patients, subset.n_without_tumour, subset.threshold
    );
    text
}
