//! Volumes that are replaced leave no memory behind.

use std::collections::BTreeMap;
use std::fs;

use crate::volumes::{Workbench, files_of, head};

/// Greatest growth from the second to the tenth volume.
const GROWTH: f64 = 1.10;

/// Bytes in memory of the renderers among this process's descendants; `None` where the system does not tell.
fn renderers_rss() -> Option<u64> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // After the name in brackets, which may hold anything: state, parent.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()) {
            parents.insert(pid, parent);
        }
    }
    let is_ours =
        |pid: u32| std::iter::successors(Some(pid), |pid| parents.get(pid).copied()).any(|p| p == std::process::id());
    let is_renderer = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("--type=renderer")
    };
    let rss = |pid: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    let sum: u64 = parents.keys().filter(|pid| is_ours(**pid) && is_renderer(**pid)).filter_map(|pid| rss(*pid)).sum();
    (sum > 0).then_some(sum)
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn ten_volumes_take_no_more_memory_than_two() {
    let session = Workbench::session();
    let workbench = Workbench::open(&session);
    // Large enough that one that stays would be seen.
    let files = files_of(&head(64), ["head_flair", "head_t1", "head_t1c", "head_t2"]);
    let mut after = Vec::new();
    for n in 0..10 {
        if n == 0 {
            workbench.outline(&files);
        } else {
            workbench.outline_again();
        }
        session.browser.devtools("HeapProfiler.collectGarbage", &serde_json::json!({})).expect("the browser clears up");
        std::thread::sleep(std::time::Duration::from_millis(500));
        after.push(renderers_rss());
    }
    let (Some(two), Some(ten)) = (after[1], after[9]) else { return };
    assert!(ten as f64 <= two as f64 * GROWTH, "{after:?}");
}
