//! The model card, for people.

use leptos::prelude::*;
use shared::io::ModelCard;
use shared::io::card::{Evaluation, Training};
use shared::metric::Interval;

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
            <summary>"About this model"</summary>
            {move || match card.get() {
                Some((card, origin)) => details(&card, origin).into_any(),
                None => view! { <p>"The model is not there yet."</p> }.into_any(),
            }}
        </details>
    }
}

fn details(card: &ModelCard, origin: Origin) -> impl IntoView + use<> {
    let network = format!(
        "ResNet-{}, {} channels at the first stage; input {} × {} pixels",
        u32::from(card.architecture.depth),
        card.architecture.width,
        card.preprocessing.size,
        card.preprocessing.size,
    );
    let weights = format!(
        "{}, {}, {}",
        card.weights.file,
        megabytes(card.weights.bytes),
        match origin {
            Origin::Kept => "taken from this browser's own store",
            Origin::FetchedAndKept => "fetched now, and kept in this browser for the next visit",
            Origin::FetchedOnly => "fetched now; this browser refused to keep them for the next visit",
            Origin::Given => "from the files you gave",
        }
    );
    view! {
        <dl class="card">
            {entry("Name", card.name.clone())}
            {entry("Network", network)}
            {training(&card.training)}
            {card.evaluation.as_ref().map_or_else(
                || entry("Measured", "not yet".to_owned()).into_any(),
                |measured| evaluation(measured).into_any(),
            )}
            {entry("Weights", weights)}
            <div><dt>"sha256"</dt><dd><code>{card.weights.sha256.clone()}</code></dd></div>
        </dl>
    }
}

fn training(training: &Training) -> impl IntoView + use<> {
    let data = training.data.iter().map(|set| {
        view! { <li>{format!("{}: {} in the training split. {}", set.name, set.n, set.licence)}</li> }
    });
    let commands = training.commands.iter().map(|command| view! { <li><code>{command.clone()}</code></li> });
    view! {
        {entry("Method", training.method.clone())}
        <div><dt>"Training data"</dt><dd><ul>{data.collect_view()}</ul></dd></div>
        <div><dt>"Made by"</dt><dd><ul>{commands.collect_view()}</ul></dd></div>
        {entry("Epochs, seed", format!("{} epochs, seed {}, trainer {}", training.epochs, training.seed, training.trainer))}
    }
}

fn evaluation(measured: &Evaluation) -> impl IntoView + use<> {
    let test = format!("{}: {} images of {} patients", measured.data, measured.n, measured.n_patients);
    let names: Vec<&str> = measured.macro_findings.iter().map(|&finding| label(finding)).collect();
    let mean = measured.macro_auroc.map_or_else(
        || "not measured: no finding has 20 test images".to_owned(),
        |auroc| format!("{}, over {}", interval(auroc), names.join(", ")),
    );
    let twin = measured.image_only_twin.as_ref().map_or_else(
        || "not measured".to_owned(),
        |twin| {
            format!("mean AUC {}; this model minus the twin {}", interval(twin.macro_auroc), signed(twin.difference))
        },
    );
    let compression = measured
        .compression_cost
        .map_or_else(|| "not measured".to_owned(), |cost| format!("{cost:+.4} in mean AUC, against 32-bit weights"));
    view! {
        {entry("Tested on", test)}
        {entry("Mean AUC", mean)}
        {entry("Twin trained on images alone", twin)}
        {entry("Cost of compression", compression)}
    }
}

fn entry(term: &'static str, text: String) -> impl IntoView {
    view! { <div><dt>{term}</dt><dd>{text}</dd></div> }
}

fn interval(value: Interval) -> String {
    format!("{:.3} ({:.3} to {:.3})", value.value, value.lo, value.hi)
}

fn signed(value: Interval) -> String {
    format!("{:+.3} ({:+.3} to {:+.3})", value.value, value.lo, value.hi)
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
