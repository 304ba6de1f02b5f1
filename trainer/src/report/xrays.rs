//! Samples of what a model says of test images: the surest right answer, the surest false alarm, the worst miss.

use std::fmt::Write as _;

use maud::{Markup, html};
use shared::finding::Finding;
use shared::infer::XrayClassifier;
use shared::io::Radiograph;
use shared::prep::image::{Preprocessing, centre_square};
use shared::render::heat;

use super::classification::label;
use super::picture;
use crate::config::Config;
use crate::data::Study;
use crate::error::Result;
use crate::evaluate::Scored;
use crate::model_dir::ModelDir;

/// Findings that samples are shown of: those with most test images.
const FINDINGS: usize = 3;
/// Largest side of a picture.
const SIDE: usize = 256;
/// Side of a map's picture.
const HEAT_SIDE: usize = 64;
/// The weakest map that is shown at full strength, as on the web page.
const LEAST: f32 = 0.5;
/// Highest scores that are named beside an image.
const NAMED: usize = 3;

/// Why an image is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    HighestWith,
    HighestWithout,
    LowestWith,
}

/// An image to be shown for a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    finding: Finding,
    why: Why,
    /// Position among the scored studies.
    at: usize,
}

/// Pictures with labels and scores, and for models whose image path stands alone with the map of the finding.
pub(super) fn samples(
    config: &Config,
    model: Option<&ModelDir>,
    scored: &Scored,
    studies: &[&Study],
) -> Result<Markup> {
    let mut classifier = model.map(ModelDir::classifier).transpose()?;
    let size = config.preprocessing.size;
    let mut shown = Vec::new();
    for (finding, samples) in chosen(scored) {
        let cards = samples
            .into_iter()
            .map(|sample| {
                let study = studies[sample.at];
                let image = study.radiograph(size)?;
                let words = words(&sample, scored, study, model);
                card(study, &image, sample.finding, classifier.as_mut(), &words)
            })
            .collect::<Result<Vec<Markup>>>()?;
        shown.push((finding, cards));
    }
    Ok(html! {
        section.samples {
            h2 { "Samples of the test part" }
            p.hint {
                "Chosen by rule, not by look: for the " (FINDINGS) " findings that most test images have, the image with the \
                 finding that scores highest, the image without it that scores highest, and the image with it that scores \
                 lowest. The network sees the square in the middle, at " (size) " × " (size) " pixels."
            }
            @if classifier.is_some() {
                p.hint {
                    label { input type="checkbox" checked="checked" class="heat-switch"; " Show what speaks for " }
                    span.above { "(orange)" } " and against " span.below { "(blue)" }
                    " the finding: a class activation map, each as strong as its own strongest place. It points at a region."
                }
            } @else {
                p.hint { "This method has no image path of its own, so there are no maps." }
            }
            @if shown.is_empty() { p { "No finding has a test image with it and one without it." } }
            @for (finding, cards) in &shown {
                h3 { (label(*finding)) }
                div.cards { @for card in cards { (card) } }
            }
        }
    })
}

/// The samples of each finding that is shown.
fn chosen(scored: &Scored) -> Vec<(Finding, Vec<Sample>)> {
    let mut findings = scored.measurable(1);
    findings.sort_by_key(|&finding| std::cmp::Reverse(scored.n_pos(finding)));
    findings.truncate(FINDINGS);
    let of = |finding: Finding| {
        let (scores, present) = scored.column(finding);
        let with: Vec<usize> = (0..scores.len()).filter(|&at| present[at]).collect();
        let without = (0..scores.len()).filter(|&at| !present[at]);
        let by_score = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]);
        let highest_with = with.iter().copied().max_by(by_score);
        let samples = [
            (Why::HighestWith, highest_with),
            (Why::HighestWithout, without.max_by(by_score)),
            // One image is not shown twice.
            (Why::LowestWith, with.iter().copied().min_by(by_score).filter(|at| Some(*at) != highest_with)),
        ];
        let samples = samples.into_iter().filter_map(|(why, at)| Some(Sample { finding, why, at: at? }));
        (finding, samples.collect())
    };
    findings.into_iter().map(of).collect()
}

/// What is said beside an image: a head, and lines.
struct Words {
    head: String,
    lines: Vec<String>,
}

