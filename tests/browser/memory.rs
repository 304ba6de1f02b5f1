//! Volumes that are replaced leave no memory behind.

use crate::volumes::{Workbench, files_of, head};

/// Greatest growth from the second to the tenth volume.
const GROWTH: f64 = 1.10;

/// Bytes of page and workers after the browser has cleared them all up, which it takes its time for; `null` where it does
/// not tell.
const MEASURE: &str = r"
const done = arguments[arguments.length - 1];
if (!performance.measureUserAgentSpecificMemory) done(null);
else performance.measureUserAgentSpecificMemory().then(({ bytes }) => done(bytes), () => done(null));
";

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn ten_volumes_take_no_more_memory_than_two() {
    let session = Workbench::session();
    let workbench = Workbench::open(&session);
    let measure = || session.browser.execute_async(MEASURE, &[]).expect("measures").as_f64().expect("Chromium tells");
    // Large enough that one that stays would be seen.
    let files = files_of(&head(64), ["head_flair", "head_t1", "head_t1c", "head_t2"]);
    workbench.outline(&files);
    workbench.outline_again();
    let two = measure();
    for _ in 2..10 {
        workbench.outline_again();
    }
    let ten = measure();
    println!("{two} bytes after two volumes, {ten} after ten");
    assert!(ten <= two * GROWTH, "{two} bytes after two volumes, {ten} after ten");
}
