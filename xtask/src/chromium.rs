//! Chromium and its driver: found, installed where that can be done, and started alike for every use.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{command, run, target_dir, version};
use crate::tools::version_number;

/// What the browser is called on the systems this project is built on.
const BROWSERS: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// A browser and the driver that goes with it.
#[derive(Debug, Clone)]
pub struct Chromium {
    /// The browser's program.
    pub browser: PathBuf,
    /// The driver's program.
    pub driver: PathBuf,
}

impl Chromium {
    /// Finds browser and driver, and installs them with apt where this runs as root on Debian.
    ///
    /// The variables `CHROME` and `CHROMEDRIVER` of the environment name programs to be used instead.
    ///
    /// # Errors
    ///
    /// If there is none and none can be installed, or the two are of different versions; the message says what to do.
    pub fn get() -> Result<Self> {
        if let Some(found) = Self::find() {
            return found.check();
        }
        if apt_can_install() {
            println!("Installing Chromium and its driver with apt-get");
            run(command("apt-get").args(["update", "--quiet"]))?;
            run(command("apt-get")
                .args(["install", "--yes", "--quiet", "--no-install-recommends", "chromium", "chromium-driver"])
                .env("DEBIAN_FRONTEND", "noninteractive"))?;
            if let Some(found) = Self::find() {
                return found.check();
            }
        }
        bail!(
            "Chromium (or Chrome) and its driver are needed:\n\
             Debian:  sudo apt-get install chromium chromium-driver\n\
             Ubuntu:  sudo snap install chromium\n\
             Fedora:  sudo dnf install chromium chromedriver\n\
             macOS:   brew install --cask google-chrome chromedriver\n\
             Programs elsewhere are used if the variables CHROME and CHROMEDRIVER name them."
        )
    }

    fn find() -> Option<Self> {
        let browser = env::var_os("CHROME").map(PathBuf::from).or_else(|| BROWSERS.iter().find_map(|name| which(name)));
        let driver = env::var_os("CHROMEDRIVER")
            .map(PathBuf::from)
            .or_else(|| which("chromedriver"))
            // Ubuntu's snap has the driver under a name of its own.
            .or_else(|| which("chromium.chromedriver"));
        Some(Self { browser: browser?, driver: driver? })
    }

    /// Holds the two versions together: a driver drives browsers of its own major version alone.
    fn check(self) -> Result<Self> {
        let major = |program: &PathBuf| -> Result<String> {
            let line = version(program).with_context(|| format!("{} does not start", program.display()))?;
            let number = version_number(&line).with_context(|| format!("`{line}` holds no version"))?;
            Ok(number.split('.').next().unwrap_or(number).to_owned())
        };
        let (browser, driver) = (major(&self.browser)?, major(&self.driver)?);
        if browser != driver {
            bail!(
                "{} is version {browser} but {} is version {driver}: install both in the same version, or name others \
                 with the variables CHROME and CHROMEDRIVER",
                self.browser.display(),
                self.driver.display()
            );
        }
        Ok(self)
    }

    /// What a driver is asked for at the start of a session.
    pub fn capabilities(&self) -> Value {
        let mut arguments = vec![
            "--headless",
            "--disable-gpu",
            // Containers often have a tiny /dev/shm.
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--window-size=1280,900",
        ];
        if is_root() {
            // Chromium refuses to build its sandbox for root; the pages opened here are this project's own.
            arguments.push("--no-sandbox");
        }
        json!({ "goog:chromeOptions": { "binary": self.browser, "args": arguments } })
    }

    /// Writes the capabilities where `wasm-bindgen-test-runner` can be told to read them, and returns the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_capabilities(&self) -> Result<PathBuf> {
        let file = target_dir()?.join("webdriver.json");
        fs::write(&file, self.capabilities().to_string()).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }
}

/// The program of this name on the search path, or at this place.
fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Whether this is root on Debian: Ubuntu's package of the same name is an empty shell around a snap.
fn apt_can_install() -> bool {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    is_root() && which("apt-get").is_some() && system.lines().any(|line| line == "ID=debian")
}
