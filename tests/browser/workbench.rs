//! Many files at once, what a finding rests on, a report as second modality, and what is no x-ray.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use xtask::page::{Page, State};
use xtask::serve::Weights;

use crate::files::{NamedFile, dicom, jpeg, png, samples};
use crate::session::{Session, answer, rows};

/// A picture in colours, as a camera takes it: a sky, a meadow, a sun.
fn photograph() -> NamedFile {
    let picture = RgbImage::from_fn(640, 480, |x, y| {
        let is_sun = (i64::from(x) - 500).pow(2) + (i64::from(y) - 100).pow(2) < 2500;
        match (is_sun, y < 300) {
            (true, _) => Rgb([255, 230, 90]),
            (_, true) => Rgb([70, 130, 200 + (y / 6) as u8]),
            (_, false) => Rgb([40 + (x % 23) as u8, 150 - (y % 31) as u8, 50]),
        }
    });
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("encodes");
    ("holiday.png".to_owned(), bytes)
}

fn drop_all(page: &Page, files: &[NamedFile]) {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    page.drop_files(&files).expect("drops");
}

fn text(session: &Session, selector: &str) -> String {
    let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
    let text = session.browser.execute(script, &[json!(selector)]).expect("readable");
    text.as_str().unwrap_or_default().to_owned()
}

fn click(session: &Session, selector: &str) {
    session.browser.execute("document.querySelector(arguments[0]).click()", &[json!(selector)]).expect("clicks");
}

