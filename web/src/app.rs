//! The page's program: puts the page on the screen.

use leptos::prelude::*;

use crate::address::{Navigator, View};
use crate::help::HelpPage;
use crate::lesson::{self, LessonPage};
use crate::mri::{self, MriPage};
use crate::shell::{Foot, Masthead, Notice};
use crate::xray::{self, XrayPage};
use crate::{language, offline, requests, training};

/// Shows the page in place of what `index.html` shows while this program is on its way.
pub fn start() {
    console_error_panic_hook::set_once();
    requests::watch_page();
    if let Some(body) = document().body() {
        body.set_inner_html("");
    }
    leptos::mount::mount_to_body(App);
    offline::start();
}

/// The whole page. What a part knows outlives its being hidden.
#[component]
pub fn App() -> impl IntoView {
    let navigator = Navigator::start();
    language::start(navigator.value("lang").get_untracked().as_deref());
    let view = navigator.view();
    let xray = xray::Desk::new();
    let lesson = lesson::Desk::new(navigator);
    let mri = mri::Desk::new();
    let training = training::Desk::new(training::Setting::default());
    view! {
        <Masthead navigator />
        <Notice />
        <main>
            {move || match view.get() {
                View::Xray => view! { <XrayPage desk=xray /> }.into_any(),
                View::Mri => view! { <MriPage desk=mri /> }.into_any(),
                View::Lesson => view! { <LessonPage desk=lesson training navigator /> }.into_any(),
                View::Help => view! { <HelpPage /> }.into_any(),
            }}
        </main>
        <Foot />
    }
}
