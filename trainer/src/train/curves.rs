//! The record of a run as curves: an SVG figure and TensorBoard's event file.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::EpochRecord;
use crate::checkpoint::write_atomically;
use crate::error::{Error, Result};
use crate::figure::{Line, Panel, curves};
use crate::tensorboard::{self, Scalars};

/// Name of the figure in the run's folder.
const FIGURE: &str = "curves.svg";

/// Mutual-information losses by the names they have in records.
const MUTUAL_INFORMATION: [(&str, &str, &str); 3] =
    [("ll", "L_ll", "L_ll, validation"), ("lg", "L_lg", "L_lg, validation"), ("gg", "L_gg", "L_gg, validation")];

/// Cross-entropies by the names they have in records, and for people.
const CROSS_ENTROPIES: [(&str, &str); 7] = [
    ("findings", "findings"),
    ("joint", "image and report"),
    ("words", "words"),
    ("places", "places"),
    ("outline", "outline"),
    ("teacher", "all sequences"),
    ("soft masks", "soft masks"),
];

/// Likewise what is drawn near to something else.
const DISTANCES: [(&str, &str); 2] = [("features", "features"), ("voxels", "guessed voxels")];

/// Writes both files anew, so that a resumed run has neither a gap nor a double.
pub(super) fn write(out: &Path, title: &str, records: &[EpochRecord]) -> Result<()> {
    let start_secs = began(out, records);
    write_atomically(&out.join(FIGURE), figure(title, records).as_bytes())?;
    let mut wall_time_secs = start_secs as f64;
    let names: Vec<Vec<(String, f32)>> = records.iter().map(scalars).collect();
    let scalars: Vec<Scalars<'_>> = records
        .iter()
        .zip(&names)
        .map(|(record, values)| {
            wall_time_secs += record.seconds;
            let values = values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            Scalars { wall_time_secs, step: record.step as u64, values }
        })
        .collect();
    let path = out.join(tensorboard::file_name(start_secs, "cmim"));
    tensorboard::write(&path, &scalars).map_err(Error::file(&path, "cannot write the event file"))
}

/// When the run in the folder began, in seconds since 1970: its event file says so; without one, its records' time ago.
fn began(out: &Path, records: &[EpochRecord]) -> u64 {
    let names = std::fs::read_dir(out).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let begun = names
        .filter_map(|name| name.to_str()?.strip_prefix("events.out.tfevents.")?.strip_suffix(".cmim")?.parse().ok())
        .min();
    let ago: f64 = records.iter().map(|record| record.seconds).sum();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    begun.unwrap_or_else(|| (now() - ago) as u64)
}

fn scalars(record: &EpochRecord) -> Vec<(String, f32)> {
    let mut values = vec![("loss/total".to_owned(), record.loss as f32)];
    values.extend(record.losses.iter().map(|(name, value)| (format!("loss/{name}"), *value as f32)));
    values.extend(record.held_out.iter().map(|(name, value)| (format!("validation/{name}"), *value as f32)));
    for (name, chance) in &record.chance {
        // What the critic knows: how far its loss is below that of one that knows nothing.
        let estimate = record.losses.get(name).map(|loss| chance - loss);
        values.extend(estimate.map(|estimate| (format!("information/{name}"), estimate as f32)));
    }
    values.extend(record.validation.map(|value| (format!("validation/{}", record.measure), value as f32)));
    values.push(("loader/waiting".to_owned(), record.waiting as f32));
    values
}

/// Losses, mutual-information losses beside those of a critic that knows nothing, and the validation measure.
pub(crate) fn figure(title: &str, records: &[EpochRecord]) -> String {
    let points = |value: &dyn Fn(&EpochRecord) -> Option<f64>| -> Vec<(f64, f64)> {
        records.iter().filter_map(|record| Some((record.epoch as f64, value(record)?))).collect()
    };
    let has = |name: &str| records.iter().any(|record| record.losses.contains_key(name));
    let panel = |title, losses: &[(&str, &'static str)]| {
        let losses = losses.iter().filter(|(name, _)| has(name));
        let line = |(name, label): &(&str, &'static str)| Line {
            name: label,
            points: points(&|record| record.losses.get(*name).copied()),
        };
        Panel { title, lines: losses.map(line).collect(), mark: None }
    };
    let mut panels = vec![panel("cross-entropy", &CROSS_ENTROPIES), panel("squared distance", &DISTANCES)];
    panels.retain(|panel| !panel.lines.is_empty());
    if let Some((_, chance)) = records.iter().find_map(|record| record.chance.iter().next()) {
        let mut lines = Vec::new();
        for (name, trained, held_out) in MUTUAL_INFORMATION.into_iter().filter(|(name, ..)| has(name)) {
            lines.push(Line { name: trained, points: points(&|r| r.losses.get(name).copied()) });
            lines.push(Line { name: held_out, points: points(&|r| r.held_out.get(name).copied()) });
        }
        panels.push(Panel { title: "mutual-information losses", lines, mark: Some((*chance, "knows nothing")) });
    }
    let validation = Line { name: "validation", points: points(&|record| record.validation) };
    let measure = records.first().map_or("", |record| record.measure.as_str());
    panels.push(Panel { title: measure, lines: vec![validation], mark: None });
    curves(title, &panels)
}
