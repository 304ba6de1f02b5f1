//! What a person may set, and the buttons.

use leptos::prelude::*;

use super::super::Desk;
use super::super::session::{Session, State};
use super::super::setting::{LABELLED, LAMBDAS, SEEDS, Setting};
use crate::language::t;

/// Lengths of a training that are offered, in steps of each model.
const LENGTHS: [usize; 4] = [80, 160, 320, 640];

/// Sliders and buttons.
#[component]
pub fn Controls(
    /// The training.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let chosen = Memo::new(move |_| session.with(|session| session.chosen));
    let change = move |event: &web_sys::Event, with: fn(Setting, usize) -> Setting| {
        if let Ok(value) = event_target_value(event).parse() {
            desk.choose(with(chosen.get_untracked(), value));
        }
    };
    let lengths = move || {
        let mut lengths = LENGTHS.to_vec();
        // One from the address may be another.
        if !lengths.contains(&chosen.get().steps()) {
            lengths.push(chosen.get().steps());
        }
        lengths
            .into_iter()
            .map(|steps| {
                view! {
                    <option value=steps.to_string() selected=move || chosen.get().steps() == steps>
                        {steps.to_string()}
                    </option>
                }
            })
            .collect_view()
    };
    view! {
        <div class="training-controls">
            <label>
                <span>
                    {move || t!("training.lambda")} " " <output data-testid="training-lambda-value">
                        {move || chosen.get().lambda().to_string()}
                    </output>
                </span>
                <input
                    type="range"
                    data-testid="training-lambda"
                    min="0"
                    max=(LAMBDAS.len() - 1).to_string()
                    prop:value=move || chosen.get().lambda_at().to_string()
                    aria-valuetext=move || chosen.get().lambda().to_string()
                    on:input=move |event| change(&event, Setting::with_lambda_at)
                />
                <span class="hint">{move || t!("training.lambda_hint")}</span>
            </label>
            <label>
                <span>
                    {move || t!("training.labelled")} " " <output>{move || format!("{}\u{a0}%", chosen.get().labelled())}</output>
                </span>
                <input
                    type="range"
                    data-testid="training-labelled"
                    min=LABELLED[0].to_string()
                    max=LABELLED[1].to_string()
                    step="5"
                    prop:value=move || chosen.get().labelled().to_string()
                    aria-valuetext=move || format!("{}\u{a0}%", chosen.get().labelled())
                    on:input=move |event| change(&event, Setting::with_labelled)
                />
                <span class="hint">{move || t!("training.labelled_hint")}</span>
            </label>
            <label>
                <span>{move || t!("training.seeds")} " " <output>{move || chosen.get().seeds().to_string()}</output></span>
                <input
                    type="range"
                    data-testid="training-seeds"
                    min=SEEDS[0].to_string()
                    max=SEEDS[1].to_string()
                    prop:value=move || chosen.get().seeds().to_string()
                    on:input=move |event| change(&event, Setting::with_seeds)
                />
                <span class="hint">{move || t!("training.seeds_hint")}</span>
            </label>
            <label>
                <span>{move || t!("training.steps")}</span>
                <select data-testid="training-steps" on:change=move |event| change(&event, Setting::with_steps)>
                    {lengths}
                </select>
                <span class="hint">{move || t!("training.steps_hint")}</span>
            </label>
        </div>
        <Buttons desk />
    }
}

/// Start, pause, reset.
#[component]
fn Buttons(
    /// The training.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let is_active = Memo::new(move |_| session.with(Session::is_active));
    let is_paused = Memo::new(move |_| session.with(|session| session.state == State::Paused));
    let has_trained = Memo::new(move |_| session.with(|session| session.trained.is_some()));
    let main_text = move || match (is_active.get(), is_paused.get()) {
        (false, _) => t!("training.start"),
        (true, true) => t!("training.resume"),
        (true, false) => t!("training.pause"),
    };
    let main = move |_| if is_active.get_untracked() { desk.pause_or_resume() } else { desk.start() };
    view! {
        <div class="training-buttons">
            <button class="button" type="button" data-testid="training-main" on:click=main>
                {main_text}
            </button>
            <button
                class="button button-quiet"
                type="button"
                data-testid="training-reset"
                disabled=move || !has_trained.get()
                on:click=move |_| desk.reset()
            >
                {move || t!("training.reset")}
            </button>
        </div>
    }
}
