//! Examinations to try: two real ones that come with the page, and heads that are drawn at once.

use leptos::prelude::*;

use crate::language::t;
use crate::mri::Desk;
use crate::mri::protocol::Head;

/// Seed of the heads to try: none that the shipped networks learned from.
const SEED: u64 = 2026;

/// The drawn heads; the third does not enhance.
const HEADS: [usize; 3] = [0, 1, 2];

/// Pixels and slices of a drawn head.
const SIZE: (usize, usize) = (96, 36);

/// The real cases: their folder below `samples/mri`.
const CASES: [&str; 2] = ["TCGA-FG-6692", "TCGA-DU-7294"];

/// Files of a real case, in the order of the sequences.
fn addresses(case: &str) -> Vec<String> {
    ["fla", "t1", "t1c", "t2"].map(|sequence| format!("samples/mri/{case}_{sequence}.nii.gz")).to_vec()
}

/// Buttons that give an examination.
#[component]
pub fn Samples(
    /// Takes it.
    desk: Desk,
) -> impl IntoView {
    let case = move |case: &'static str| {
        view! {
            <li>
                <button
                    type="button"
                    data-testid="mri-case"
                    data-case=case
                    on:click=move |_| desk.give_sample(addresses(case))
                >
                    <strong>{case}</strong>
                    <span>{move || match case {
                        "TCGA-FG-6692" => t!("mri.case_enhancing"),
                        _ => t!("mri.case_plain"),
                    }}</span>
                </button>
            </li>
        }
    };
    let head = move |(number, index): (usize, usize)| {
        let (size, slices) = SIZE;
        view! {
            <li>
                <button
                    type="button"
                    data-testid="mri-head"
                    on:click=move |_| desk.give_head(Head { seed: SEED, index, size, slices })
                >
                    <strong>{move || t!("mri.head", n = number + 1)}</strong>
                    <span>{move || t!("mri.head_about")}</span>
                </button>
            </li>
        }
    };
    view! {
        <section class="mri-samples" aria-labelledby="mri-samples-title">
            <h2 id="mri-samples-title">{move || t!("mri.samples")}</h2>
            <ul>
                {CASES.map(case).collect_view()}
                {HEADS.into_iter().enumerate().map(head).collect_view()}
            </ul>
            <p class="hint">{move || t!("mri.samples_credit")}</p>
        </section>
    }
}
