//! The parts of the page in a document.

use leptos::prelude::*;
use leptos::task::tick;
use shared::Finding;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;
use web::component::{DropZone, Manner};
use web::worker::protocol::Origin;
use web::xray::Desk;
use web::xray::component::{ErrorMessage, FindingList, ImageView, ModelDetails, ModelProgress, Status};
use web::xray::protocol::{ImageInfo, Response};
use web::xray::session::Session;
use web_sys::{CanvasRenderingContext2d, DataTransfer, DragEvent, DragEventInit, Element, File, HtmlCanvasElement};
use web_sys::{HtmlElement, HtmlProgressElement};

use crate::model::model;

/// Shows a view in an element of its own for as long as the test lasts.
fn shown<V: IntoView + 'static>(view: impl FnOnce() -> V + 'static) -> (HtmlElement, impl Drop) {
    let place: HtmlElement = document().create_element("div").expect("an element").unchecked_into();
    document().body().expect("a body").append_child(&place).expect("a place");
    (place.clone(), leptos::mount::mount_to(place, view))
}

fn find(place: &Element, test_id: &str) -> Element {
    let selector = format!("[data-testid={test_id}]");
    place.query_selector(&selector).expect("a selector").unwrap_or_else(|| panic!("no {test_id}"))
}

fn text(element: &Element) -> String {
    element.text_content().unwrap_or_default()
}

fn ready() -> Response {
    Response::Ready { card: Box::new(model().card), origin: Origin::FetchedAndKept }
}

/// A session with a model and an answer in which Mass is highest and Atelectasis lowest.
fn answered() -> Session {
    let mut session = Session::default();
    session.receive(ready(), None);
    let id = session.begin("chest.png", None);
    let mut scores = [0.25; Finding::COUNT];
    scores[Finding::Mass.index()] = 0.812_345_7;
    scores[Finding::Atelectasis.index()] = 0.1;
    session.receive(Response::Answer { id, scores, infer_ms: 250.0 }, None);
    session
}

#[wasm_bindgen_test]
async fn an_answer_is_14_rows_from_high_to_low() {
    let session = RwSignal::new(answered());
    let (place, _shown) = shown(move || view! { <FindingList session=session.read_only() /> });
    tick().await;
    let rows = place.query_selector_all("[data-testid=finding]").expect("a selector");
    assert_eq!(rows.length() as usize, Finding::COUNT);
    let row = |i: u32| rows.item(i).expect("a row").unchecked_into::<Element>();
    let (first, last) = (row(0), row(13));
    assert_eq!(first.get_attribute("data-finding").as_deref(), Some("Mass"));
    assert_eq!(first.get_attribute("data-score").as_deref(), Some("0.8123457"));
    assert!(text(&first).contains("above threshold 0.500") && text(&first).contains("AUC not measured"));
    assert_eq!(last.get_attribute("data-finding").as_deref(), Some("Atelectasis"));
    assert!(text(&last).contains("below threshold 0.500"));
    assert!(text(&last).contains("AUC 0.71 (0.64 to 0.78), 47 of 330"), "{}", text(&last));
    let fill: HtmlElement = first.query_selector(".bar-fill").expect("a selector").expect("a bar").unchecked_into();
    assert_eq!(fill.style().get_property_value("width").as_deref(), Ok("81.23%"));
}

#[wasm_bindgen_test]
async fn the_status_follows_the_session() {
    let session = RwSignal::new(Session::default());
    let (place, _shown) = shown(move || {
        let session = session.read_only();
        view! { <Status session /><ModelProgress session /> }
    });
    let status = find(&place, "status");
    let state = || status.get_attribute("data-state").unwrap_or_default();
    tick().await;
    assert_eq!(state(), "loading");

    session.update(|session| session.receive(Response::Progress { received: 3_000_000, total: 24_000_000 }, None));
    tick().await;
    let progress = find(&place, "progress");
    assert!(text(&progress).contains("3.0 MB of 24.0 MB"), "{}", text(&progress));
    let bar: HtmlProgressElement =
        progress.query_selector("progress").expect("a selector").expect("a bar").unchecked_into();
    assert_eq!(bar.position(), 0.125);

    session.update(|session| session.receive(ready(), None));
    tick().await;
    assert_eq!(state(), "ready");
    assert!(place.query_selector("progress").expect("a selector").is_none());

    session.set(answered());
    tick().await;
    assert_eq!(state(), "answered");
    assert_eq!(text(&status), "chest.png: 1 of 14 findings reaches its threshold: Mass. Answered in 0.25 s.");
}

