//! The choice of the patient and of the slice.

use leptos::prelude::*;

use crate::language::t;
use crate::lesson::case::{Case, HEADS, REAL};
use crate::lesson::desk::Desk;

/// Which patient, and which slice of him.
#[component]
pub fn CaseChoice(
    /// Opens cases.
    desk: Desk,
    /// The slice that is shown, counted from the lowest.
    slice: RwSignal<usize>,
    /// Number of slices.
    #[prop(into)]
    n_slices: Signal<usize>,
) -> impl IntoView {
    let session = desk.session();
    let chosen = Memo::new(move |_| session.with(|session| session.case.name()));
    let choose = move |event| {
        if let Some(case) = Case::of_name(&event_target_value(&event)) {
            desk.open(case);
        }
    };
    let heads = (1..=HEADS.n).map(|number| {
        let name = format!("head-{number}");
        let value = name.clone();
        view! { <option value=value selected=move || chosen.get() == name>{move || t!("lesson.head", number = number)}</option> }
    });
    let real = REAL.iter().map(|real| {
        view! { <option value=real.name selected=move || chosen.get() == real.name>{real.name}</option> }
    });
    let move_to = move |event| {
        if let Ok(position) = event_target_value(&event).parse() {
            slice.set(position);
        }
    };
    view! {
        <div class="lesson-case">
            <label>
                <span>{move || t!("lesson.patient")}</span>
                <select data-testid="lesson-case" on:change=choose>{heads.collect_view()} {real.collect_view()}</select>
            </label>
            <label>
                <span>{move || t!("lesson.slice", number = slice.get() + 1, of = n_slices.get())}</span>
                <input
                    type="range"
                    data-testid="lesson-slice"
                    min="0"
                    max=move || n_slices.get().saturating_sub(1).to_string()
                    // A browser cuts the value to the greatest it knows: set again when that changes.
                    prop:value=move || slice.get().min(n_slices.get().saturating_sub(1)).to_string()
                    on:input=move_to
                />
            </label>
        </div>
    }
}
