//! The chest x-ray page: images in, 14 findings out, with what they rest on.

use leptos::prelude::*;

use super::component::{
    ErrorMessage, Explanations, FileTable, FindingList, ImageView, InputCheck, ModelDetails, ModelProgress,
    OverlayTools, ReportBox, Samples, Status,
};
use super::desk::Desk;
use super::viewing::Viewing;
use crate::component::{DropZone, Manner};
use crate::language::t;

/// An image on the left, its findings on the right; on a narrow screen one below the other. Several files are a table
/// above both.
#[component]
pub fn XrayPage(
    /// The session to show and the worker to ask.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let viewing = Viewing::new();
    desk.start();
    let has_image = Memo::new(move |_| session.with(|session| session.picture().is_some()));
    let has_answer =
        Memo::new(move |_| session.with(|session| session.selected_item().is_some_and(|item| item.answer.is_some())));
    let give = move |(files, manner): (Vec<web_sys::File>, Manner)| desk.give(&files, manner);
    view! {
        <FileTable desk />
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
                <ImageView session viewing />
                <OverlayTools session viewing />
                <Samples desk />
            </div>
            <div class="desk-answer">
                <Status session />
                <ModelProgress session />
                <ErrorMessage desk />
                <InputCheck desk />
                <Show when=move || has_answer.get() fallback=Introduction>
                    <FindingList session viewing />
                    <ReportBox desk viewing />
                </Show>
            </div>
        </div>
        <section class="more" aria-label=move || t!("xray.explanations")>
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
            <h2>{move || t!("xray.intro_title")}</h2>
            <ul>
                <li><strong>{move || t!("xray.intro_findings_short")}</strong>" "{move || t!("xray.intro_findings_long")}</li>
                <li><strong>{move || t!("xray.intro_trust_short")}</strong>" "{move || t!("xray.intro_trust_long")}</li>
                <li><strong>{move || t!("xray.intro_report_short")}</strong>" "{move || t!("xray.intro_report_long")}</li>
                <li><strong>{move || t!("xray.intro_private_short")}</strong>" "{move || t!("xray.intro_private_long")}</li>
            </ul>
        </section>
    }
}
