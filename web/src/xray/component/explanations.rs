//! What a person must know to read the answer.

use leptos::prelude::*;
use shared::Finding;

use crate::language::t;
use crate::xray::answer::{label, meaning};

/// What numbers, thresholds and findings mean.
#[component]
pub fn Explanations() -> impl IntoView {
    view! {
        <details>
            <summary>{move || t!("xray.score_title")}</summary>
            <p>{move || t!("xray.score_means_long")}</p>
            <p>{move || t!("xray.threshold_means")}</p>
            <p>{move || t!("xray.auroc_means")}</p>
        </details>
        <details>
            <summary>{move || t!("xray.findings_title")}</summary>
            <dl class="glossary">
                {Finding::ALL
                    .map(|finding| view! {
                        <div><dt>{move || label(finding)}</dt><dd>{move || meaning(finding)}</dd></div>
                    })
                    .collect_view()}
            </dl>
            <p class="hint">{move || t!("xray.findings_source")}</p>
        </details>
    }
}
