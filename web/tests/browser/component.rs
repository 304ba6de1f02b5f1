//! The parts of the page in a document.

use leptos::prelude::*;
use leptos::task::tick;
use shared::Finding;
use shared::infer::ActivationMap;
use shared::infer::input_check::{Checked, Measures, Reason};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;
use web::component::{DropZone, Manner};
use web::worker::protocol::Origin;
use web::xray::Desk;
use web::xray::component::{ErrorMessage, FileTable, FindingList, ImageView, ModelDetails, ModelProgress, Status};
use web::xray::protocol::{Answer, ImageInfo, Response};
use web::xray::session::Session;
use web::xray::viewing::{Overlay, Viewing};
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

/// An answer with these scores; the image passes the check if there are no reasons against it.
fn answer(id: u64, scores: [f32; Finding::COUNT], reasons: Vec<Reason>) -> Response {
    let measures = Measures { residual: 0.0, distance: 0.0, shades: 0.0, detail: 1.0 };
    let map = ActivationMap { side: 2, values: vec![1.0, -1.0, 0.0, 0.5] };
    let answer = Answer {
        scores,
        checked: Some(Checked { measures, reasons }),
        maps: vec![map; Finding::COUNT],
        infer_ms: 250.0,
    };
    Response::Answer { id, answer: Box::new(answer) }
}

/// A session with a model and an answer in which Mass is highest and Atelectasis lowest.
fn answered() -> Session {
    let mut session = Session::default();
    session.receive(ready(), Vec::new());
    let id = session.begin("chest.png", None);
    session.begin_next();
    let mut scores = [0.25; Finding::COUNT];
    scores[Finding::Mass.index()] = 0.812_345_7;
    scores[Finding::Atelectasis.index()] = 0.1;
    session.receive(answer(id, scores, Vec::new()), Vec::new());
    session
}

fn click(element: &Element) {
    element.dyn_ref::<HtmlElement>().expect("an element of the page").click();
}

#[wasm_bindgen_test]
async fn an_answer_is_14_rows_from_high_to_low() {
    let session = RwSignal::new(answered());
    let viewing = Viewing::new();
    let (place, _shown) = shown(move || view! { <FindingList session=session.read_only() viewing /> });
    tick().await;
    let rows = place.query_selector_all("[data-testid=finding]").expect("a selector");
    assert_eq!(rows.length() as usize, Finding::COUNT);
    let row = |i: u32| rows.item(i).expect("a row").unchecked_into::<Element>();
    let (first, last) = (row(0), row(13));
    assert_eq!(first.get_attribute("data-finding").as_deref(), Some("Mass"));
    assert_eq!(first.get_attribute("data-score").as_deref(), Some("0.8123457"));
    assert!(text(&first).contains("at or above threshold") && text(&first).contains("AUC not measured"));
    assert_eq!(last.get_attribute("data-finding").as_deref(), Some("Atelectasis"));
    assert!(text(&last).contains("below threshold"));
    assert!(text(&last).contains("AUC 0.71 (0.64 to 0.78), 47 of 330"), "{}", text(&last));
    let fill: HtmlElement = first.query_selector(".bar-fill").expect("a selector").expect("a bar").unchecked_into();
    assert_eq!(fill.style().get_property_value("width").as_deref(), Ok("81.23%"));

    let name = first.query_selector(".finding-name").expect("a selector").expect("a name");
    click(&name);
    tick().await;
    assert_eq!(
        (viewing.overlay.get_untracked(), viewing.finding.get_untracked()),
        (Overlay::Finding, Some(Finding::Mass))
    );
    assert_eq!(name.get_attribute("aria-pressed").as_deref(), Some("true"));
    click(&name);
    assert_eq!(viewing.overlay.get_untracked(), Overlay::None);
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

    session
        .update(|session| session.receive(Response::Progress { received: 3_000_000, total: 24_000_000 }, Vec::new()));
    tick().await;
    let progress = find(&place, "progress");
    assert!(text(&progress).contains("3.0 MB of 24.0 MB"), "{}", text(&progress));
    let bar: HtmlProgressElement =
        progress.query_selector("progress").expect("a selector").expect("a bar").unchecked_into();
    assert_eq!(bar.position(), 0.125);

    session.update(|session| session.receive(ready(), Vec::new()));
    tick().await;
    assert_eq!(state(), "ready");
    assert!(place.query_selector("progress").expect("a selector").is_none());

    session.set(answered());
    tick().await;
    assert_eq!(state(), "answered");
    assert_eq!(text(&status), "chest.png: 1 of 14 findings at or above threshold: Mass. Answered in 0.25 s.");
}

