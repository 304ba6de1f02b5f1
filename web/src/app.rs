//! The page's program: puts the page on the screen and starts the worker.

use leptos::prelude::*;

use crate::desk::Desk;
use crate::page::XrayPage;

/// Shows the page in place of what `index.html` shows while this program is on its way.
pub fn start() {
    console_error_panic_hook::set_once();
    if let Some(body) = document().body() {
        body.set_inner_html("");
    }
    leptos::mount::mount_to_body(App);
}

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let desk = Desk::new();
    desk.start();
    view! { <XrayPage desk /> }
}
