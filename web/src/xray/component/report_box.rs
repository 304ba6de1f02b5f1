//! The report as second modality: a box to write it in, a switch to drop it, and its words as the model reads them.

use std::sync::Arc;

use leptos::prelude::*;

use crate::language::t;
use crate::render::heat::{colour, strongest};
use crate::xray::desk::Desk;
use crate::xray::protocol::Joined;
use crate::xray::viewing::{Overlay, Viewing};

/// The report of the image that is looked at.
#[component]
pub fn ReportBox(
    /// Holds the session, and takes the report.
    desk: Desk,
    /// What is pointed at.
    viewing: Viewing,
) -> impl IntoView {
    let session = desk.session();
    let reads_reports =
        Memo::new(move |_| session.with(|session| session.card().is_some_and(|(card, _)| card.report.is_some())));
    let text = Memo::new(move |_| {
        session.with(|session| session.selected_item().map(|item| item.report.text.clone()).unwrap_or_default())
    });
    let is_dropped =
        Memo::new(move |_| session.with(|session| session.selected_item().is_some_and(|item| item.report.is_dropped)));
    let read = Memo::new(move |_| {
        session.with(|session| session.selected_item().and_then(|item| item.report.read().cloned()))
    });
    view! {
        <Show when=move || reads_reports.get()>
            <section class="report" aria-labelledby="report-title">
                <div class="report-head">
                    <h2 id="report-title">{move || t!("xray.report")}</h2>
                    <label class="report-switch">
                        <input
                            type="checkbox"
                            role="switch"
                            data-testid="report-switch"
                            prop:checked=move || !is_dropped.get()
                            on:change=move |_| desk.toggle_report()
                        />
                        {move || t!("xray.report_counts")}
                    </label>
                </div>
                <textarea
                    data-testid="report"
                    rows="3"
                    maxlength="4000"
                    lang="en"
                    aria-labelledby="report-title"
                    aria-describedby="report-hint"
                    placeholder=move || t!("xray.report_placeholder")
                    prop:value=move || text.get()
                    on:input=move |event| desk.write_report(&event_target_value(&event))
                    on:paste=|event| event.stop_propagation()
                ></textarea>
                <p id="report-hint" class="hint">{move || t!("xray.report_hint")}</p>
                {move || read.get().map(|read| view! { <Words read text=text.get_untracked() viewing /> })}
            </section>
        </Show>
    }
}

/// The words of a report as the model reads them, in the groups that its critic scores.
#[component]
fn Words(
    /// What the model says of the report.
    read: Arc<Joined>,
    /// The report.
    text: String,
    /// What is pointed at.
    viewing: Viewing,
) -> impl IntoView {
    let n = read.spans.len();
    let has_critic = !read.agreement.is_empty();
    let full = strongest(&read.agreement, 0.5);
    let n_unknown = read.words.iter().filter(|(_, _, is_known)| !is_known).count();
    let end = read.words.last().map_or(0, |(_, end, _)| *end);
    let rest = text.get(end..).unwrap_or_default().trim().to_owned();
    let groups = read.spans.clone().into_iter().enumerate().map(|(position, (first, last))| {
        let words = read.words.get(first..last).unwrap_or_default();
        let pieces = pieces(&text, words);
        let scores = Arc::clone(&read);
        // While a place of the image is pointed at, how well these words agree with it.
        let shade = move || {
            let place = viewing.place.get().filter(|_| viewing.overlay.get() == Overlay::Agreement)?;
            let [r, g, b, a] = colour(*scores.agreement.get(place * n + position)?, full);
            Some(format!("rgb({r} {g} {b} / {:.2})", 0.75 * f32::from(a) / 255.0))
        };
        let light = move || {
            if has_critic {
                viewing.overlay.set(Overlay::Agreement);
                viewing.position.set(Some(position));
            }
        };
        view! {
            <button
                type="button"
                class="words"
                data-testid="words"
                aria-pressed=move || (viewing.position.get() == Some(position)).to_string()
                style:background-color=shade
                on:pointerenter=move |_| light()
                on:pointerleave=move |_| viewing.position.set(None)
                on:focus=move |_| light()
                on:blur=move |_| viewing.position.set(None)
                on:click=move |_| light()
            >
                {pieces
                    .into_iter()
                    .map(|(piece, is_known)| view! {
                        <span class:word-unknown=!is_known title=(!is_known).then(|| t!("xray.word_unknown"))>{piece}</span>
                    })
                    .collect_view()}
            </button>
            " "
        }
    });
    view! {
        <p class="report-words" lang="en" data-testid="report-words" data-unknown=n_unknown.to_string()>
            {groups.collect_view()}
            {(!rest.is_empty()).then(|| view! { <span class="words-rest" title=t!("xray.words_rest")>{rest}</span> })}
        </p>
        <p class="hint">
            {move || (n_unknown > 0).then(|| format!("{} ", t!("xray.words_unknown", n = n_unknown)))}
            {move || has_critic.then(|| t!("xray.words_hint"))}
        </p>
    }
}

/// The text of some words with what stands between them, each with whether the model knows it.
fn pieces(text: &str, words: &[(usize, usize, bool)]) -> Vec<(String, bool)> {
    let mut pieces = Vec::with_capacity(2 * words.len());
    let mut end = words.first().map_or(0, |(begin, _, _)| *begin);
    for &(begin, word_end, is_known) in words {
        let between = text.get(end..begin).unwrap_or_default();
        if !between.is_empty() {
            pieces.push((between.to_owned(), true));
        }
        pieces.push((text.get(begin..word_end).unwrap_or_default().to_owned(), is_known));
        end = word_end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_stands_between_them() {
        let text = "Große  Effusion, left.";
        let words = [(0, 6, false), (8, 16, true), (16, 17, true), (18, 22, true)];
        let found = pieces(text, &words);
        let joined: String = found.iter().map(|(piece, _)| piece.as_str()).collect();
        assert_eq!(joined, "Große  Effusion, left");
        assert_eq!(found[0], ("Große".to_owned(), false));
        assert!(pieces("a", &[(5, 9, true)]).iter().all(|(piece, _)| piece.is_empty()), "places of another text");
        assert!(pieces(text, &[]).is_empty());
    }
}
