//! What is measured.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::peer::Values;
use crate::process::root;

/// A network that all engines run.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) measure: Measure,
    /// As `tests/peers/onnx_network.py` and `tests/peers/engine` read it.
    pub(super) network: Value,
    pub(super) values: Values,
    /// Where the weights lie on the server.
    pub(super) weights: String,
}

/// What is done with a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Every engine runs it.
    Engines,
    /// The same, and the page is asked, too.
    EnginesAndPage,
    /// One worker and two run it on a volume's slices.
    Volume,
}

impl Case {
    /// Where a file of this case lies on the server.
    pub(super) fn file(&self, ending: &str) -> String {
        format!("/bench/{}{ending}", self.name)
    }

    /// A network with random weights.
    fn random(name: &'static str, measure: Measure, network: Value) -> Self {
        let weights = format!("/bench/{name}.safetensors");
        Self { name, measure, network, values: Values::Random, weights }
    }
}

/// The cases of these names; all of them if there are no names.
///
/// # Errors
///
/// If there is no such case, or the shipped model cannot be read.
pub(super) fn named(names: &[&str]) -> Result<Vec<Case>> {
    // As in He et al. 2016.
    let resnet50 = json!({ "depth": 50, "width": 64, "in_channels": 3, "stem_pool": true });
    let resnet50 = json!({ "kind": "resnet", "architecture": resnet50, "size": 224, "outputs": 1000 });
    let unet = json!({ "in_channels": 1, "n_classes": 4, "widths": [32, 64, 128, 256] });
    let unet = json!({ "kind": "unet", "architecture": unet, "size": 240, "outputs": 4 });
    let mut cases = vec![
        shipped()?,
        Case::random("resnet50-224", Measure::Engines, resnet50),
        Case::random("unet-240", Measure::Engines, unet.clone()),
        Case::random("unet-240-volume-155", Measure::Volume, unet),
    ];
    let known: Vec<_> = cases.iter().map(|case| case.name).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        bail!("there is no case `{name}`, only {}", known.join(", "));
    }
    cases.retain(|case| names.is_empty() || names.contains(&case.name));
    Ok(cases)
}

/// The shipped model.
fn shipped() -> Result<Case> {
    let file = root().join("static/models/xray/model.json");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let card: Value = serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
    let weights = card["weights"]["file"].as_str().with_context(|| format!("{} names no weights", file.display()))?;
    Ok(Case {
        name: "xray",
        measure: Measure::EnginesAndPage,
        network: json!({
            "kind": "resnet",
            "architecture": card["architecture"],
            "size": card["preprocessing"]["size"],
            "outputs": card["findings"].as_array().map_or(0, Vec::len),
        }),
        values: Values::Stored,
        weights: format!("/models/xray/{weights}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_by_their_names() {
        assert_eq!(named(&[]).expect("all").len(), 4);
        let one = named(&["unet-240"]).expect("one");
        assert_eq!(one.iter().map(|case| case.name).collect::<Vec<_>>(), ["unet-240"]);
        let error = named(&["vgg"]).err().expect("no such case").to_string();
        assert!(error.contains("vgg") && error.contains("resnet50-224"), "{error}");
    }
}
