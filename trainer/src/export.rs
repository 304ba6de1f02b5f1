//! Packs a trained model for the page: compressed weights, their card, and what the compression costs.

use std::path::Path;

use shared::io::segmenter_card::{Elsewhere, SubsetCard};
use shared::io::{Encoding, ModelCard, SegmenterCard, Weights};

use crate::checkpoint::write_atomically;
use crate::complete::{BESIDE_IMAGE, ReportPath, complete};
use crate::data::volumes::{Entry, list};
use crate::data::{ImageSource, Part, ReportSource, Split, Study, VolumeSource, union};
use crate::error::{Error, Result};
use crate::evaluate::input::Beside;
use crate::evaluate::outlines::{self, SubsetReport, measure};
use crate::evaluate::{CARD_MIN_POSITIVES, Material, Scored, score};
use crate::model_dir::{self, ModelDir, SPLIT, SegmenterDir, WEIGHTS, read_scan_parts};

/// How other data than those of the training are measured on.
const ELSEWHERE: &str = "none of them in training or validation. Dice on each volume's own voxels, mean over scans, 95% \
                         bootstrap intervals by patient; empty truth and empty outline give 1";

/// What an x-ray model is measured on when it is packed.
#[derive(Debug, Default)]
pub struct Measurement {
    /// The images it was trained on, with its own split. Without any, nothing is measured.
    pub data: Vec<ImageSource>,
    /// Reports for images without their own; none for those of the training.
    pub reports: Vec<ReportSource>,
    /// What its input check is measured on as well.
    pub beside: Vec<Beside>,
}

/// Writes the model into `out` in an encoding. With data, fits and measures its input check and its report path, where
/// the run's folder has one, and notes what the encoding changes in the macro area of the model's own test split.
///
/// # Errors
///
/// A model without a split when data are given; whatever reading, running and writing can bring.
pub fn export(model: &Path, out: &Path, encoding: Encoding, measurement: &Measurement) -> Result<ModelCard> {
    let mut source = ModelDir::read(model)?;
    std::fs::create_dir_all(out).map_err(Error::file(out, "cannot make the folder"))?;
    let split = model_dir::read_split(model)?;
    let report = ReportPath::read(model)?.map(|path| path.with_sources(&measurement.reports));
    let data = &measurement.data;
    let (card, weights) = match &split {
        Some(split) if !data.is_empty() => completed(&source, split, report, measurement)?,
        _ if report.is_some() && source.card.report.is_none() => {
            complete(source.card.clone(), &source.weights, report, None, &[])?
        }
        _ => (source.card.clone(), source.weights.clone()),
    };
    source = ModelDir { card, weights, ..source };
    let mut card = model_dir::write(out, source.card.clone(), &source.weights, encoding)?;
    if let Some(split) = &split {
        write_atomically(&out.join(SPLIT), split.to_csv().as_bytes())?;
    }
    if data.is_empty() {
        return Ok(card);
    }
    let Some(split) = split else {
        let file = model.join(SPLIT).display().to_string();
        return Err(Error::Config {
            file,
            reason: "missing: the cost cannot be measured without the split".to_owned(),
        });
    };
    let studies = union(data)?.studies;
    let test: Vec<&Study> = split.indices(&studies, Part::Test)?.into_iter().map(|i| &studies[i]).collect();
    let area = |model: &ModelDir| -> Result<Option<f64>> {
        Ok(Scored::new(score(model, &test)?, &test).macro_auroc(CARD_MIN_POSITIVES))
    };
    let compressed = ModelDir::read(out)?;
    if let (Some(before), Some(after), Some(evaluation)) =
        (area(&source)?, area(&compressed)?, card.evaluation.as_mut())
    {
        evaluation.compression_cost = Some(after - before);
    }
    model_dir::write_card(out, &card.to_json()?)?;
    Ok(card)
}

/// A model with what goes beside its image path, measured on its own split.
fn completed(
    source: &ModelDir,
    split: &Split,
    report: Option<ReportPath>,
    measurement: &Measurement,
) -> Result<(ModelCard, Weights)> {
    let studies = union(&measurement.data)?.studies;
    let prep = source.card.preprocessing;
    let [train, validation, test] =
        [Part::Train, Part::Validation, Part::Test].map(|part| split.indices(&studies, part));
    let material = Material {
        studies: &studies,
        square: &|index| Ok(prep.square(&studies[index].radiograph(prep.size)?)),
        size: prep.size,
        train: &train?,
        validation: &validation?,
        test: &test?,
    };
    // What an earlier run has put there is made anew.
    let is_image = |name: &str| !BESIDE_IMAGE.iter().any(|part| name.starts_with(part));
    let image = source.weights.tensors().iter().filter(|(name, _)| is_image(name) || report.is_none());
    let image = Weights::new(WEIGHTS, image.map(|(name, tensor)| (name.clone(), tensor.clone())).collect())?;
    complete(source.card.clone(), &image, report, Some(&material), &measurement.beside)
}

/// The same for a segmenter. With data, measures on them what was packed, and notes it in the card; what the encoding
/// costs is told by `cmim eval` of both folders.
///
/// # Errors
///
/// Data that the model was trained on, or without a truth; whatever reading, running and writing can bring.
pub fn export_segmenter(model: &Path, out: &Path, encoding: Encoding, data: &[VolumeSource]) -> Result<SegmenterCard> {
    let source = SegmenterDir::read(model)?;
    std::fs::create_dir_all(out).map_err(Error::file(out, "cannot make the folder"))?;
    let split = model.join(SPLIT);
    if split.is_file() {
        let table = std::fs::read(&split).map_err(Error::file(&split, "cannot read the split"))?;
        write_atomically(&out.join(SPLIT), &table)?;
    }
    let mut card = model_dir::write_segmenter(out, source.card, &source.weights, encoding)?;
    if data.is_empty() {
        return Ok(card);
    }
    let packed = SegmenterDir::read(out)?;
    card.elsewhere = data.iter().map(|source| elsewhere(&packed, source)).collect::<Result<_>>()?;
    model_dir::write_card(out, &card.to_json()?)?;
    Ok(card)
}

/// How a segmenter does on data that it was not trained on.
fn elsewhere(model: &SegmenterDir, source: &VolumeSource) -> Result<Elsewhere> {
    let scans = list(std::slice::from_ref(source))?.entries;
    let parts = read_scan_parts(&model.path)?;
    let is_known = |scan: &&Entry| parts.as_ref().is_some_and(|parts| parts.part(&scan.name).is_some());
    if let Some(scan) = scans.iter().find(is_known) {
        return Err(Error::TrainedOn { scan: scan.name.clone() });
    }
    let report = measure(model, &scans, &outlines::subsets(model), &mut |_done| {})?;
    if report.n == 0 {
        return Err(Error::TooFewImages { part: "outlined test", found: 0, needed: 1 });
    }
    let subset = |measured: SubsetReport| SubsetCard {
        present: measured.present,
        threshold: measured.threshold,
        dice: measured.dice,
        dice_at_half: None,
        n: measured.n_patients,
    };
    Ok(Elsewhere {
        data: format!("{} {}, {ELSEWHERE}", report.n, source.what()),
        subsets: report.subsets.into_iter().map(subset).collect(),
    })
}
