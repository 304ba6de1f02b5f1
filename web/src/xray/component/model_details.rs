//! The model card, for people.

use leptos::prelude::*;
use shared::io::ModelCard;
use shared::io::card::{Evaluation, InputCheckCard, ReportCard, Training};
use shared::metric::Interval;

use crate::language::t;
use crate::worker::protocol::Origin;
use crate::xray::answer::{label, megabytes};
use crate::xray::session::Session;

/// What the model is, how it was made and measured.
#[component]
pub fn ModelDetails(
    /// What the page knows.
    session: ReadSignal<Session>,
) -> impl IntoView {
    let card = Memo::new(move |_| session.with(Session::card));
    view! {
        <details data-testid="model-details">
            <summary>{move || t!("xray.about_title")}</summary>
            {move || match card.get() {
                Some((card, origin)) => details(&card, origin).into_any(),
                None => view! { <p>{t!("xray.about_none")}</p> }.into_any(),
            }}
        </details>
    }
}

fn details(card: &ModelCard, origin: Origin) -> impl IntoView + use<> {
    let network = t!(
        "xray.about_network_words",
        depth = u32::from(card.architecture.depth),
        width = card.architecture.width,
        size = card.preprocessing.size
    );
    let origin = match origin {
        Origin::Kept => t!("xray.origin_kept"),
        Origin::FetchedAndKept => t!("xray.origin_fetched"),
        Origin::FetchedOnly => t!("xray.origin_refused"),
        Origin::Given => t!("xray.origin_given"),
    };
    let weights = format!("{}, {}, {origin}", card.weights.file, megabytes(card.weights.bytes));
    view! {
        <dl class="card">
            {entry(t!("xray.about_name"), card.name.clone())}
            {entry(t!("xray.about_network"), network)}
            {training(&card.training)}
            {card.evaluation.as_ref().map_or_else(
                || entry(t!("xray.about_measured"), t!("xray.about_not_yet")).into_any(),
                |measured| evaluation(measured).into_any(),
            )}
            {card.report.as_ref().map(report)}
            {card.input_check.as_ref().map(input_check)}
            {entry(t!("xray.about_weights"), weights)}
            <div><dt>"sha256"</dt><dd><code>{card.weights.sha256.clone()}</code></dd></div>
        </dl>
    }
}

fn training(training: &Training) -> impl IntoView + use<> {
    let data = training.data.iter().map(|set| {
        view! { <li>{t!("xray.about_data_line", name = set.name, n = set.n, licence = set.licence)}</li> }
    });
    let commands = training.commands.iter().map(|command| view! { <li><code>{command.clone()}</code></li> });
    let epochs =
        t!("xray.about_epochs_words", epochs = training.epochs, seed = training.seed, trainer = training.trainer);
    view! {
        {entry(t!("xray.about_method"), training.method.clone())}
        <div><dt>{t!("xray.about_data")}</dt><dd><ul>{data.collect_view()}</ul></dd></div>
        <div><dt>{t!("xray.about_made")}</dt><dd><ul>{commands.collect_view()}</ul></dd></div>
        {entry(t!("xray.about_epochs"), epochs)}
    }
}

fn evaluation(measured: &Evaluation) -> impl IntoView + use<> {
    let test = t!("xray.about_tested_words", data = measured.data, n = measured.n, patients = measured.n_patients);
    let names: Vec<String> = measured.macro_findings.iter().map(|&finding| label(finding)).collect();
    let mean = measured.macro_auroc.map_or_else(
        || t!("xray.about_auc_none"),
        |auroc| t!("xray.about_auc_words", auc = interval(auroc), names = names.join(", ")),
    );
    let twin = measured.image_only_twin.as_ref().map_or_else(
        || t!("xray.about_not_measured"),
        |twin| t!("xray.about_twin_words", auc = interval(twin.macro_auroc), difference = signed(twin.difference)),
    );
    let compression = measured.compression_cost.map_or_else(
        || t!("xray.about_not_measured"),
        |cost| t!("xray.about_compression_words", cost = format!("{cost:+.4}")),
    );
    view! {
        {entry(t!("xray.about_tested"), test)}
        {entry(t!("xray.about_auc"), mean)}
        {entry(t!("xray.about_twin"), twin)}
        {entry(t!("xray.about_compression"), compression)}
    }
}

/// How well reports are read; the words on the data are the card's own.
fn report(report: &ReportCard) -> impl IntoView + use<> {
    let words = match &report.evaluation {
        Some(measured) => {
            let auroc = measured.macro_auroc.map_or_else(|| t!("xray.about_not_measured"), interval);
            format!("{auroc}. {}", measured.data)
        }
        None => t!("xray.about_not_measured"),
    };
    entry(t!("xray.about_report"), words)
}

fn input_check(check: &InputCheckCard) -> impl IntoView + use<> {
    let lines = check.measured.iter().map(|measured| {
        let line = t!("xray.about_check_line", what = measured.what, refused = measured.refused, n = measured.n);
        view! { <li>{line}</li> }
    });
    view! { <div><dt>{t!("xray.about_check")}</dt><dd><ul>{lines.collect_view()}</ul></dd></div> }
}

fn entry(term: String, text: String) -> impl IntoView {
    view! { <div><dt>{term}</dt><dd>{text}</dd></div> }
}

fn interval(value: Interval) -> String {
    let number = |value: f64| format!("{value:.3}");
    t!("xray.interval", value = number(value.value), lo = number(value.lo), hi = number(value.hi))
}

fn signed(value: Interval) -> String {
    let number = |value: f64| format!("{value:+.3}");
    t!("xray.interval", value = number(value.value), lo = number(value.lo), hi = number(value.hi))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_keeps_its_sign() {
        let value = Interval { value: 0.01, lo: -0.0204, hi: 0.04 };
        assert_eq!(signed(value), "+0.010 (-0.020 to +0.040)");
        assert_eq!(interval(value), "0.010 (-0.020 to 0.040)");
    }
}
