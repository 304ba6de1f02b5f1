//! The answer: 14 bars.

use leptos::prelude::*;

use crate::language::t;
use crate::xray::answer::{Call, Row, Verdict, auroc_words, label, meaning, percent_words, score_words};
use crate::xray::item::Item;
use crate::xray::session::Session;
use crate::xray::viewing::{Overlay, Viewing};

/// The findings of the file that is looked at, the most probable first. A press on one shows what speaks for it.
#[component]
pub fn FindingList(
    /// What the page knows.
    session: ReadSignal<Session>,
    /// What is chosen.
    viewing: Viewing,
) -> impl IntoView {
    let rows = Memo::new(move |_| session.with(Session::rows));
    let is_withheld =
        Memo::new(move |_| session.with(|session| session.selected_item().is_some_and(Item::is_withheld)));
    let has_report = Memo::new(move |_| rows.with(|rows| rows.iter().any(|row| row.joined.is_some())));
    view! {
        <section class="findings" class:findings-withheld=is_withheld aria-labelledby="findings-title">
            <h2 id="findings-title">{move || t!("xray.findings")}</h2>
            <p class="legend" aria-hidden="true">
                <Show when=move || has_report.get()>
                    <span class="legend-image"></span>
                    {move || t!("xray.legend_image")}
                    <span class="legend-joined"></span>
                    {move || t!("xray.legend_joined")}
                </Show>
                <span class="legend-mark"></span>
                {move || t!("xray.legend_threshold")}
            </p>
            <ol>
                {move || {
                    let belief = if is_withheld.get() { Belief::Withheld } else { Belief::Shown };
                    rows.get().iter().map(|row| finding(row, belief, viewing)).collect_view()
                }}
            </ol>
            <Show when=move || has_report.get()>
                <p class="hint" data-testid="report-measured">{move || report_words(session)}</p>
            </Show>
        </section>
    }
}

/// How well the report path was measured to work, and on what.
fn report_words(session: ReadSignal<Session>) -> Option<String> {
    session.with(|session| {
        let (card, _) = session.card()?;
        let evaluation = card.report.as_ref()?.evaluation.clone()?;
        let number = |value: f64| format!("{value:.2}");
        let (both, alone) = (evaluation.macro_auroc?, evaluation.image_alone?);
        Some(t!(
            "xray.report_measured",
            n = evaluation.n,
            both = number(both.value),
            lo = number(both.lo),
            hi = number(both.hi),
            alone = number(alone.value)
        ))
    })
}

/// What a number means, for whoever points at it.
fn verdict_words(verdict: &Verdict) -> String {
    let score = score_words(verdict.score);
    let threshold = match verdict.call {
        Call::Above(threshold) | Call::Below(threshold) => score_words(threshold),
        Call::NoThreshold => "–".to_owned(),
    };
    match verdict.probability {
        Some(_) => t!("xray.probability_means", score = score, threshold = threshold),
        None => t!("xray.score_means", threshold = threshold),
    }
}

/// The number beside a bar.
fn number(verdict: &Verdict) -> String {
    verdict.probability.map_or_else(|| score_words(verdict.score), percent_words)
}

fn bar(verdict: &Verdict, class: &'static str) -> impl IntoView + use<> {
    let percent = |value: f32| format!("{:.2}%", f64::from(value) * 100.0);
    let mark = verdict.mark.map(|mark| view! { <span class="bar-threshold" style:left=percent(mark)></span> });
    view! {
        <span class=class aria-hidden="true">
            <span class="bar-fill" style:width=percent(verdict.shown())></span>
            {mark}
        </span>
    }
}

/// Whether an answer may be read as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    Shown,
    Withheld,
}

fn finding(row: &Row, belief: Belief, viewing: Viewing) -> impl IntoView + use<> {
    let finding = row.finding;
    let image = &row.image;
    let is_withheld = belief == Belief::Withheld;
    let is_above = image.call.is_above() && !is_withheld;
    let is_chosen = move || viewing.overlay.get() == Overlay::Finding && viewing.finding.get() == Some(finding);
    let call = (!is_withheld).then(|| {
        let sign = if is_above { "▲ " } else { "" };
        view! { <span aria-hidden="true">{sign}</span>{image.call.words()} }
    });
    let joined = row.joined.as_ref().map(|joined| {
        view! {
            {bar(joined, "bar bar-joined")}
            <span
                class="finding-joined"
                class:finding-joined-above=joined.call.is_above() && !is_withheld
                data-testid="joined"
                data-score=joined.score.to_string()
                title=verdict_words(joined)
            >
                <span class="visually-hidden">{t!("xray.legend_joined")}" "</span>
                {number(joined)}
            </span>
        }
    });
    view! {
        <li
            class="finding"
            class:finding-above=is_above
            class:finding-both=row.joined.is_some()
            data-testid="finding"
            data-finding=finding.name()
            data-score=image.score.to_string()
            data-probability=image.probability.map(|probability| probability.to_string())
        >
            <button
                type="button"
                class="finding-name"
                title=meaning(finding)
                aria-pressed=move || is_chosen().to_string()
                on:click=move |_| viewing.press(finding)
            >
                {label(finding)}
            </button>
            {bar(image, "bar bar-image")}
            <span class="finding-score" tabindex="0" title=verdict_words(image)>
                {number(image)}
                <span class="visually-hidden">". "{verdict_words(image)}</span>
            </span>
            {joined}
            <span class="finding-call">{call}</span>
            <span class="finding-auroc">{auroc_words(image.auroc.as_ref())}</span>
        </li>
    }
}
