//! One page about a training run: curves, what the model is worth on the test part, and samples of what it says.
//!
//! The page is a file of its own: it loads nothing, runs no script, and can be read offline, on a phone and on paper.
//! [`run`] reads the folder; [`classification`] and [`segmentation`] tell of the test part, with [`xrays`] and [`slices`]
//! as samples; [`page`] puts it together.

mod classification;
mod page;
mod picture;
mod run;
mod segmentation;
mod slices;
mod xrays;

use std::fmt;
use std::path::Path;

use maud::Markup;
use shared::io::card::Training;

use crate::config::Experiment;
use crate::data;
use crate::error::Result;
use run::Run;

/// A page, and what is not on it.
#[derive(Debug)]
pub struct Report {
    /// The page.
    pub html: String,
    /// What is missing, in sentences; the page says it too.
    pub missing: Vec<String>,
}

/// Tells of the run in a folder. Where its data are at hand, the test part is answered anew; `progress` learns how many
/// scans are done, of how many.
///
/// # Errors
///
/// [`Error::NoRun`](crate::Error::NoRun) for a folder that is none; a damaged file, by name and line; whatever running
/// the model can bring. Data that are not there are no error.
pub fn report(folder: &Path, progress: &mut impl FnMut(usize, usize)) -> Result<Report> {
    let run = Run::read(folder)?;
    let mut told = match &run.experiment {
        Experiment::Classification(config) => classification::tell(&run, config)?,
        Experiment::Segmentation(config) => segmentation::tell(&run, config, progress)?,
    };
    let best = run.best().map(|record| record.epoch);
    if let (Some(training), Some(best)) = (&told.training, best)
        && training.epochs != best
    {
        told.missing.push(format!(
            "The run went on after its end: results and samples are of the weights of epoch {}, not yet of epoch {best}.",
            training.epochs
        ));
    }
    Ok(Report { html: page::page(&run, &told), missing: told.missing })
}

/// What there is to tell of a run beside its curves and its configuration.
#[derive(Default)]
struct Told {
    /// The main result, in sentences; none for a run that has not ended.
    result: Vec<String>,
    /// How the weights came to be, as the card has it.
    training: Option<Training>,
    /// What was measured on, in words.
    evaluation: Option<String>,
    /// Images or scans for training, validation and test.
    parts: Option<[usize; 3]>,
    /// Results and samples.
    sections: Vec<Markup>,
    /// Whether images of the data are among them.
    has_images: bool,
    /// What is missing, in sentences.
    missing: Vec<String>,
}

/// Says of data that cannot be read which source is to blame.
fn unreadable<S: fmt::Display, T>(
    sources: &[S],
    list: impl Fn(&[S]) -> data::Result<T>,
    error: &impl fmt::Display,
) -> String {
    let blamed = sources.iter().find_map(|source| {
        let reason = list(std::slice::from_ref(source)).err()?;
        Some(format!("{source}: {reason}"))
    });
    format!(
        "The data of the test part cannot be read, so what rests on them is not on this page. {}. A source's folder is \
         sought from where `cmim report` is run.",
        blamed.unwrap_or_else(|| error.to_string())
    )
}

/// A value with its interval.
fn with_interval([value, lo, hi]: [f64; 3]) -> String {
    format!("{value:.3} ({lo:.3} to {hi:.3})")
}
