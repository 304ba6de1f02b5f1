//! All 15 sets of sequences by all methods, as a heat map that follows the switches.

use leptos::prelude::*;
use shared::{Modality, ModalitySet};

use crate::language::t;
use crate::lesson::desk::Desk;
use crate::lesson::method::{Method, expected};
use crate::lesson::session::{Answer, Session};

/// Which numbers the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// Mean over the heads that the networks were measured on.
    Measured,
    /// Of the patient that is shown.
    Here,
}

/// The table.
#[component]
pub fn HeatMap(
    /// What is known; a row chosen here sets its switches.
    desk: Desk,
) -> impl IntoView {
    let numbers = RwSignal::new(Numbers::Measured);
    let choice = move |option: Numbers, name: &'static str, words: fn() -> String| {
        view! {
            <label>
                <input
                    type="radio"
                    name="heat-map-numbers"
                    data-testid=name
                    prop:checked=move || numbers.get() == option
                    on:change=move |_| numbers.set(option)
                />
                {words}
            </label>
        }
    };
    view! {
        <div class="heat-map">
            <fieldset>
                <legend>{move || t!("lesson.table_numbers")}</legend>
                {choice(Numbers::Measured, "numbers-measured", || t!("lesson.table_measured"))}
                {choice(Numbers::Here, "numbers-here", || t!("lesson.table_here"))}
            </fieldset>
            <div class="scroll" tabindex="0" role="region" aria-label=move || t!("lesson.table")>
                <table data-testid="heat-map">
                    <caption class="visually-hidden">{move || t!("lesson.table_caption")}</caption>
                    <thead>
                        <tr>
                            <th scope="col">{move || t!("lesson.given")}</th>
                            {Method::ALL.map(|method| view! { <th scope="col">{method.label()}</th> }).collect_view()}
                        </tr>
                    </thead>
                    <tbody>
                        {ModalitySet::all()
                            .map(|present| view! { <SetRow desk present numbers=numbers.read_only() /> })
                            .collect_view()}
                    </tbody>
                </table>
            </div>
        </div>
    }
}

/// The Dice of a method with these sequences.
fn dice(session: &Session, numbers: Numbers, method: Method, present: ModalitySet) -> Option<f64> {
    match numbers {
        Numbers::Measured => {
            let (network, read) = method.answers(present, &session.cards)?;
            expected(session.cards.get(&network), read).map(|(dice, _)| dice.value)
        }
        Numbers::Here => match session.answer(method, present) {
            Answer::Outlined(outlined, _) => outlined.dice,
            _ => None,
        },
    }
}

/// A set of sequences.
#[component]
fn SetRow(
    /// What is known.
    desk: Desk,
    /// The set.
    present: ModalitySet,
    /// Which numbers are shown.
    numbers: ReadSignal<Numbers>,
) -> impl IntoView {
    let session = desk.session();
    let is_current = Memo::new(move |_| session.with(|session| session.present == present));
    let marks = Modality::ALL.map(|modality| {
        let is_in = present.contains(modality);
        view! { <span class="mark" class:mark-in=is_in>{modality.label()}</span> }
    });
    let cells = Method::ALL.map(|method| {
        let dice = Memo::new(move |_| session.with(|session| dice(session, numbers.get(), method, present)));
        view! {
            <td
                class:heat=move || dice.get().is_some()
                style=("--dice", move || format!("{:.3}", dice.get().unwrap_or(0.0)))
            >
                {move || dice.get().map_or_else(|| "·".to_owned(), |dice| format!("{dice:.2}"))}
            </td>
        }
    });
    view! {
        <tr aria-current=move || is_current.get().then_some("true") data-testid="heat-row" data-set=present.to_string()>
            <th scope="row">
                <button type="button" on:click=move |_| desk.leave(present) aria-pressed=move || is_current.get().to_string()>
                    <span class="visually-hidden">{present.to_string()}</span>
                    <span aria-hidden="true" class="marks">{marks.collect_view()}</span>
                </button>
            </th>
            {cells.collect_view()}
        </tr>
    }
}
