//! The page itself: head, curves, configuration, and how all of it looks.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Told;
use super::run::Run;
use crate::figure::{Line, Panel, curves, page_style};
use crate::train::{self, EpochRecord};

/// How the page looks, in light, in dark, on a phone, on paper.
const STYLE: &str = include_str!("style.css");
/// Nothing is loaded and nothing runs, whatever a file's text may say.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The whole page.
pub(super) fn page(run: &Run, told: &Told) -> String {
    let style = format!("{STYLE}{}", page_style("var(--ink)", "var(--ink-soft)", "var(--line)"));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (run.name()) ": report of a training run" }
                style { (PreEscaped(style)) }
            }
            body {
                (head(run, told))
                @if !run.records.is_empty() { (training_curves(run)) }
                @for section in &told.sections { (section) }
                (settings(run))
                footer { (foot(told)) }
            }
        }
    };
    page.into_string()
}

fn head(run: &Run, told: &Told) -> Markup {
    html! {
        header {
            p.kind { "CMIM, report of a training run" }
            h1 { (run.name()) }
            p.state { (run.state()) }
            @if !told.result.is_empty() { p.result { (told.result.join(" ")) } }
            @for sentence in &told.missing { p.notice { (sentence) } }
            dl {
                (fact("Method", &told.training.as_ref().map_or_else(|| run.method(), |training| training.method.clone())))
                div { dt { "Data" } dd { @for source in run.sources() { span { (source) } } } }
                @if let Some([train, validation, test]) = told.parts {
                    (fact("Split", &format!("{train} for training, {validation} for validation, {test} for test")))
                }
                @if let Some(evaluation) = &told.evaluation { (fact("Measured on", evaluation)) }
                (fact("Seed", &run.seed().to_string()))
                @if let Some(training) = &told.training {
                    div { dt { "Command" } dd { @for command in &training.commands { code { (command) } } } }
                }
                @if let Some(time) = time(&run.records) { (fact("Time", &time)) }
                (fact("Versions", &versions(told)))
            }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn versions(told: &Told) -> String {
    let ours = env!("CARGO_PKG_VERSION");
    match &told.training {
        Some(training) => format!("trained by cmim {}, this page by cmim {ours}", training.trainer),
        None => format!("this page by cmim {ours}"),
    }
}

/// How long the epochs took, and how much of it was waiting; `None` before the first.
fn time(records: &[EpochRecord]) -> Option<String> {
    let n = records.len() as f64;
    let all: f64 = records.iter().map(|record| record.seconds).sum();
    let waited: f64 = records.iter().map(|record| record.waiting * record.seconds).sum();
    (n > 0.0).then(|| {
        format!(
            "{} in all, {} an epoch; {:.0}% of it waiting for data",
            duration(all),
            duration(all / n),
            100.0 * waited / all.max(f64::MIN_POSITIVE)
        )
    })
}

fn duration(secs: f64) -> String {
    let whole = secs.round() as u64;
    match whole {
        0..10 => format!("{secs:.1} s"),
        10..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

fn training_curves(run: &Run) -> Markup {
    let points = |value: fn(&EpochRecord) -> f64| {
        run.records.iter().map(|record| (record.epoch as f64, value(record))).collect::<Vec<_>>()
    };
    let panel = |title, name, value| Panel { title, lines: vec![Line { name, points: points(value) }], mark: None };
    let panels = [
        panel("seconds", "an epoch", |record| record.seconds),
        panel("share of the steps' time", "waiting for data", |record| record.waiting),
    ];
    html! {
        section {
            h2 { "Training" }
            figure.wide { (PreEscaped(train::curves::figure("Losses and validation", &run.records))) }
            details {
                summary { "Time and every epoch" }
                figure.wide { (PreEscaped(curves("Time", &panels))) }
                div.wide { (epochs(&run.records)) }
            }
        }
    }
}

fn epochs(records: &[EpochRecord]) -> Markup {
    let measure = records.first().map_or("", |record| record.measure.as_str());
    html! {
        table {
            thead {
                tr {
                    @for name in ["Epoch", "Steps so far", "Loss"] { th scope="col" { (name) } }
                    th scope="col" { "Validation " (measure) }
                    @for name in ["Seconds", "Waiting"] { th scope="col" { (name) } }
                }
            }
            tbody {
                @for record in records {
                    tr {
                        th scope="row" { (record.epoch) @if record.best { " (best so far)" } }
                        td { (record.step) }
                        td { (format!("{:.4}", record.loss)) }
                        td { (record.validation.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))) }
                        td { (format!("{:.1}", record.seconds)) }
                        td { (format!("{:.0}%", 100.0 * record.waiting)) }
                    }
                }
            }
        }
    }
}

fn settings(run: &Run) -> Markup {
    html! {
        section {
            h2 { "Configuration" }
            details {
                summary { "config.toml, every setting as it was used" }
                pre { code { (run.config) } }
            }
        }
    }
}

fn foot(told: &Told) -> Markup {
    html! {
        @if told.has_images {
            p {
                strong { "This page contains images and file names of the data set: mind its licence, and the patients, before \
                          passing it on." }
            }
        }
        p { "This is not a medical device. It is for teaching and research." }
        @if let Some(training) = &told.training {
            @for set in &training.data { p { (set.name) ", " (set.n) " for training: " (set.licence) "." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_words() {
        let words = [0.44, 61.2, 150.0, 7260.0].map(duration);
        assert_eq!(words, ["0.4 s", "61 s", "2 min 30 s", "2 h 1 min"]);
    }
}
