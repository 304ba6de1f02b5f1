//! `cargo xtask screenshots`: pictures of the page with an answer, light and dark, wide and narrow.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;

use crate::chromium::Chromium;
use crate::dist;
use crate::page::{Page, State};
use crate::process::target_dir;
use crate::serve::{Server, Weights};
use crate::webdriver::Browser;

/// Widths of a desk and of a phone, in CSS pixels, with a height of their kind.
const WINDOWS: [(u32, u32); 2] = [(1280, 800), (360, 740)];

/// Takes the pictures of the built page and returns their files, in `screenshots` in cargo's build folder.
///
/// # Errors
///
/// If the page is not built, does not answer its first sample, or a picture cannot be written.
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
            let page = Page::open(&browser, &server.url())?;
            page.wait_for(State::Ready)?;
            browser.execute(r#"document.querySelector('[data-testid="sample"]').click()"#, &[])?;
            page.wait_for(State::Answered)?;
            let file = folder.join(format!("{scheme}-{width}.png"));
            fs::write(&file, browser.picture()?).with_context(|| format!("writing {}", file.display()))?;
            files.push(file);
        }
    }
    Ok(files)
}