fn words(sample: &Sample, scored: &Scored, study: &Study, model: Option<&ModelDir>) -> Words {
    let (finding, scores) = (sample.finding, &scored.scores[sample.at]);
    let score = scores[finding.index()];
    let card = model.map(|model| &model.card);
    let threshold = card.and_then(|card| card.findings[finding.index()].threshold);
    let rank = match sample.why {
        Why::HighestWith => "Highest score with it",
        Why::HighestWithout => "Highest score without it",
        Why::LowestWith => "Lowest score with it",
    };
    let verdict = threshold.map(|threshold| match (sample.why, score >= threshold) {
        (Why::HighestWith, true) => "rightly called",
        (Why::HighestWith | Why::LowestWith, false) => "missed",
        (Why::HighestWithout, true) => "a false alarm",
        (Why::HighestWithout, false) => "rightly not called",
        (Why::LowestWith, true) => "rightly called all the same: none was missed",
    });
    let head = verdict.map_or_else(|| rank.to_owned(), |verdict| format!("{rank}: {verdict}"));
    let mut line = format!("{}: score {score:.2}", label(finding));
    if let Some(threshold) = threshold {
        let _ = write!(line, ", threshold {threshold:.2}");
    }
    if let Some(calibration) = card.and_then(|card| card.calibration.as_ref()) {
        let _ = write!(line, ", probability {:.0}%", 100.0 * calibration.probability(finding, score));
    }
    let labels: Vec<String> = study.known_findings().iter().map(label).collect();
    let labels = if labels.is_empty() { "no finding".to_owned() } else { labels.join(", ") };
    let mut order = Finding::ALL;
    order.sort_by(|a, b| scores[b.index()].total_cmp(&scores[a.index()]));
    let highest: Vec<String> =
        order[..NAMED].iter().map(|of| format!("{} {:.2}", label(*of), scores[of.index()])).collect();
    Words { head, lines: vec![line, format!("Labels: {labels}"), format!("Highest scores: {}", highest.join(", "))] }
}

fn card(
    study: &Study,
    image: &Radiograph,
    finding: Finding,
    classifier: Option<&mut XrayClassifier>,
    words: &Words,
) -> Result<Markup> {
    let picture = square(&study.image, image)?;
    let heat = classifier.map(|classifier| map(&study.image, image, finding, classifier)).transpose()?;
    Ok(html! {
        figure.card {
            div.picture {
                img src=(picture) alt=(format!("X-ray {}", study.image));
                @if let Some(heat) = &heat { img.heat src=(heat) alt=(format!("Map of {}", label(finding))); }
            }
            figcaption {
                strong { (words.head) }
                @for line in &words.lines { span { (line) } }
                span.file { (study.image) }
            }
        }
    })
}

/// The square that the network sees, finer than it sees it where the image is.
fn square(name: &str, image: &Radiograph) -> Result<String> {
    let [_, _, side] = centre_square(image.width, image.height);
    let size = side.clamp(1, SIDE);
    // Only the size matters: the brightness stays as it is.
    let preprocessing =
        Preprocessing { size, channels: 1, normalization: shared::prep::image::Normalization::PerImage };
    let pixels: Vec<u8> =
        preprocessing.square(image).iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    picture::grey(name, [size, size], &pixels)
}

fn map(name: &str, image: &Radiograph, finding: Finding, classifier: &mut XrayClassifier) -> Result<String> {
    let features = classifier.examine(image)?.features;
    let map = classifier.activation_map(&features, finding);
    let mut rgba = vec![0; 4 * HEAT_SIDE * HEAT_SIDE];
    heat::paint(&map.values, map.side, heat::strongest(&map.values, LEAST), HEAT_SIDE, &mut rgba);
    picture::rgba(name, [HEAT_SIDE, HEAT_SIDE], &rgba)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_chosen_by_their_scores() {
        // Mass in three images, Nodule in one, nothing else.
        let (mass, nodule) = (Finding::Mass.index(), Finding::Nodule.index());
        let mut scored = Scored {
            scores: vec![[0.1; Finding::COUNT]; 5],
            present: vec![[false; Finding::COUNT]; 5],
            patients: vec![0, 1, 2, 3, 4],
        };
        for (at, score) in [0.9, 0.8, 0.7, 0.2, 0.6].into_iter().enumerate() {
            scored.scores[at][mass] = score;
            scored.present[at][mass] = [false, true, false, true, true][at];
        }
        scored.present[2][nodule] = true;
        let chosen = chosen(&scored);
        let summary: Vec<_> = chosen.iter().map(|(f, s)| (*f, s.iter().map(|s| (s.why, s.at)).collect())).collect();
        let expected: Vec<(Finding, Vec<(Why, usize)>)> = vec![
            (Finding::Mass, vec![(Why::HighestWith, 1), (Why::HighestWithout, 0), (Why::LowestWith, 3)]),
            // Its one image is not shown twice.
            (Finding::Nodule, vec![(Why::HighestWith, 2), (Why::HighestWithout, 4)]),
        ];
        assert_eq!(summary, expected);
    }
}
