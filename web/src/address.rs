//! The address of the page: which part is shown, and the state that makes a lesson a link.
//!
//! `?view=lesson&case=head-7&drop=t1c` opens the lesson with that case and without T1c. Nothing of what a person gave to
//! the page is ever in it.

use std::collections::BTreeMap;

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsValue;

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// Chest x-rays.
    #[default]
    Xray,
    /// Brain MRI.
    Mri,
    /// The lesson of the dropped modality.
    Lesson,
    /// What a person should know.
    Help,
}

impl View {
    /// All, in the order of the navigation.
    pub const ALL: [Self; 4] = [Self::Xray, Self::Mri, Self::Lesson, Self::Help];

    /// Its name in the address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xray => "xray",
            Self::Mri => "mri",
            Self::Lesson => "lesson",
            Self::Help => "help",
        }
    }
}

/// What the address says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// The part of the page.
    pub view: View,
    /// Names and values of its state.
    pub state: BTreeMap<String, String>,
}

impl Address {
    /// Name of the part of the page.
    const VIEW: &str = "view";

    /// Reads the part of an address after `?`, with or without it. An unknown view is the first one.
    pub fn parse(query: &str) -> Self {
        let query = query.strip_prefix('?').unwrap_or(query);
        let mut state: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let name = state.remove(Self::VIEW);
        let view = View::ALL.into_iter().find(|view| Some(view.name()) == name.as_deref());
        Self { view: view.unwrap_or_default(), state }
    }

    /// The part of the address from `?` on.
    pub fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new("?".to_owned());
        query.append_pair(Self::VIEW, self.view.name()).extend_pairs(&self.state);
        // `Serializer` separates pairs by what came before; after a lone `?` it must not.
        query.finish().replacen("?&", "?", 1)
    }
}

/// Where the person is, and how to go elsewhere. A handle: copies act on the same address.
#[derive(Clone, Copy)]
pub struct Navigator {
    address: RwSignal<Address>,
}

impl Navigator {
    /// Takes the browser's address, and follows its buttons for back and forth.
    pub fn start() -> Self {
        let address = RwSignal::new(current());
        let follow = window_event_listener(ev::popstate, move |_| address.set(current()));
        on_cleanup(move || follow.remove());
        Self { address }
    }

    /// What the address says.
    pub fn address(self) -> ReadSignal<Address> {
        self.address.read_only()
    }

    /// The part of the page that is shown.
    pub fn view(self) -> Memo<View> {
        Memo::new(move |_| self.address.with(|address| address.view))
    }

    /// A value of the state.
    pub fn value(self, name: &'static str) -> Memo<Option<String>> {
        Memo::new(move |_| self.address.with(|address| address.state.get(name).cloned()))
    }

    /// Shows another part of the page, without state; the browser's button leads back.
    pub fn go(self, view: View) {
        let address = Address { view, state: BTreeMap::new() };
        let query = address.query();
        self.address.set(address);
        let push = |history: web_sys::History| history.push_state_with_url(&JsValue::NULL, "", Some(&query));
        // A browser that refuses (too many entries a second) still shows the part.
        let _ = window().history().and_then(push);
    }

    /// Sets a value of the state, or takes it away, in place.
    pub fn set(self, name: &str, value: Option<&str>) {
        let unchanged = self.address.with_untracked(|address| address.state.get(name).map(String::as_str) == value);
        if unchanged {
            return;
        }
        self.address.update(|address| match value {
            Some(value) => {
                address.state.insert(name.to_owned(), value.to_owned());
            }
            None => {
                address.state.remove(name);
            }
        });
        let query = self.address.with_untracked(Address::query);
        let replace = |history: web_sys::History| history.replace_state_with_url(&JsValue::NULL, "", Some(&query));
        let _ = window().history().and_then(replace);
    }
}

/// What the browser's address says.
fn current() -> Address {
    Address::parse(&window().location().search().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back() {
        let mut address = Address { view: View::Lesson, state: BTreeMap::new() };
        assert_eq!(address.query(), "?view=lesson");
        address.state.insert("case".to_owned(), "a b&c=d/é".to_owned());
        address.state.insert("drop".to_owned(), "t1c,t2".to_owned());
        let query = address.query();
        assert!(query.starts_with("?view=lesson&case="), "{query}");
        assert_eq!(Address::parse(&query), address);
        assert_eq!(Address::parse(&query[1..]), address);
    }

    #[test]
    fn whatever_stands_there_is_an_address() {
        assert_eq!(Address::parse(""), Address::default());
        assert_eq!(Address::parse("?view=moon&x").view, View::Xray);
        assert_eq!(Address::parse("?view=mri&view=help").view, View::Help);
    }
}
