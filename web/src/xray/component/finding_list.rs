//! The answer: 14 bars.

use leptos::prelude::*;

use crate::xray::answer::{Call, Row, auroc_words, label, meaning, score_words};
use crate::xray::session::Session;

/// The findings of the newest file, highest score first.
#[component]
pub fn FindingList(
    /// What the page knows.
    session: ReadSignal<Session>,
) -> impl IntoView {
    let rows = Memo::new(move |_| session.with(|session| session.rows().to_vec()));
    view! {
        <section class="findings" aria-labelledby="findings-title">
            <h2 id="findings-title">"Findings"</h2>
            <p class="legend" aria-hidden="true">
                <span class="legend-mark"></span>
                "threshold of the finding"
            </p>
            <ol>{move || rows.get().iter().map(finding).collect_view()}</ol>
        </section>
    }
}

fn finding(row: &Row) -> impl IntoView + use<> {
    let name = row.finding.name();
    let percent = |value: f32| format!("{:.2}%", f64::from(value) * 100.0);
    let mark = row
        .call
        .threshold()
        .map(|threshold| view! { <span class="bar-threshold" style:left=percent(threshold)></span> });
    let sign = match row.call {
        Call::Above(_) => "▲ ",
        Call::Below(_) | Call::NoThreshold => "",
    };
    view! {
        <li
            class="finding"
            class:finding-above=row.call.is_above()
            data-testid="finding"
            data-finding=name
            data-score=row.score.to_string()
        >
            <span class="finding-name" title=meaning(row.finding)>{label(row.finding)}</span>
            <span class="bar" aria-hidden="true">
                <span class="bar-fill" style:width=percent(row.score)></span>
                {mark}
            </span>
            <span class="finding-score">{score_words(row.score)}</span>
            <span class="finding-call"><span aria-hidden="true">{sign}</span>{row.call.to_string()}</span>
            <span class="finding-auroc">{auroc_words(row.auroc.as_ref())}</span>
        </li>
    }
}
