//! Experiments as text: what is wrong in one, and in what two differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// A TOML text as a checked experiment; `file` is its name in messages.
pub(super) fn parse<T: DeserializeOwned>(
    file: &str,
    text: &str,
    check: impl Fn(&T) -> std::result::Result<(), String>,
) -> Result<T> {
    let invalid = |reason: String| Error::Config { file: file.to_owned(), reason };
    let config: T = toml::from_str(text).map_err(|error| mistake(file, text, &error))?;
    check(&config).map_err(invalid)?;
    Ok(config)
}

/// What is wrong in a TOML text, with line and column, and with the nearest valid name for one that does not exist.
pub(crate) fn mistake(file: &str, text: &str, error: &toml::de::Error) -> Error {
    let place = error.span().map_or_else(String::new, |span| {
        let before = text.get(..span.start).unwrap_or(text);
        let (line, start) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |at| at + 1));
        format!(", line {line}, column {}", before[start..].chars().count() + 1)
    });
    let message = error.message();
    let hint = nearest_name(message).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    Error::Config { file: format!("{file}{place}"), reason: format!("{message}{hint}") }
}

/// Of the names that a message of serde's offers for one that does not exist, the one that is most like it.
fn nearest_name(message: &str) -> Option<&str> {
    let (wrong, offered) = message.strip_prefix("unknown ")?.split_once(", expected ")?;
    let wrong = wrong.split('`').nth(1)?;
    let distance = |name: &&str| strsim::damerau_levenshtein(wrong, name);
    let nearest = offered.split('`').skip(1).step_by(2).min_by_key(distance)?;
    (distance(&nearest) <= 2.max(wrong.len() / 3)).then_some(nearest)
}

/// Settings in which a configuration differs from that of a run that has begun, in words.
///
/// # Errors
///
/// [`Error::Config`] if one has no TOML form.
pub(crate) fn differences(now: &impl Serialize, begun: &impl Serialize) -> Result<Vec<String>> {
    let settings = |config: &dyn Fn() -> std::result::Result<toml::Table, toml::ser::Error>| {
        let table =
            config().map_err(|error| Error::Config { file: "configuration".to_owned(), reason: error.to_string() })?;
        let mut settings = BTreeMap::new();
        flatten("", &table, &mut settings);
        Ok::<_, Error>(settings)
    };
    let (now, then) = (settings(&|| toml::Table::try_from(now))?, settings(&|| toml::Table::try_from(begun))?);
    let names: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let value = |value: Option<&String>| value.map_or_else(|| "not set".to_owned(), Clone::clone);
    let changed = names.into_iter().filter(|name| now.get(*name) != then.get(*name));
    Ok(changed.map(|name| format!("{name} is {}, was {}", value(now.get(name)), value(then.get(name)))).collect())
}

/// Every setting of a table by its full name.
fn flatten(prefix: &str, table: &toml::Table, settings: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        match value {
            toml::Value::Table(table) => flatten(&format!("{name}."), table, settings),
            value => {
                settings.insert(name, value.to_string());
            }
        }
    }
}

/// An experiment as TOML.
pub(super) fn to_toml(name: &str, config: &impl Serialize) -> Result<String> {
    toml::to_string(config).map_err(|error| Error::Config { file: name.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SMOKE};

    #[test]
    fn what_differs_is_named_with_both_values() {
        let config = Config::parse("x.toml", SMOKE).unwrap();
        assert!(differences(&config, &config).unwrap().is_empty());
        let mut other = config.clone();
        other.training.batch_size += 1;
        other.data.labelled = Some(7);
        let batch_size = config.training.batch_size;
        assert_eq!(
            differences(&other, &config).unwrap(),
            [
                "data.labelled is 7, was not set".to_owned(),
                format!("training.batch_size is {}, was {batch_size}", batch_size + 1),
            ]
        );
    }
}
