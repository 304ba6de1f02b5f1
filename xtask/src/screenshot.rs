//! `cargo xtask screenshots`: pictures of every part of the page, light and dark, wide and narrow.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;

use crate::chromium::Chromium;
use crate::dist;
use crate::page::Page;
use crate::process::target_dir;
use crate::serve::{Server, Weights};
use crate::webdriver::Browser;

/// Widths of a desk and of a phone, in CSS pixels, with a height of their kind.
const WINDOWS: [(u32, u32); 2] = [(1280, 800), (360, 740)];

/// A part of the page, and what has to hold before its picture is taken.
struct View {
    name: &'static str,
    /// Clicked as soon as the part is there.
    click: Option<&'static str>,
    ready: &'static str,
}

const VIEWS: [View; 4] = [
    View {
        name: "xray",
        click: Some(r#"[data-testid="sample"]:enabled"#),
        ready: r#"document.querySelector('[data-testid="status"]')?.dataset.state === "answered""#,
    },
    View { name: "mri", click: None, ready: "document.querySelector('main > *') !== null" },
    View {
        name: "lesson",
        click: None,
        ready: r#"document.querySelector('[data-testid="method-mlp"]')?.dataset.state === "outlined""#,
    },
    View { name: "help", click: None, ready: r#"document.querySelector('[data-testid="help"]') !== null"# },
];

/// Takes the pictures of the built page and returns their files, in `screenshots` in cargo's build folder.
///
/// # Errors
///
/// If the page is not built, a part of it does not come to its state, or a picture cannot be written.
pub fn take() -> Result<Vec<PathBuf>> {
    let folder = target_dir()?.join("screenshots");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let server = Server::start(&dist::folder(), Server::bind(0)?, Weights::AtOnce)?;
    let browser = Browser::launch(&Chromium::get()?)?;
    let mut files = Vec::new();
    for scheme in ["light", "dark"] {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }))?;
        for (width, height) in WINDOWS {
            let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600 });
            browser.devtools("Emulation.setDeviceMetricsOverride", &screen)?;
            for View { name, click, ready } in VIEWS {
                browser.open(&format!("{}?view={name}", server.url()))?;
                let page = Page::of(&browser);
                if let Some(selector) = click {
                    let there = format!("document.querySelector('{selector}') !== null");
                    page.wait_until(&format!("{selector} is there"), &there)?;
                    browser.execute("document.querySelector(arguments[0]).click()", &[json!(selector)])?;
                }
                page.wait_until(&format!("{name} is ready"), ready)?;
                let file = folder.join(format!("{name}-{scheme}-{width}.png"));
                fs::write(&file, browser.picture()?).with_context(|| format!("writing {}", file.display()))?;
                files.push(file);
            }
        }
    }
    Ok(files)
}
