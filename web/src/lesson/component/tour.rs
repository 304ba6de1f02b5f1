//! The guided tour on the screen.

use leptos::prelude::*;

use crate::address::Navigator;
use crate::language::t;
use crate::lesson::desk::Desk;
use crate::lesson::tour::{N_STEPS, Step};

/// Name of the step in the address.
const STEP: &str = "step";

/// Six steps in plain words, with the mathematics one click away.
#[component]
pub fn Tour(
    /// Sets the switches of a step.
    desk: Desk,
    /// Keeps the step in the address.
    navigator: Navigator,
) -> impl IntoView {
    let number = navigator.value(STEP);
    let step = Memo::new(move |_| number.get().and_then(|number| Step::of_number(&number)));
    let go = move |to: Option<Step>| {
        navigator.set(STEP, to.map(|step| step.number().to_string()).as_deref());
        if let Some(step) = to {
            desk.leave(step.present());
        }
    };
    view! {
        <section class="tour" data-testid="tour" aria-labelledby="tour-title">
            {move || match step.get() {
                None => view! {
                    <h2 id="tour-title">{t!("lesson.tour_title")}</h2>
                    <p>{t!("lesson.tour_offer")}</p>
                    <p>
                        <button type="button" class="button" data-testid="tour-start" on:click=move |_| go(Some(Step::FIRST))>
                            {t!("lesson.tour_start")}
                        </button>
                    </p>
                }.into_any(),
                Some(step) => view! {
                    <p class="tour-count">{t!("lesson.tour_step", number = step.number(), of = N_STEPS)}</p>
                    <h2 id="tour-title" data-testid="tour-step" data-step=step.number().to_string()>{title(step)}</h2>
                    <p aria-live="polite">{words(step)}</p>
                    <details>
                        <summary>{t!("lesson.mathematics")}</summary>
                        <p class="formula">{formula(step)}</p>
                        <p>{formula_words(step)}</p>
                    </details>
                    <p class="tour-buttons">
                        <button
                            type="button"
                            class="button-quiet"
                            disabled=step.previous().is_none()
                            on:click=move |_| go(step.previous())
                        >
                            {t!("lesson.tour_back")}
                        </button>
                        {match step.next() {
                            Some(next) => view! {
                                <button type="button" class="button" data-testid="tour-next" on:click=move |_| go(Some(next))>
                                    {t!("lesson.tour_next")}
                                </button>
                            }.into_any(),
                            None => view! {
                                <button type="button" class="button" data-testid="tour-end" on:click=move |_| go(None)>
                                    {t!("lesson.tour_end")}
                                </button>
                            }.into_any(),
                        }}
                    </p>
                }.into_any(),
            }}
        </section>
    }
}

fn title(step: Step) -> String {
    match step.number() {
        1 => t!("lesson.step1_title"),
        2 => t!("lesson.step2_title"),
        3 => t!("lesson.step3_title"),
        4 => t!("lesson.step4_title"),
        5 => t!("lesson.step5_title"),
        _ => t!("lesson.step6_title"),
    }
}

fn words(step: Step) -> String {
    match step.number() {
        1 => t!("lesson.step1_words"),
        2 => t!("lesson.step2_words"),
        3 => t!("lesson.step3_words"),
        4 => t!("lesson.step4_words"),
        5 => t!("lesson.step5_words"),
        _ => t!("lesson.step6_words"),
    }
}

/// The same in every language.
fn formula(step: Step) -> &'static str {
    match step.number() {
        1 => "Dice(A, B) = 2 |A ∩ B| / (|A| + |B|)",
        2 => "Mean: x̃ₘ = (1/|K|) Σ_{k ∈ K} x_k      HeMIS: φ = [E_K(f_k(x_k)), Var_K(f_k(x_k))]",
        3 => "ŷ = fₘ(xₘ),  one fₘ for each m ∈ {FLAIR, T1, T1c, T2}",
        4 => "L = L_task(fₘ(xₘ), y) − λ Î(Λₘ; Λ_M),   Î = E_pairs[−sp(−T)] − E_others[sp(T)],   sp(z) = ln(1 + eᶻ)",
        5 => "d̄ ± t₀.₉₇₅ s / √n,  d = Dice(CMIM) − Dice(U-Net) for each seed",
        _ => "θ ← Adam(∇_θ L)",
    }
}

fn formula_words(step: Step) -> String {
    match step.number() {
        1 => t!("lesson.step1_formula"),
        2 => t!("lesson.step2_formula"),
        3 => t!("lesson.step3_formula"),
        4 => t!("lesson.step4_formula"),
        5 => t!("lesson.step5_formula"),
        _ => t!("lesson.step6_formula"),
    }
}
