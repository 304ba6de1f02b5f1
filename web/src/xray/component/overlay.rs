//! Which map lies over the image, how strongly, and what its colours mean.

use leptos::prelude::*;

use crate::language::t;
use crate::render::heat::strongest;
use crate::xray::answer::label;
use crate::xray::session::Session;
use crate::xray::viewing::{Overlay, Viewing};

/// The choice of the map, its opacity and its legend.
#[component]
pub fn OverlayTools(
    /// What the page knows.
    session: ReadSignal<Session>,
    /// What is chosen.
    viewing: Viewing,
) -> impl IntoView {
    let side = Memo::new(move |_| {
        session.with(|session| {
            let answer = session.selected_item().and_then(|item| item.answer.as_ref());
            answer.and_then(|answer| answer.maps.first()).map_or(0, |map| map.side)
        })
    });
    let has_agreement = Memo::new(move |_| {
        session.with(|session| {
            let read = session.selected_item().and_then(|item| item.report.read());
            read.is_some_and(|read| !read.agreement.is_empty())
        })
    });
    // The rows' order is that of the answer; the first one is what a person asks about first.
    let first = Memo::new(move |_| session.with(|session| session.rows().first().map(|row| row.finding)));
    let choose = move |overlay: Overlay| {
        if overlay == Overlay::Finding && viewing.finding.get_untracked().is_none() {
            viewing.finding.set(first.get_untracked());
        }
        viewing.overlay.set(overlay);
    };
    let option = move |overlay: Overlay| {
        let words = move || match overlay {
            Overlay::None => t!("xray.overlay_none"),
            Overlay::Finding => t!("xray.overlay_finding"),
            Overlay::Agreement => t!("xray.overlay_agreement"),
        };
        let name = match overlay {
            Overlay::None => "overlay-none",
            Overlay::Finding => "overlay-finding",
            Overlay::Agreement => "overlay-agreement",
        };
        view! {
            <button
                type="button"
                data-testid=name
                disabled=move || overlay == Overlay::Agreement && !has_agreement.get()
                aria-pressed=move || (viewing.overlay.get() == overlay).to_string()
                on:click=move |_| choose(overlay)
            >
                {words}
            </button>
        }
    };
    view! {
        <Show when=move || { side.get() > 0 }>
            <section class="overlay" aria-label=move || t!("xray.overlay")>
                <div class="overlay-row">
                    <span class="segments" role="group" aria-label=move || t!("xray.overlay")>
                        {option(Overlay::None)}
                        {option(Overlay::Finding)}
                        {option(Overlay::Agreement)}
                    </span>
                    <label class="overlay-opacity">
                        {move || t!("xray.opacity")}
                        <input
                            type="range"
                            data-testid="opacity"
                            min="0"
                            max="1"
                            step="0.05"
                            disabled=move || viewing.overlay.get() == Overlay::None
                            prop:value=move || viewing.opacity.get().to_string()
                            on:input=move |event| {
                                if let Ok(opacity) = event_target_value(&event).parse() {
                                    viewing.opacity.set(opacity);
                                }
                            }
                        />
                    </label>
                </div>
                <Legend session viewing side />
            </section>
        </Show>
    }
}

/// What the colours mean, and what the map is not.
#[component]
fn Legend(
    /// What the page knows.
    session: ReadSignal<Session>,
    /// What is chosen.
    viewing: Viewing,
    /// Rows of the map.
    side: Memo<usize>,
) -> impl IntoView {
    let full = move || {
        session.with(|session| {
            let item = session.selected_item()?;
            let map = item.answer.as_ref()?.maps.get(viewing.finding.get()?.index())?;
            Some(strongest(&map.values, 0.0))
        })
    };
    let words = move || match viewing.overlay.get() {
        Overlay::None => None,
        Overlay::Finding => {
            let name = viewing.finding.get().map(label).unwrap_or_default();
            let full = format!("{:.1}", full().unwrap_or_default());
            Some((
                t!("xray.cam_against"),
                t!("xray.cam_for", finding = name, full = full),
                t!("xray.cam_about", side = side.get()),
            ))
        }
        Overlay::Agreement => {
            let critic = session.with(|session| {
                let (card, _) = session.card()?;
                card.report.as_ref()?.evaluation.as_ref()?.critic.clone()
            });
            let measured = critic.map_or_else(
                || t!("xray.critic_unmeasured"),
                |critic| {
                    let number = |value: f64| format!("{value:.2}");
                    t!(
                        "xray.critic_measured",
                        auroc = number(critic.auroc.value),
                        lo = number(critic.auroc.lo),
                        hi = number(critic.auroc.hi),
                        n = critic.n
                    )
                },
            );
            Some((
                t!("xray.critic_against"),
                t!("xray.critic_for"),
                format!("{} {measured}", t!("xray.critic_about", side = side.get())),
            ))
        }
    };
    view! {
        {move || words().map(|(against, speaks_for, about)| view! {
            <p class="overlay-legend" data-testid="legend">
                <span>{against}</span>
                <span class="overlay-ramp" aria-hidden="true"></span>
                <span>{speaks_for}</span>
            </p>
            <p class="hint">{about}</p>
        })}
    }
}