/// State, name and whole text of each row of the table.
fn table(session: &Session) -> Vec<(String, String, String)> {
    let script = r#"
        return Array.from(document.querySelectorAll('[data-testid="file-row"]'),
            row => [row.dataset.state, row.querySelector(".file-name").innerText, row.innerText]);"#;
    let rows = session.browser.execute(script, &[]).expect("readable");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    rows.as_array().expect("rows").iter().map(|row| (text(&row[0]), text(&row[1]), text(&row[2]))).collect()
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn many_files_are_answered_sorted_and_saved_and_a_bad_one_does_not_stop_the_rest() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    let mut files = samples();
    files.insert(1, ("notes.txt".to_owned(), b"The heart is of normal size.".to_vec()));
    files.extend([jpeg(), dicom()]);
    drop_all(&page, &files);
    page.wait_for(State::Answered).expect("the queue is worked off");
    let listed = table(&session);
    assert_eq!(listed.len(), files.len());
    let names = |listed: &[(String, String, String)]| -> Vec<String> {
        listed.iter().map(|(_, name, _)| name.clone()).collect()
    };
    assert_eq!(names(&listed), files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    assert!(listed[1].0 == "failed" && listed[1].2.contains("not an x-ray image"), "{:?}", listed[1]);
    assert!(listed.iter().filter(|row| row.0 == "passed").count() >= 4, "{listed:?}");

    // By name, both ways.
    for expected in ["ascending", "descending"] {
        click(&session, "thead th:nth-child(2) button");
        let sorted = r#"return document.querySelector("thead th:nth-child(2)").getAttribute("aria-sort")"#;
        assert_eq!(session.browser.execute(sorted, &[]).expect("readable"), json!(expected));
        let found = names(&table(&session));
        let mut wanted = found.clone();
        wanted.sort_by_key(|name| name.to_lowercase());
        if expected == "descending" {
            wanted.reverse();
        }
        assert_eq!(found, wanted);
    }

    // Another row is looked at, with the keyboard too.
    click(&session, r#"[data-testid="file-row"]:last-child .file-name"#);
    page.wait_for(State::Answered).expect("an answer");
    rows(&page);

    // What is saved is what the table shows.
    let watch = r"
        const make = URL.createObjectURL.bind(URL);
        window.saved = [];
        URL.createObjectURL = blob => { window.saved.push(blob); return make(blob); };";
    session.browser.execute(watch, &[]).expect("watches");
    click(&session, r#"[data-testid="export-csv"]"#);
    click(&session, r#"[data-testid="export-json"]"#);
    let read = "const done = arguments[arguments.length - 1];
        Promise.all(window.saved.map(blob => blob.text())).then(done)";
    let saved = session.browser.execute_async(read, &[]).expect("readable");
    let csv = saved[0].as_str().expect("a CSV text");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), files.len() + 1);
    assert!(lines[0].starts_with("model,weights_sha256,file,state,message,input_check"), "{}", lines[0]);
    let all: Value = serde_json::from_str(saved[1].as_str().expect("a JSON text")).expect("JSON");
    assert_eq!(all["files"].as_array().map(Vec::len), Some(files.len()));
    assert_eq!(all["model"]["weights_sha256"].as_str().map(str::len), Some(64));
    assert!(all["files"][0]["findings"]["Hernia"]["score"].is_number(), "{}", all["files"][0]);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn what_a_finding_rests_on_is_shown_over_the_image_at_once() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    answer(&page, &png().0, &png().1);
    // Colour on the canvas, as the mean distance of its channels, and the time until it is there.
    let script = r#"
        const done = arguments[arguments.length - 1];
        const canvas = document.querySelector('[data-testid="image"]');
        const colour = () => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let sum = 0;
          for (let i = 0; i < data.length; i += 4) sum += Math.abs(data[i] - data[i + 2]);
          return sum / (data.length / 4);
        };
        const before = colour(), start = performance.now();
        document.querySelector('[data-testid="finding"] .finding-name').click();
        requestAnimationFrame(() => requestAnimationFrame(() => {
          const ms = performance.now() - start;
          done([before, colour(), ms]);
        }));"#;
    let found = session.browser.execute_async(script, &[]).expect("readable");
    let number = |i: usize| found[i].as_f64().expect("a number");
    assert!(number(0) < 0.5, "a grey image: {found}");
    assert!(number(1) > 5.0, "a map in colours: {found}");
    assert!(number(2) < 1000.0, "{found}");
    let legend = text(&session, r#"[data-testid="legend"]"#);
    assert!(legend.contains("speaks for"), "{legend}");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_report_joins_is_dropped_again_and_its_words_light_up_places() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    let alone = answer(&page, &png().0, &png().1);
    let write = r#"
        const box = document.querySelector('[data-testid="report"]');
        box.value = arguments[0];
        box.dispatchEvent(new Event("input", { bubbles: true }));"#;
    let report = "The heart is enlarged. Large right pleural effusion, Xylophon. No pneumothorax.";
    session.browser.execute(write, &[json!(report)]).expect("writes");
    let joined = r#"document.querySelectorAll('[data-testid="joined"]').length === 14"#;
    page.wait_until("both answers stand side by side", joined).expect("both");
    assert_eq!(rows(&page), alone, "the image's own answer stays");
    let unknown = r#"return document.querySelector('[data-testid="report-words"]').dataset.unknown"#;
    assert_eq!(session.browser.execute(unknown, &[]).expect("readable"), json!("1"));
    assert_eq!(text(&session, ".word-unknown"), "Xylophon");

    // The words of the critic's positions, by the keyboard: the map over the image changes with them.
    let light = r#"
        const done = arguments[arguments.length - 1];
        const canvas = document.querySelector('[data-testid="image"]');
        const picture = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.join();
        const words = document.querySelectorAll('[data-testid="words"]');
        words[0].focus();
        setTimeout(() => {
          const first = picture();
          words[words.length - 1].focus();
          setTimeout(() => done([words.length, first !== picture()]), 300);
        }, 300);"#;
    let found = session.browser.execute_async(light, &[]).expect("readable");
    assert!(found[0].as_u64() >= Some(2), "{found}");
    assert_eq!(found[1], json!(true), "other words, other places");
    assert!(text(&session, ".overlay").contains("AUC"), "the critic's worth is told");

    // And the other way round: a place of the image shades the words.
    let point = r#"
        const done = arguments[arguments.length - 1];
        document.querySelector('[data-testid="overlay-agreement"]').click();
        const canvas = document.querySelector('[data-testid="image"]');
        const box = canvas.getBoundingClientRect();
        canvas.dispatchEvent(new PointerEvent("pointermove",
          { bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
        setTimeout(() => done(Array.from(document.querySelectorAll('[data-testid="words"]'), word => word.style.backgroundColor)), 200);"#;
    let shades = session.browser.execute_async(point, &[]).expect("readable");
    assert!(
        shades.as_array().expect("words").iter().all(|shade| shade.as_str().is_some_and(|s| s.starts_with("rgb"))),
        "{shades}"
    );

    click(&session, r#"[data-testid="report-switch"]"#);
    let dropped = r#"document.querySelectorAll('[data-testid="joined"]').length === 0"#;
    page.wait_until("the report is dropped", dropped).expect("dropped");
    assert_eq!(rows(&page), alone);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_photograph_is_warned_of_and_answered_only_when_asked() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    let outcome = page.drop_and_wait(&photograph().0, &photograph().1).expect("something comes of it");
    assert_eq!(outcome.state, State::Answered);
    let check = r#"return document.querySelector('[data-testid="input-check"]').dataset.state"#;
    assert_eq!(session.browser.execute(check, &[]).expect("readable"), json!("failed"));
    assert!(text(&session, r#"[data-testid="input-check"]"#).contains("colours"));
    let withheld = "return document.querySelector('.findings-withheld') !== null";
    assert_eq!(session.browser.execute(withheld, &[]).expect("readable"), json!(true));
    assert!(!text(&session, r#"[data-testid="status"]"#).contains("of 14"));
    click(&session, r#"[data-testid="show-anyway"]"#);
    page.wait_until("the answer is shown", "document.querySelector('.findings-withheld') === null").expect("shown");
    // An x-ray after it is answered without a warning.
    answer(&page, &png().0, &png().1);
    assert_eq!(session.browser.execute(check, &[]).expect("readable"), json!("passed"));
}
