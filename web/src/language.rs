//! The page's languages. All its words stand in `web/locales`, one file for each part, the languages side by side.
//!
//! `t!("part.key", name = value)` is the text of a key in the person's language. Read in a view's closure it follows the
//! choice. Words of `shared`'s errors are English: they name files, tags and numbers, and are those of `cmim` too.

use leptos::prelude::*;
use leptos::reactive::graph::Observer;
use web_sys::Storage;

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
}

impl Language {
    /// All, in the order of the choice.
    pub const ALL: [Self; 3] = [Self::English, Self::German, Self::French];

    /// Its code, as in `lang="en"`.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
        }
    }

    /// Its name in itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::French => "Français",
        }
    }

    /// The language of a code such as `de` or `de-AT`.
    pub fn of_code(code: &str) -> Option<Self> {
        let primary = code.split('-').next()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.code() == primary)
    }
}

thread_local! {
    static CHOSEN: ArcRwSignal<Language> = ArcRwSignal::new(Language::default());
}

/// Key of the choice in this browser's storage.
const STORED: &str = "cmim-language";

/// The person's language; in a view's closure the closure runs again when it changes.
pub fn language() -> Language {
    CHOSEN.with(|chosen| if Observer::get().is_some() { chosen.get() } else { chosen.get_untracked() })
}

/// Sets the language for this visit, and keeps it for the next where the browser allows.
pub fn choose(language: Language) {
    if let Some(storage) = storage() {
        // A browser that refuses keeps it for this visit alone.
        let _ = storage.set_item(STORED, language.code());
    }
    show(language);
}

/// Takes the language of a link, else the one kept from an earlier visit, else the browser's own.
pub fn start(of_link: Option<&str>) {
    let kept = || storage().and_then(|storage| storage.get_item(STORED).ok().flatten());
    let browsers = || window().navigator().language();
    let language = of_link
        .and_then(Language::of_code)
        .or_else(|| kept().as_deref().and_then(Language::of_code))
        .or_else(|| browsers().as_deref().and_then(Language::of_code));
    show(language.unwrap_or_default());
}

fn show(language: Language) {
    CHOSEN.with(|chosen| chosen.set(language));
    if let Some(root) = document().document_element() {
        // Screen readers take the pronunciation from it; without it they take their own.
        let _ = root.set_attribute("lang", language.code());
    }
}

/// Some browsers refuse it, by an error or by its absence.
fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

/// The text of a key in the person's language, with values for what it names `%{like_this}`.
macro_rules! t {
    ($key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        ::rust_i18n::t!($key, locale = $crate::language::language().code() $(, $name = $value)*).into_owned()
    };
}
pub(crate) use t;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_code_with_a_region_is_understood() {
        assert_eq!(Language::of_code("de-AT"), Some(Language::German));
        assert_eq!(Language::of_code("FR"), Some(Language::French));
        assert_eq!(Language::of_code("tlh"), None);
    }

    fn sources(folder: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                sources(&path, out);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                out.push(fs::read_to_string(&path).expect("readable"));
            }
        }
    }

    /// The keys that the page's code asks for.
    fn used() -> BTreeSet<String> {
        let mut texts = Vec::new();
        sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut texts);
        let mut keys = BTreeSet::new();
        for text in &texts {
            for (at, call) in text.match_indices("t!(") {
                // `format!(` and `assert!(` end alike.
                let is_word = text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
                let rest = text[at + call.len()..].trim_start().strip_prefix('"').filter(|_| !is_word);
                keys.extend(rest.and_then(|rest| rest.split('"').next()).map(str::to_owned));
            }
        }
        // Neither the documentation's example nor the name of the macro in this function.
        keys.retain(|key| key != "part.key" && !key.contains([' ', ')']));
        keys
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split("%{").skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    #[test]
    fn every_text_is_there_in_every_language_and_used() {
        let mut texts: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
        for language in Language::ALL {
            let messages = crate::_rust_i18n_backend().messages_for_locale(language.code()).expect("a language");
            let messages = messages.into_iter().map(|(key, text)| (key.into_owned(), text.into_owned())).collect();
            texts.insert(language.code(), messages);
        }
        let used = used();
        assert!(!used.is_empty());
        for key in &used {
            let english = texts["en"].get(key).unwrap_or_else(|| panic!("no text for {key}"));
            for (language, messages) in &texts {
                let text = messages.get(key).unwrap_or_else(|| panic!("{key} is missing in {language}"));
                assert!(!text.trim().is_empty(), "{key} is empty in {language}");
                assert_eq!(placeholders(text), placeholders(english), "{key} in {language}");
            }
        }
        for (language, messages) in &texts {
            let unused: Vec<_> = messages.keys().filter(|key| !used.contains(*key)).collect();
            assert!(unused.is_empty(), "nobody uses these in {language}: {unused:?}");
        }
    }
}
