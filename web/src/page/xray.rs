//! The chest x-ray page: an image in, 14 scores out.

use leptos::prelude::*;

use crate::component::{
    DropZone, ErrorMessage, Explanations, FindingList, ImageView, ModelDetails, ModelProgress, Notice, Samples, Status,
};
use crate::desk::Desk;

/// An image on the left, its findings on the right; on a narrow screen one below the other.
#[component]
pub fn XrayPage(
    /// The session to show and the worker to ask.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let has_answer = Memo::new(move |_| session.with(|session| !session.rows().is_empty()));
    view! {
        <header class="masthead">
            <h1>"CMIM"</h1>
            <p>"Chest x-ray findings, computed in your browser"</p>
        </header>
        <Notice />
        <main class="desk">
            <div class="desk-image">
                <DropZone desk />
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
        </main>
        <section class="more" aria-label="Explanations">
            <Explanations />
            <ModelDetails session />
        </section>
        <footer class="footer">
            <p>
                "CMIM trains with x-rays and reports together and reads the x-ray alone. The method: Sylvain et al., \
                 Cross-Modal Information Maximization for Medical Imaging, arXiv 2010.10593."
            </p>
        </footer>
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
