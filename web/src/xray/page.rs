//! The chest x-ray page: an image in, 14 scores out.

use leptos::prelude::*;

use super::component::{
    ErrorMessage, Explanations, FindingList, ImageView, ModelDetails, ModelProgress, Samples, Status,
};
use super::desk::Desk;
use crate::component::{DropZone, Manner};
use crate::language::t;

/// An image on the left, its findings on the right; on a narrow screen one below the other.
#[component]
pub fn XrayPage(
    /// The session to show and the worker to ask.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    desk.start();
    let has_image = Memo::new(move |_| session.with(|session| session.image().is_some()));
    let give = move |(files, manner): (Vec<web_sys::File>, Manner)| desk.give(&files, manner);
    let has_answer = Memo::new(move |_| session.with(|session| !session.rows().is_empty()));
    view! {
        <div class="desk">
            <div class="desk-image">
                <DropZone
                    title=Signal::derive(|| t!("xray.drop_title"))
                    hint=Signal::derive(|| t!("xray.drop_hint"))
                    // The last entry lets through DICOM files without an ending.
                    accept=".png,.jpg,.jpeg,.dcm,*/*"
                    compact=has_image
                    on_files=give
                />
                <ImageView session />
                <Samples desk />
            </div>
            <div class="desk-answer">
                <Status session />
                <ModelProgress session />
                <ErrorMessage desk />
                <Show when=move || has_answer.get() fallback=Introduction>
                    <FindingList session />
                </Show>
            </div>
        </div>
        <section class="more" aria-label="Explanations">
            <Explanations />
            <ModelDetails session />
        </section>
    }
}

/// What to expect, before there is an answer.
#[component]
fn Introduction() -> impl IntoView {
    view! {
        <section class="introduction" data-testid="introduction">
            <h2>"What you will see"</h2>
            <ul>
                <li>
                    <strong>"14 findings, each with a score."</strong>
                    " The highest comes first, with a mark where the model starts to call it present."
                </li>
                <li>
                    <strong>"How far to trust each one."</strong>
                    " Beside every score stands how well the model told cases from controls when it was measured, \
                     and on how many images."
                </li>
                <li>
                    <strong>"Your image stays with you."</strong>
                    " The model comes to your browser and works there. Nothing you give to this page is sent anywhere."
                </li>
            </ul>
        </section>
    }
}
