//! `cmim doctor`.

use std::env;
use std::path::Path;
use std::process::Command;
use std::thread;

use clap::Args;
use indicatif::HumanBytes;
use shared::kernel::Simd;
use sysinfo::System;
use trainer::device::{DeviceChoice, Precision, describe};

use super::print;

const ABOUT: &str = "\
Each line begins with ok (it is there), -- (it would be of use) or !! (it will be in the way), and is followed by what to do.";

#[derive(Debug, Args)]
#[command(after_help = ABOUT)]
pub(super) struct DoctorArgs {}

/// Something that this machine has or lacks.
struct Check {
    what: &'static str,
    found: String,
    verdict: Verdict,
}

enum Verdict {
    Good,
    /// Training works without it; what to do.
    Optional(String),
    /// Training will fail or crawl; what to do.
    Lacking(String),
}

/// Memory in which every configuration trains, and disk for a data set of Open-I's size with some runs.
const MEMORY: u64 = 8 << 30;
const DISK: u64 = 10 << 30;

/// Prints what this machine has for training, what is missing, and how to get it.
pub(super) fn run(_: &DoctorArgs) -> anyhow::Result<()> {
    print(&format!("cmim {} on {} ({})", env!("CARGO_PKG_VERSION"), env::consts::OS, env::consts::ARCH))?;
    let mut checks = vec![processor(), memory()];
    checks.push(disk("disk, for runs", &env::current_dir().unwrap_or_default(), "give --out on a larger disk"));
    checks.push(disk("disk, for prepared images", &env::temp_dir(), "set TMPDIR to a folder on a larger disk"));
    checks.extend(gpu());
    checks.push(tensorboard());
    for Check { what, found, verdict } in checks {
        let (mark, advice) = match &verdict {
            Verdict::Good => ("ok", None),
            Verdict::Optional(advice) => ("--", Some(advice)),
            Verdict::Lacking(advice) => ("!!", Some(advice)),
        };
        print(&format!("{mark}  {what:<26} {found}"))?;
        if let Some(advice) = advice {
            print(&format!("{:>30} {advice}", "->"))?;
        }
    }
    Ok(())
}

fn processor() -> Check {
    let (simd, threads) = (Simd::best(), thread::available_parallelism().map_or(1, usize::from));
    let found = format!("{threads} threads, {}", simd.name());
    let verdict = if simd.name() == "portable" {
        Verdict::Lacking("a processor with AVX2, AVX-512 or NEON trains several times as fast".to_owned())
    } else {
        Verdict::Good
    };
    Check { what: "processor", found, verdict }
}

fn memory() -> Check {
    let what = "memory";
    let advice = || Verdict::Optional("end other programs, or choose a small training.batch_size".to_owned());
    let Ok(mut system) = System::new() else {
        return Check { what, found: "not known".to_owned(), verdict: advice() };
    };
    system.refresh_memory();
    let (total, free) = (system.total_memory(), system.available_memory());
    let found = format!("{}, {} of it free", HumanBytes(total), HumanBytes(free));
    Check { what, found, verdict: if free < MEMORY { advice() } else { Verdict::Good } }
}

/// The disk that a folder is on.
fn disk(what: &'static str, folder: &Path, advice: &str) -> Check {
    let free = fs4::available_space(folder);
    let found = match &free {
        Ok(free) => format!("{} free at {}", HumanBytes(*free), folder.display()),
        Err(error) => format!("that of {} is not known: {error}", folder.display()),
    };
    let verdict = match free {
        Ok(free) if free >= DISK => Verdict::Good,
        _ => Verdict::Optional(advice.to_owned()),
    };
    Check { what, found, verdict }
}

/// The GPU and its driver, and whether this program can use them.
fn gpu() -> Vec<Check> {
    let query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"];
    let Some(said) = output("nvidia-smi", &query) else {
        let found = "no driver found: training runs on the CPU".to_owned();
        let advice = "for an NVIDIA GPU install driver 580 or newer, which brings nvidia-smi: \
                      https://www.nvidia.com/drivers"
            .to_owned();
        return vec![Check { what: "NVIDIA GPU", found, verdict: Verdict::Optional(advice) }];
    };
    let mut checks: Vec<Check> =
        said.lines().map(|line| Check { what: "NVIDIA GPU", found: line.to_owned(), verdict: Verdict::Good }).collect();
    checks.push(match DeviceChoice::Cuda(0).open(Precision::F32) {
        Ok(device) => Check { what: "training on it", found: describe(&device), verdict: Verdict::Good },
        Err(error) => Check {
            what: "training on it",
            found: "this program cannot".to_owned(),
            verdict: Verdict::Optional(error.to_string()),
        },
    });
    checks
}

fn tensorboard() -> Check {
    let what = "TensorBoard";
    match output("tensorboard", &["--version"]) {
        Some(version) => Check { what, found: version.trim().to_owned(), verdict: Verdict::Good },
        None => Check {
            what,
            found: "not found; `cmim report` shows the curves without it".to_owned(),
            verdict: Verdict::Optional("pip install tensorboard, then tensorboard --logdir runs".to_owned()),
        },
    }
}

/// What a program prints; `None` if it is not there or fails.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
