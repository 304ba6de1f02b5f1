//! The report path of a cross-modal model: its part of the card, and what it is worth.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::FindingSet;
use shared::finding::Finding;
use shared::infer::{ReadReport, XrayClassifier};
use shared::io::card::{CriticEvaluation, FindingCard, ReportCard, ReportEvaluation};
use shared::io::radiograph::{Nature, Radiograph};

use super::{CARD_MIN_POSITIVES, Material, Scored};
use crate::data::{Pairs, Reports, Study};
use crate::error::Result;

/// Seed of the pairs.
const SEED: u64 = 20;
/// Draws for a report of other findings before the image is left out.
const DRAWS: usize = 50;

/// Images with reports, and what the model says of them.
#[derive(Default)]
struct Answers<'a> {
    scores: Vec<[f32; Finding::COUNT]>,
    image_alone: Vec<[f32; Finding::COUNT]>,
    studies: Vec<&'a Study>,
    own: usize,
    /// Mean critic score of each image with its report and with one of other findings.
    critic: Vec<[f32; 2]>,
}

/// Measures a classifier's report path, whose card it completes: thresholds and calibration on validation, areas on
/// test. A study's own report is taken where there is one, else one of `reports` with exactly its findings.
///
/// # Errors
///
/// Whatever reading and running can bring.
pub fn measure_reports(
    classifier: &mut XrayClassifier,
    material: &Material<'_>,
    reports: &Reports,
    card: ReportCard,
) -> Result<ReportCard> {
    let validation = answers(classifier, material, material.validation, reports)?;
    let test = answers(classifier, material, material.test, reports)?;
    if validation.studies.is_empty() || test.studies.is_empty() {
        return Ok(card);
    }
    let offsets = classifier.card().calibration.as_ref().map(|calibration| calibration.offsets.clone());
    let validation = Scored::new(validation.scores, &validation.studies);
    let scored = Scored::new(test.scores, &test.studies);
    let findings = Finding::ALL
        .into_iter()
        .zip(validation.thresholds())
        .zip(scored.aurocs())
        .map(|((finding, threshold), auroc)| FindingCard { finding, threshold, auroc })
        .collect();
    let calibration = offsets.map(|offsets| {
        let weights = std::array::from_fn(|k| offsets.get(k).map_or(1.0, |offset| offset.exp()));
        validation.calibration(&weights)
    });
    let alone = Scored::new(test.image_alone, &test.studies);
    let macro_findings = scored.measurable(CARD_MIN_POSITIVES);
    let data = if test.own == test.studies.len() {
        "test part, each image with its own report".to_owned()
    } else {
        format!(
            "test part; {} of {} images with their own report, the others with one of exactly the same findings: of another \
             person, among those the text encoder learned from, and naming what the label says. This tells how well the \
             text is read, not what the report of a patient would add",
            test.own,
            test.studies.len()
        )
    };
    let evaluation = ReportEvaluation {
        data,
        n: test.studies.len(),
        macro_auroc: scored.bootstrap().macro_auroc(&scored.columns(&macro_findings)),
        image_alone: alone.bootstrap().macro_auroc(&alone.columns(&macro_findings)),
        macro_findings,
        critic: critic(&test.critic, &scored.patients),
    };
    Ok(ReportCard { calibration, findings, evaluation: Some(evaluation), ..card })
}

fn answers<'a>(
    classifier: &mut XrayClassifier,
    material: &Material<'a>,
    indices: &[usize],
    reports: &Reports,
) -> Result<Answers<'a>> {
    let reports = &reports.reports;
    let pairs = Pairs::new(reports);
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let own: Vec<(FindingSet, &str)> = indices
        .iter()
        .filter_map(|&i| Some((material.studies[i].findings?, material.studies[i].report.as_deref()?)))
        .collect();
    let mut answers = Answers::default();
    for &index in indices {
        let study = &material.studies[index];
        let Some(findings) = study.findings else { continue };
        let matched = pairs.draw(findings, &mut rng).map(|i| reports[i].text.as_str());
        let Some(text) = study.report.as_deref().or(matched) else { continue };
        let any = |rng: &mut ChaCha8Rng| -> Option<(FindingSet, &str)> {
            let n = reports.len() + own.len();
            let at = (n > 0).then(|| rng.random_range(0..n))?;
            Some(
                reports
                    .get(at)
                    .map_or_else(|| own[at - reports.len()], |report| (report.findings, report.text.as_str())),
            )
        };
        let other = (0..DRAWS).find_map(|_| any(&mut rng).filter(|(of, _)| *of != findings).map(|(_, text)| text));
        let image = Radiograph {
            width: material.size,
            height: material.size,
            pixels: (material.square)(index)?,
            source: study.image.clone(),
            nature: Nature::default(),
        };
        let examined = classifier.examine(&image)?;
        let features = examined.features;
        let read = |text: &str| classifier.read_report(text);
        let Some(report) = read(text) else { continue };
        let Some(scores) = classifier.scores_with(&features, &report)? else { continue };
        let mean = |report: &ReadReport| -> Option<f32> {
            let scores = classifier.agreement(&features, report)?.scores;
            Some(scores.iter().sum::<f32>() / scores.len().max(1) as f32)
        };
        let critic = mean(&report).zip(other.and_then(read).as_ref().and_then(mean));
        answers.critic.push(critic.map_or([f32::NAN; 2], |(belongs, other)| [belongs, other]));
        answers.scores.push(scores);
        answers.image_alone.push(examined.scores);
        answers.own += usize::from(study.report.is_some());
        answers.studies.push(study);
    }
    Ok(answers)
}

/// How well the critic tells the reports that belong from those that do not.
fn critic(means: &[[f32; 2]], patients: &[u32]) -> Option<CriticEvaluation> {
    let known = means.iter().zip(patients).filter(|(means, _)| means.iter().all(|mean| mean.is_finite()));
    let (means, patients): (Vec<[f32; 2]>, Vec<u32>) = known.map(|(means, patient)| (*means, *patient)).unzip();
    let scores: Vec<f32> = means.iter().flatten().copied().collect();
    let belongs: Vec<bool> = means.iter().flat_map(|_| [true, false]).collect();
    let patients: Vec<u32> = patients.iter().flat_map(|&patient| [patient; 2]).collect();
    let auroc = super::findings::bootstrap(&patients).auroc(&scores, &belongs)?;
    let data = "mean score over all places and words: an image with a report of its findings against the same image with a \
                report of other findings";
    Some(CriticEvaluation { data: data.to_owned(), auroc, n: means.len() })
}
