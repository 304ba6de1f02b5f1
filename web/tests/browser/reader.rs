//! A file's way through the worker: bytes in, answer out.

use shared::Finding;
use shared::infer::XrayClassifier;
use shared::io::read_radiograph;
use wasm_bindgen_test::wasm_bindgen_test;
use web::worker::FailureKind;
use web::xray::protocol::{Response, Wish};
use web::xray::reader::{PREVIEW_SIDE, Reader};

use crate::model::{XRAY, model};

fn classifier() -> XrayClassifier {
    let model = model();
    XrayClassifier::from_bytes("model.json", &model.card_json(), &model.weights).expect("a model")
}

/// What the reader says to a file.
fn read(reader: &mut Reader, id: u64, file: &str, bytes: &[u8]) -> Vec<(Response, Vec<Vec<u8>>)> {
    let mut said = Vec::new();
    reader.read(id, file, bytes.to_vec(), Wish::Answer, &mut |response, bytes| said.push((response, bytes.to_vec())));
    said
}

fn scores_of(response: &Response) -> (u64, [f32; Finding::COUNT]) {
    match response {
        Response::Answer { id, answer } => (*id, answer.scores),
        other => panic!("no answer: {other:?}"),
    }
}

#[wasm_bindgen_test]
fn an_x_ray_is_shown_and_answered() {
    let mut reader = Reader::new(|| 0.0);
    reader.set_model(classifier(), &mut |response, _| panic!("nothing was asked: {response:?}"));
    let said = read(&mut reader, 5, "chest.png", XRAY);
    let [(Response::Image { id: 5, image }, pictures), (answer, features)] = &said[..] else {
        panic!("image, then answer: {said:?}");
    };
    assert_eq!((image.width, image.height), (256, 256));
    let [pixels, thumbnail] = &pictures[..] else { panic!("two copies: {}", pictures.len()) };
    assert!(image.preview_width <= PREVIEW_SIDE && pixels.len() == 2 * image.preview_width * image.preview_height);
    assert_eq!(thumbnail.len(), image.thumbnail_width * image.thumbnail_height);
    assert_eq!(features[0].len() % 4, 0);
    let Response::Answer { answer: whole, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(whole.maps.len(), Finding::COUNT);
    let expected = classifier().scores(&read_radiograph("chest.png", XRAY).expect("reads")).expect("scores");
    assert_eq!(scores_of(answer), (5, expected));
    assert!(expected.iter().all(|score| *score > 0.0 && *score < 1.0), "{expected:?}");
}

#[wasm_bindgen_test]
fn an_early_x_ray_waits_for_the_model_and_the_latest_is_answered() {
    let mut reader = Reader::new(|| 0.0);
    for id in [1, 2] {
        let said = read(&mut reader, id, "chest.png", XRAY);
        assert!(matches!(&said[..], [(Response::Image { .. }, _)]), "shown at once: {said:?}");
    }
    let mut said = Vec::new();
    reader.set_model(classifier(), &mut |response, _| said.push(response));
    assert_eq!(said.len(), 1);
    assert_eq!(scores_of(&said[0]).0, 2);
}

#[wasm_bindgen_test]
fn what_is_no_x_ray_is_refused_by_name() {
    let mut reader = Reader::new(|| 0.0);
    reader.set_model(classifier(), &mut |_, _| ());
    for (file, bytes) in [("notes.txt", &b"The heart is of normal size."[..]), ("", &[]), ("half.png", &XRAY[..9000])] {
        let said = read(&mut reader, 3, file, bytes);
        let [(Response::Failed { id: 3, failure }, _)] = &said[..] else { panic!("{file}: {said:?}") };
        assert_eq!(failure.kind, FailureKind::File);
        assert!(failure.message.starts_with(file), "{}", failure.message);
    }
    let said = read(&mut reader, 4, "chest.png", XRAY);
    assert_eq!(scores_of(&said[1].0).0, 4, "the next file is answered");
}

#[wasm_bindgen_test]
fn a_picture_alone_can_be_asked_for_again() {
    let mut reader = Reader::new(|| 0.0);
    reader.set_model(classifier(), &mut |_, _| ());
    let mut said = Vec::new();
    reader.read(3, "chest.png", XRAY.to_vec(), Wish::Picture, &mut |response, _| said.push(response));
    assert!(matches!(&said[..], [Response::Image { id: 3, .. }]), "{said:?}");
}

#[wasm_bindgen_test]
fn a_model_that_reads_no_reports_keeps_silent_about_them() {
    let mut reader = Reader::new(|| 0.0);
    reader.set_model(classifier(), &mut |_, _| ());
    let said = read(&mut reader, 3, "chest.png", XRAY);
    let features = &said[1].1[0];
    reader.join(3, 1, "No effusion.", features, &mut |response, _| panic!("{response:?}"));
    reader.join(3, 1, "No effusion.", &features[..7], &mut |response, _| panic!("{response:?}"));
}