#[wasm_bindgen_test]
async fn the_image_is_drawn() {
    let session = RwSignal::new(Session::default());
    let (place, _shown) = shown(move || view! { <ImageView session=session.read_only() /> });
    session.update(|session| {
        let id = session.begin("chest.png", Some("a note".to_owned()));
        let image = ImageInfo {
            width: 3000,
            height: 2000,
            preview_width: 2,
            preview_height: 1,
            source: "PNG, 8 bit".to_owned(),
            decode_ms: 1.0,
        };
        session.receive(Response::Image { id, image }, Some(vec![10, 250]));
    });
    tick().await;
    tick().await;
    let canvas: HtmlCanvasElement = find(&place, "image").unchecked_into();
    let context: CanvasRenderingContext2d =
        canvas.get_context("2d").expect("a context").expect("a context").unchecked_into();
    let drawn = context.get_image_data(0.0, 0.0, 2.0, 1.0).expect("pixels").data().0;
    assert_eq!(drawn, [10, 10, 10, 255, 250, 250, 250, 255]);
    assert!(text(&place).contains("3000 × 2000 pixels. PNG, 8 bit"), "{}", text(&place));
    assert!(text(&find(&place, "note")).contains("a note"));
}

#[wasm_bindgen_test]
async fn the_card_is_told() {
    let session = RwSignal::new(answered());
    let (place, _shown) = shown(move || view! { <ModelDetails session=session.read_only() /> });
    tick().await;
    let told = text(&place);
    for part in ["ResNet-18", "32 × 32", "not trained", &model().card.weights.sha256, "kept in this browser"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

/// Drops files on the drop zone, as a browser does.
fn drop_on(place: &Element, names: &[&str]) {
    let transfer = DataTransfer::new().expect("a transfer");
    for name in names {
        let content = js_sys::Array::of1(&"not an image".into());
        let file = File::new_with_str_sequence(&content, name).expect("a file");
        transfer.items().add_with_file(&file).expect("added");
    }
    let event = DragEventInit::new();
    event.set_data_transfer(Some(&transfer));
    event.set_bubbles(true);
    event.set_cancelable(true);
    let event = DragEvent::new_with_event_init_dict("drop", &event).expect("an event");
    let unhandled: Result<bool, JsValue> = find(place, "drop-zone").dispatch_event(&event);
    assert_eq!(unhandled, Ok(false), "the browser would have opened the file");
}

#[wasm_bindgen_test]
async fn a_drop_is_taken_and_further_files_are_left_aside_in_words() {
    let desk = Desk::new();
    let give = move |(files, manner): (Vec<File>, Manner)| desk.give(&files, manner);
    let (place, _shown) = shown(move || {
        view! {
            <DropZone title="Drop here" hint="anything" accept="*/*" compact=false on_files=give />
            <ErrorMessage desk />
        }
    });
    drop_on(&place, &["one.png", "two.png"]);
    let reading = desk.session().get_untracked().reading.expect("a reading");
    assert_eq!(reading.file, "one.png");
    assert!(reading.note.is_some_and(|note| note.contains("2 files") && note.contains("one.png")));

    drop_on(&place, &[]);
    tick().await;
    let error = find(&place, "error");
    assert_eq!(error.get_attribute("role").as_deref(), Some("alert"));
    assert!(text(&error).contains("holds no file"), "{}", text(&error));

    drop_on(&place, &["three.png"]);
    tick().await;
    assert!(place.query_selector("[data-testid=error]").expect("a selector").is_none(), "the error is past");
}
