//! Every request of the page and of its workers, as the browser itself reports them, so that a person can see that
//! nothing leaves.

use js_sys::{Array, Object, Reflect};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{PerformanceEntry, PerformanceObserver, PerformanceObserverEntryList, PerformanceObserverInit};

use crate::browser::describe;

/// The requests so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// Addresses, in the order in which their answers came.
    addresses: Vec<String>,
    /// How many there were when the page had loaded.
    loading: Option<usize>,
}

impl Requests {
    /// Adds a request. Addresses within the page's own memory (`blob:`, `data:`) are none.
    pub fn add(&mut self, address: String) {
        if !address.starts_with("blob:") && !address.starts_with("data:") {
            self.addresses.push(address);
        }
    }

    /// From here on the page has loaded. Later calls change nothing.
    pub fn set_loaded(&mut self) {
        self.loading.get_or_insert(self.addresses.len());
    }

    /// Addresses asked for while the page loaded.
    pub fn while_loading(&self) -> &[String] {
        &self.addresses[..self.loading.unwrap_or(self.addresses.len())]
    }

    /// Addresses asked for since.
    pub fn since(&self) -> &[String] {
        &self.addresses[self.loading.unwrap_or(self.addresses.len())..]
    }

    /// How many went to another server than this one, `https://example.org`.
    pub fn n_elsewhere(&self, origin: &str) -> usize {
        let is_here = |address: &&String| {
            address.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.addresses.len() - self.addresses.iter().filter(is_here).count()
    }
}

thread_local! {
    static REQUESTS: ArcRwSignal<Requests> = ArcRwSignal::new(Requests::default());
}

/// The requests so far, to show.
pub fn requests() -> ArcRwSignal<Requests> {
    REQUESTS.with(Clone::clone)
}

/// Notes a request of a worker.
pub fn note(address: String) {
    requests().update(|requests| requests.add(address));
}

/// From here on the page has loaded.
pub fn set_loaded() {
    requests().update(Requests::set_loaded);
}

/// Notes every request of the page from its beginning.
pub fn watch_page() {
    if let Err(error) = watch(note) {
        leptos::logging::warn!("this browser reports no requests: {}", describe(&error));
    }
}

/// Tells the address of every request of this page or worker, those of the past included.
///
/// # Errors
///
/// The browser's own error, if it has no such report.
pub fn watch(mut tell: impl FnMut(String) + 'static) -> Result<(), JsValue> {
    let observe = Closure::<dyn FnMut(PerformanceObserverEntryList)>::new(move |list: PerformanceObserverEntryList| {
        for entry in list.get_entries().iter() {
            if let Ok(entry) = entry.dyn_into::<PerformanceEntry>() {
                tell(entry.name());
            }
        }
    });
    let observer = PerformanceObserver::new(observe.as_ref().unchecked_ref())?;
    observe.forget(); // it watches as long as the page lives
    let options = PerformanceObserverInit::new(&Array::new());
    // `type` with `buffered` in place of `entryTypes`: only so the past is told.
    Reflect::delete_property(options.unchecked_ref::<Object>(), &"entryTypes".into())?;
    Reflect::set(&options, &"type".into(), &"resource".into())?;
    Reflect::set(&options, &"buffered".into(), &true.into())?;
    observer.observe(&options);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_before_and_after_loading() {
        let mut requests = Requests::default();
        for address in ["https://a.org/page.wasm", "blob:https://a.org/1", "https://a.org/model.json"] {
            requests.add(address.to_owned());
        }
        assert_eq!((requests.while_loading().len(), requests.since().len()), (2, 0));
        requests.set_loaded();
        requests.add("https://a.org/other.json".to_owned());
        requests.set_loaded();
        assert_eq!(requests.since(), ["https://a.org/other.json"]);
        assert_eq!(requests.n_elsewhere("https://a.org"), 0);
        requests.add("https://a.org.evil.example/x".to_owned());
        assert_eq!(requests.n_elsewhere("https://a.org"), 1);
    }
}
