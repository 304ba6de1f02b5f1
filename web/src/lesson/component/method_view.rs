//! The methods side by side, each with its outline and how good it is.

use leptos::prelude::*;
use shared::metric::Interval;
use shared::{Modality, ModalitySet};

use super::picture::{Picture, Pixels};
use crate::language::t;
use crate::lesson::desk::Desk;
use crate::lesson::method::{Method, expected, expected_elsewhere};
use crate::lesson::session::{Answer, Opened};
use crate::render::volume::axial;

/// All methods, side by side.
#[component]
pub fn Methods(
    /// What is known.
    desk: Desk,
    /// The slice that is shown.
    #[prop(into)]
    slice: Signal<usize>,
) -> impl IntoView {
    view! {
        <ul class="methods" aria-label=move || t!("lesson.methods")>
            {Method::ALL.map(|method| view! { <li><MethodView desk method slice /></li> }).collect_view()}
        </ul>
    }
}

/// What a method does, in a sentence.
pub fn about(method: Method) -> String {
    match method {
        Method::Cmim => t!("lesson.about_cmim"),
        Method::UNet => t!("lesson.about_unet"),
        Method::Hemis => t!("lesson.about_hemis"),
        Method::Mean => t!("lesson.about_mean"),
        Method::Mlp => t!("lesson.about_mlp"),
    }
}

/// The sequence on which an outline is shown best: the first of these that the method reads.
fn background(read: ModalitySet, opened: &Opened) -> Option<&Vec<u8>> {
    let order = [Modality::T1c, Modality::Flair, Modality::T2, Modality::T1];
    order
        .into_iter()
        .filter(|modality| read.contains(*modality))
        .find_map(|modality| opened.voxels[modality.index()].as_ref())
}

/// `0.48 (0.42 to 0.54), n 60`.
fn dice_words((dice, n): (Interval, usize)) -> String {
    let number = |value: f64| format!("{value:.2}");
    t!("lesson.dice", dice = number(dice.value), lo = number(dice.lo), hi = number(dice.hi), n = n)
}

/// One method.
#[component]
fn MethodView(
    /// What is known.
    desk: Desk,
    /// Which method.
    method: Method,
    /// The slice that is shown.
    slice: Signal<usize>,
) -> impl IntoView {
    let session = desk.session();
    let answer = Memo::new(move |_| session.with(|session| session.answer(method, session.present)));
    let opened = Memo::new(move |_| session.with(|session| session.opened.clone().ok().flatten()));
    let pixels = Memo::new(move |_| {
        let Some(opened) = opened.get() else { return Pixels::default() };
        let present = session.with(|session| session.present);
        let (read, outlined) = match answer.get() {
            Answer::Outlined(outlined, read) => (read, Some(outlined)),
            _ => (present, None),
        };
        let Some(voxels) = background(read, &opened) else { return Pixels::default() };
        let mask = outlined.as_ref().map(|outlined| outlined.mask.as_slice());
        let mut rgba = Vec::new();
        axial(opened.scan.size, slice.get(), voxels, mask, opened.truth.as_deref(), &mut rgba);
        Pixels { width: opened.scan.size[0], rgba }
    });
    let measured = Memo::new(move |_| {
        session.with(|session| {
            let (network, read) = method.answers(session.present, &session.cards)?;
            let card = session.cards.get(&network);
            Some((read, expected(card, read), expected_elsewhere(card, read)))
        })
    });
    let dice = move || match answer.get() {
        Answer::Outlined(outlined, _) => outlined.dice,
        _ => None,
    };
    let state = move || match answer.get() {
        Answer::Pending => t!("lesson.pending"),
        Answer::None => t!("lesson.no_network"),
        Answer::Failed(message) => message,
        Answer::Outlined(outlined, read) => {
            let ml = format!("{:.1}", outlined.volume_ml);
            if method.is_of_one_sequence() {
                t!("lesson.outlined_from", ml = ml, sequence = read.to_string())
            } else {
                t!("lesson.outlined", ml = ml)
            }
        }
    };
    let name = method.name();
    view! {
        <article
            class="method"
            data-testid=format!("method-{name}")
            data-state=move || match answer.get() {
                Answer::Pending => "pending",
                Answer::None => "none",
                Answer::Outlined(..) => "outlined",
                Answer::Failed(_) => "failed",
            }
            data-dice=move || dice().map(|dice| dice.to_string())
        >
            <h3>{method.label()}</h3>
            <Picture pixels label=Signal::derive(move || t!("lesson.outline_of", method = method.label())) />
            <p class="method-dice">
                {move || dice().map_or_else(|| "–".to_owned(), |dice| format!("{dice:.2}"))}
                <span class="hint">{move || t!("lesson.dice_here")}</span>
            </p>
            <p>{state}</p>
            <dl class="method-expected">
                <div>
                    <dt>{move || t!("lesson.expected")}</dt>
                    <dd>{move || measured.get().and_then(|m| m.1).map_or_else(|| "–".to_owned(), dice_words)}</dd>
                </div>
                <div>
                    <dt>{move || t!("lesson.expected_real")}</dt>
                    <dd>{move || measured.get().and_then(|m| m.2).map_or_else(|| t!("lesson.not_measured"), dice_words)}</dd>
                </div>
            </dl>
            <p class="hint">{move || about(method)}</p>
        </article>
    }
}
