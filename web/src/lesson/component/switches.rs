//! The four sequences as switches.

use leptos::prelude::*;
use shared::Modality;

use super::picture::{Picture, Pixels};
use crate::language::t;
use crate::lesson::desk::Desk;
use crate::render::volume::axial;

/// A switch for each sequence, with what it shows.
#[component]
pub fn Switches(
    /// Takes sequences away.
    desk: Desk,
    /// The slice that is shown.
    #[prop(into)]
    slice: Signal<usize>,
) -> impl IntoView {
    view! {
        <div class="switches" role="group" aria-label=move || t!("lesson.sequences")>
            {Modality::ALL.map(|modality| view! { <Switch desk modality slice /> }).collect_view()}
        </div>
    }
}

/// What a sequence is good for, in a few words.
fn shows(modality: Modality) -> String {
    match modality {
        Modality::Flair => t!("lesson.shows_flair"),
        Modality::T1 => t!("lesson.shows_t1"),
        Modality::T1c => t!("lesson.shows_t1c"),
        Modality::T2 => t!("lesson.shows_t2"),
    }
}

/// One switch.
#[component]
fn Switch(
    /// Takes the sequence away.
    desk: Desk,
    /// Which one.
    modality: Modality,
    /// The slice that is shown.
    slice: Signal<usize>,
) -> impl IntoView {
    let session = desk.session();
    let is_on = Memo::new(move |_| session.with(|session| session.present.contains(modality)));
    let is_last = Memo::new(move |_| session.with(|session| session.present.len() == 1) && is_on.get());
    let opened = Memo::new(move |_| session.with(|session| session.opened.clone().ok().flatten()));
    let pixels = Memo::new(move |_| {
        let Some(opened) = opened.get() else { return Pixels::default() };
        let Some(voxels) = &opened.voxels[modality.index()] else { return Pixels::default() };
        let mut rgba = Vec::new();
        axial(opened.scan.size, slice.get(), voxels, None, opened.truth.as_deref(), &mut rgba);
        Pixels { width: opened.scan.size[0], rgba }
    });
    let label = modality.label();
    view! {
        <button
            type="button"
            class="switch"
            class:switch-off=move || !is_on.get()
            role="switch"
            aria-checked=move || is_on.get().to_string()
            aria-disabled=move || is_last.get().to_string()
            data-testid=format!("switch-{}", modality.name())
            title=move || if is_last.get() { t!("lesson.last_sequence") } else { String::new() }
            on:click=move |_| desk.toggle(modality)
        >
            <Picture pixels label=Signal::derive(move || t!("lesson.picture", sequence = label)) />
            <span class="switch-name">{label}</span>
            <span class="switch-state" aria-hidden="true">
                {move || if is_on.get() { t!("lesson.there") } else { t!("lesson.dropped") }}
            </span>
            <span class="hint">{move || shows(modality)}</span>
        </button>
    }
}
