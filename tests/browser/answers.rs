//! A dropped file is answered: an x-ray with 14 scores, anything else with words.

use serde_json::json;
use xtask::page::State;
use xtask::serve::Weights;

use crate::files::{dicom, jpeg, png};
use crate::session::{Session, answer, rows};

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn png_jpeg_and_dicom_are_answered() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    let first = answer(&page, &png().0, &png().1);
    let second = answer(&page, &jpeg().0, &jpeg().1);
    let third = answer(&page, &dicom().0, &dicom().1);
    // The same x-ray each time, so nearly the same scores, and yet three answers: the files' pixels differ.
    for other in [&second, &third] {
        for row in other {
            let score = first.iter().find(|one| one.finding == row.finding).map(|one| one.score);
            assert!((score.expect("all findings") - row.score).abs() < 0.25, "{first:?}\n{other:?}");
        }
        assert_ne!(&first, other);
    }
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_image_is_shown_beside_its_scores() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    answer(&page, &png().0, &png().1);
    let script = r#"
        const canvas = document.querySelector('[data-testid="image"]');
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return canvas.checkVisibility() && new Set(data).size;"#;
    let shades = session.browser.execute(script, &[]).expect("the image is there");
    assert!(shades.as_u64().is_some_and(|shades| shades > 20), "{shades} shades are no x-ray");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_text_file_is_refused_in_words_and_the_next_x_ray_is_answered() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    let outcome = page.drop_and_wait("notes.txt", b"The heart is of normal size.").expect("something comes of it");
    assert_eq!(outcome.state, State::Error);
    let error = page.error().expect("readable").expect("an error is shown");
    assert!(error.contains("notes.txt") && error.contains("DICOM"), "{error}");
    answer(&page, &png().0, &png().1);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_damaged_file_is_refused_in_words() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    let (_, mut bytes) = png();
    bytes.truncate(bytes.len() / 2);
    for (name, bytes) in [("half.png", bytes.as_slice()), ("empty.png", &[])] {
        let outcome = page.drop_and_wait(name, bytes).expect("something comes of it");
        assert_eq!(outcome.state, State::Error, "{name}");
        let error = page.error().expect("readable").expect("an error is shown");
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn every_sample_is_answered_at_a_click() {
    let session = Session::start(Weights::AtOnce);
    let count = r#"return document.querySelectorAll('[data-testid="sample"]').length"#;
    let click = r#"document.querySelectorAll('[data-testid="sample"]')[arguments[0]].click()"#;
    let mut answers = Vec::new();
    for n in 0..3 {
        // Anew each time: an answer to the sample before must not be taken for this one's.
        let page = session.open_ready();
        assert_eq!(session.browser.execute(count, &[]).expect("samples"), json!(3));
        session.browser.execute(click, &[json!(n)]).expect("clicks");
        page.wait_for(State::Answered).expect("an answer");
        answers.push(rows(&page));
    }
    assert!(answers[0] != answers[1] && answers[1] != answers[2], "{answers:?}");
}
