//! Whether the browser keeps the page for a visit without a network. `static/service-worker.js` does the keeping; models
//! are kept by [`crate::worker::store`].

use js_sys::Promise;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// How it stands with the page's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kept {
    /// Not known yet.
    #[default]
    Unknown,
    /// Kept.
    Yes,
    /// Not kept: the browser refused, or the server is none that it trusts.
    No,
}

impl Kept {
    /// The word, as the element carries it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

thread_local! {
    static KEPT: ArcRwSignal<Kept> = ArcRwSignal::new(Kept::Unknown);
}

/// How it stands, to show.
pub fn kept() -> ArcRwSignal<Kept> {
    KEPT.with(Clone::clone)
}

/// Has the browser keep the page's files.
pub fn start() {
    spawn_local(async {
        let state = if keep().await.is_ok() { Kept::Yes } else { Kept::No };
        kept().set(state);
    });
}

/// Registers the service worker and waits until it has everything.
async fn keep() -> Result<(), JsValue> {
    let navigator = window().navigator();
    // Absent on an insecure origin and in some private windows, where the property itself is missing.
    if !js_sys::Reflect::has(&navigator, &"serviceWorker".into())? {
        return Err("no service workers".into());
    }
    let container = navigator.service_worker();
    let registered: Promise = container.register("service-worker.js");
    let registration: web_sys::ServiceWorkerRegistration = JsFuture::from(registered).await?.into();
    if registration.active().is_some() {
        return Ok(());
    }
    let worker = registration.installing().or_else(|| registration.waiting()).ok_or("nothing is installed")?;
    let settled = Promise::new(&mut |resolve, _reject| {
        let watched = worker.clone();
        let on_change = wasm_bindgen::prelude::Closure::<dyn FnMut()>::new(move || {
            use web_sys::ServiceWorkerState::{Activated, Redundant};
            if matches!(watched.state(), Activated | Redundant) {
                // A promise is settled once; later changes do nothing.
                let _ = resolve.call0(&JsValue::NULL);
            }
        });
        worker.set_onstatechange(Some(wasm_bindgen::JsCast::unchecked_ref(on_change.as_ref())));
        on_change.forget();
    });
    JsFuture::from(settled).await?;
    if worker.state() == web_sys::ServiceWorkerState::Activated { Ok(()) } else { Err("refused".into()) }
}