/// Waits until the browser has drawn.
async fn frame() {
    for _ in 0..2 {
        let next = js_sys::Promise::new(&mut |resolve, _| {
            window().request_animation_frame(&resolve).expect("a frame");
        });
        wasm_bindgen_futures::JsFuture::from(next).await.expect("a frame");
    }
}

#[wasm_bindgen_test]
async fn the_image_is_drawn_with_its_map_and_inverted() {
    let session = RwSignal::new(answered());
    let viewing = Viewing::new();
    let (place, _shown) = shown(move || view! { <ImageView session=session.read_only() viewing /> });
    session.update(|session| {
        let id = session.selected_item().expect("a file").id;
        let image = ImageInfo {
            width: 2000,
            height: 2000,
            preview_width: 2,
            preview_height: 2,
            thumbnail_width: 1,
            thumbnail_height: 1,
            source: "PNG, 8 bit".to_owned(),
            decode_ms: 1.0,
        };
        let pixels = [0, 65535, 0, 65535_u16].iter().flat_map(|value| value.to_le_bytes()).collect();
        session.receive(Response::Image { id, image }, vec![pixels, vec![7]]);
    });
    tick().await;
    frame().await;
    let canvas: HtmlCanvasElement = find(&place, "image").unchecked_into();
    let context: CanvasRenderingContext2d =
        canvas.get_context("2d").expect("a context").expect("a context").unchecked_into();
    let (width, height) = (f64::from(canvas.width()), f64::from(canvas.height()));
    let side = width.min(height);
    let pixel = |x: f64, y: f64| {
        let (x, y) = (width / 2.0 + (x - 0.5) * side, height / 2.0 + (y - 0.5) * side);
        let data = context.get_image_data(x, y, 1.0, 1.0).expect("pixels").data().0;
        [data[0], data[1], data[2]]
    };
    assert_eq!((pixel(0.1, 0.1), pixel(0.9, 0.1)), ([0, 0, 0], [255, 255, 255]));
    assert!(text(&place).contains("2000 × 2000 pixels. PNG, 8 bit"), "{}", text(&place));

    viewing.opacity.set(1.0);
    viewing.press(Finding::Edema);
    tick().await;
    frame().await;
    assert_eq!(pixel(0.02, 0.02), [240, 140, 40], "the upper left speaks for it");
    assert_eq!(pixel(0.98, 0.02), [60, 130, 220], "the upper right against it");
    viewing.overlay.set(Overlay::None);
    click(&find(&place, "invert"));
    click(&find(&place, "zoom-in"));
    tick().await;
    frame().await;
    assert_eq!(pixel(0.1, 0.1), [255, 255, 255]);
    assert_eq!(text(&find(&place, "zoom")), "125%");
    click(&find(&place, "reset"));
    tick().await;
    frame().await;
    assert_eq!((pixel(0.1, 0.1), text(&find(&place, "zoom"))), ([0, 0, 0], "100%".to_owned()));
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
async fn every_file_of_a_drop_is_taken_and_a_drop_without_one_is_told() {
    let desk = Desk::new();
    let give = move |(files, manner): (Vec<File>, Manner)| desk.give(&files, manner);
    let (place, _shown) = shown(move || {
        view! {
            <DropZone title="Drop here" hint="anything" accept="*/*" compact=false on_files=give />
            <ErrorMessage desk />
            <FileTable desk />
        }
    });
    drop_on(&place, &["one.png", "two.png"]);
    tick().await;
    let selected = || desk.session().with_untracked(|session| session.selected_item().map(|item| item.file.clone()));
    assert_eq!(selected().as_deref(), Some("one.png"));
    let rows = || place.query_selector_all("[data-testid=file-row]").expect("a selector");
    assert_eq!(rows().length(), 2);
    click(&rows().item(1).expect("a row").unchecked_into());
    assert_eq!(selected().as_deref(), Some("two.png"));
    let names = || -> Vec<String> {
        let name = |i| rows().item(i).expect("a row").unchecked_into::<Element>();
        (0..rows().length())
            .map(|i| text(&name(i).query_selector(".file-name").expect("a selector").expect("a name")))
            .collect()
    };
    let sort = find(&place, "sort");
    click(&sort);
    tick().await;
    assert_eq!(names(), ["one.png", "two.png"]);
    click(&sort);
    tick().await;
    assert_eq!(names(), ["two.png", "one.png"]);

    drop_on(&place, &[]);
    tick().await;
    let error = find(&place, "error");
    assert_eq!(error.get_attribute("role").as_deref(), Some("alert"));
    assert!(text(&error).contains("holds no file"), "{}", text(&error));

    drop_on(&place, &["three.png"]);
    tick().await;
    assert!(place.query_selector("[data-testid=error]").expect("a selector").is_none(), "the error is past");
    click(&find(&place, "clear"));
    tick().await;
    assert_eq!(selected(), None);
}
