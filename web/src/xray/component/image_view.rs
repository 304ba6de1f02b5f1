//! The x-ray on the screen: zoom, window and level, and a map over it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use leptos::ev;
use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{KeyboardEvent, PointerEvent, WheelEvent};

use super::image_tools::ImageTools;
use crate::language::t;
use crate::render::heat::strongest;
use crate::render::{Polarity, Window};
use crate::xray::item::Picture;
use crate::xray::session::Session;
use crate::xray::stage::Stage;
use crate::xray::viewing::{Overlay, Viewing};

/// What a drag does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DragMode {
    /// Moves the image.
    #[default]
    Pan,
    /// Changes window and level.
    Window,
}

impl DragMode {
    fn other(self) -> Self {
        match self {
            Self::Pan => Self::Window,
            Self::Window => Self::Pan,
        }
    }
}

/// How the image is shown. A handle: copies act on the same.
#[derive(Clone, Copy)]
pub struct Display {
    /// Which values are shown.
    pub window: RwSignal<Window>,
    /// Whether bone is white.
    pub polarity: RwSignal<Polarity>,
    /// What a drag does.
    pub mode: RwSignal<DragMode>,
    /// The zoom, for reading; 1 shows the whole image.
    pub zoom: RwSignal<f64>,
    stage: StoredValue<Option<Rc<Scene>>, LocalStorage>,
}

/// A stage, and the frame that is asked for.
struct Scene {
    stage: RefCell<Stage>,
    is_asked: Cell<bool>,
    frame: RefCell<Option<Closure<dyn FnMut()>>>,
}

/// The map over the image: its values, and the value at which it is opaque.
type Map = Option<(Vec<f32>, f32)>;

impl Display {
    fn new() -> Self {
        Self {
            window: RwSignal::new(Window::FULL),
            polarity: RwSignal::new(Polarity::Positive),
            mode: RwSignal::new(DragMode::Pan),
            zoom: RwSignal::new(1.0),
            stage: StoredValue::new_local(None),
        }
    }

    /// Changes the stage, then draws it.
    pub fn change(self, change: impl FnOnce(&mut Stage)) {
        let Some(scene) = self.stage.try_get_value().flatten() else { return };
        change(&mut scene.stage.borrow_mut());
        let zoom = scene.stage.borrow().viewport.zoom();
        if self.zoom.get_untracked() != zoom {
            self.zoom.set(zoom);
        }
        scene.ask();
    }

    /// Everything as it was when the image came.
    pub fn reset(self) {
        self.window.set(Window::FULL);
        self.polarity.set(Polarity::Positive);
        self.change(|stage| stage.viewport.zoom_middle(1e-6));
    }
}

impl Scene {
    /// Draws with the browser's next frame, however often it is asked.
    fn ask(&self) {
        if self.is_asked.replace(true) {
            return;
        }
        if let Some(frame) = &*self.frame.borrow() {
            // A window that is gone shows nothing.
            let _ = window().request_animation_frame(frame.as_ref().unchecked_ref());
        }
    }
}

/// The image that is looked at, with its name, size and kind, and the tools.
#[component]
pub fn ImageView(
    /// What the page knows.
    session: ReadSignal<Session>,
    /// What is chosen and pointed at.
    viewing: Viewing,
) -> impl IntoView {
    let display = Display::new();
    let picture = Memo::new(move |_| session.with(Session::picture));
    let file = Memo::new(move |_| session.with(|session| session.selected_item().map(|item| item.file.clone())));
    let note = Memo::new(move |_| session.with(|session| session.selected_item().and_then(|item| item.note.clone())));
    let side = Memo::new(move |_| session.with(map_side));
    let map = Memo::new(move |_| session.with(|session| map_of(session, viewing)));
    let canvas = NodeRef::<Canvas>::new();
    follow(display, canvas, picture, map, side, viewing);
    let resize = window_event_listener(ev::resize, move |_| display.change(|_| {}));
    on_cleanup(move || resize.remove());
    let caption = move || {
        picture.with(|picture| {
            picture.as_ref().map(|picture| {
                let info = &picture.info;
                t!("xray.image_about", width = info.width, height = info.height, source = info.source)
            })
        })
    };
    view! {
        <Show when=move || note.with(Option::is_some)>
            <p class="note" data-testid="note">{move || note.get()}</p>
        </Show>
        <Show when=move || picture.with(Option::is_some)>
            <figure class="image xray-image">
                <ImageTools display image=picture />
                <XrayCanvas display canvas side viewing file />
                <figcaption><strong>{move || file.get()}</strong>" "{caption}</figcaption>
            </figure>
        </Show>
    }
}

/// The canvas, and what a person does on it.
#[component]
fn XrayCanvas(
    /// How the image is shown.
    display: Display,
    /// Where the canvas is to be found.
    canvas: NodeRef<Canvas>,
    /// Rows of the model's map.
    side: Memo<usize>,
    /// What is pointed at.
    viewing: Viewing,
    /// Name of the file.
    file: Memo<Option<String>>,
) -> impl IntoView {
    let pointers = StoredValue::new_local(Vec::<(i32, [f64; 2])>::new());
    let point = |event: &PointerEvent| [f64::from(event.offset_x()), f64::from(event.offset_y())];
    let down = move |event: PointerEvent| {
        if let Some(canvas) = canvas.get_untracked() {
            // Without it a drag ends at the edge.
            let _ = canvas.set_pointer_capture(event.pointer_id());
        }
        pointers.update_value(|pointers| pointers.push((event.pointer_id(), point(&event))));
    };
    let moved = move |event: PointerEvent| {
        let to = point(&event);
        let held = pointers.get_value();
        match held.as_slice() {
            [] => {
                let mut place = None;
                display.change(|stage| place = stage.place_at(to, side.get_untracked()));
                if viewing.place.get_untracked() != place {
                    viewing.place.set(place);
                }
            }
            [(id, from)] if *id == event.pointer_id() => {
                let by = [to[0] - from[0], to[1] - from[1]];
                let is_other = event.shift_key() || event.buttons() & 2 != 0;
                let mode = display.mode.get_untracked();
                drag(display, canvas, if is_other { mode.other() } else { mode }, by);
            }
            [(id_a, a), (_, b), ..] => {
                let (old, other) = if *id_a == event.pointer_id() { (*a, *b) } else { (*b, *a) };
                let distance = |p: [f64; 2]| (p[0] - other[0]).hypot(p[1] - other[1]).max(1.0);
                let middle = [f64::midpoint(to[0], other[0]), f64::midpoint(to[1], other[1])];
                display.change(|stage| {
                    stage.viewport.zoom_at(middle, distance(to) / distance(old));
                    stage.viewport.pan([(to[0] - old[0]) / 2.0, (to[1] - old[1]) / 2.0]);
                });
            }
            _ => {}
        }
        pointers.update_value(|pointers| {
            if let Some((_, at)) = pointers.iter_mut().find(|(id, _)| *id == event.pointer_id()) {
                *at = to;
            }
        });
    };
    let up = move |event: PointerEvent| {
        pointers.update_value(|pointers| pointers.retain(|(id, _)| *id != event.pointer_id()));
    };
    let wheel = move |event: WheelEvent| {
        event.prevent_default();
        let at = [f64::from(event.offset_x()), f64::from(event.offset_y())];
        display.change(|stage| stage.viewport.zoom_at(at, (-event.delta_y() * 0.0015).clamp(-1.0, 1.0).exp()));
    };
    let double = move |event: ev::MouseEvent| {
        let at = [f64::from(event.offset_x()), f64::from(event.offset_y())];
        display.change(|stage| {
            let factor = if stage.viewport.zoom() > 1.01 { 1e-6 } else { 2.5 };
            stage.viewport.zoom_at(at, factor);
        });
    };
    view! {
        <canvas
            class="xray-canvas"
            class:xray-canvas-window=move || display.mode.get() == DragMode::Window
            data-testid="image"
            role="img"
            tabindex="0"
            aria-label=move || t!("xray.image_label", file = file.get().unwrap_or_default())
            aria-describedby="image-keys"
            node_ref=canvas
            on:pointerdown=down
            on:pointermove=moved
            on:pointerup=up
            on:pointercancel=up
            on:pointerleave=move |_| viewing.place.set(None)
            on:wheel=wheel
            on:dblclick=double
            on:contextmenu=|event| event.prevent_default()
            on:keydown=move |event| key(display, canvas, &event)
        ></canvas>
        <p id="image-keys" class="visually-hidden">{move || t!("xray.image_keys")}</p>
    }
}

/// Lets the canvas follow image, window and map.
fn follow(
    display: Display,
    canvas: NodeRef<Canvas>,
    picture: Memo<Option<Arc<Picture>>>,
    map: Memo<Map>,
    side: Memo<usize>,
    viewing: Viewing,
) {
    Effect::new(move |_| {
        let (Some(canvas), Some(picture)) = (canvas.get(), picture.get()) else { return };
        let shown = display.stage.with_value(|scene| scene.as_ref().is_some_and(|s| s.stage.borrow().shows(&picture)));
        if !shown {
            display.window.set(Window::FULL);
            display.polarity.set(Polarity::Positive);
            display.zoom.set(1.0);
        }
        match Stage::new(canvas, picture) {
            Ok(stage) => display.stage.set_value(Some(scene(stage, side, viewing))),
            // The answer does not depend on the picture.
            Err(error) => leptos::logging::error!("the image could not be drawn: {error:?}"),
        }
        let (window, polarity) = (display.window.get_untracked(), display.polarity.get_untracked());
        display.change(|stage| report(stage.paint(window, polarity)));
        map.with_untracked(|map| display.change(|stage| paint_map(stage, map)));
    });
    Effect::new(move |_| {
        let (window, polarity) = (display.window.get(), display.polarity.get());
        display.change(|stage| report(stage.paint(window, polarity)));
    });
    Effect::new(move |_| map.with(|map| display.change(|stage| paint_map(stage, map))));
    Effect::new(move |_| {
        viewing.opacity.track();
        viewing.place.track();
        viewing.overlay.track();
        display.change(|_| {});
    });
}

fn scene(stage: Stage, side: Memo<usize>, viewing: Viewing) -> Rc<Scene> {
    let scene = Rc::new(Scene { stage: RefCell::new(stage), is_asked: Cell::new(false), frame: RefCell::new(None) });
    let of_frame = Rc::downgrade(&scene);
    let frame = Closure::<dyn FnMut()>::new(move || {
        let Some(scene) = of_frame.upgrade() else { return };
        scene.is_asked.set(false);
        let framed = viewing.place.try_get_untracked().flatten();
        let is_agreement = viewing.overlay.try_get_untracked() == Some(Overlay::Agreement);
        let framed = framed.filter(|_| is_agreement).zip(side.try_get_untracked());
        let opacity = viewing.opacity.try_get_untracked().unwrap_or(0.5);
        report(scene.stage.borrow_mut().draw(opacity, framed));
    });
    *scene.frame.borrow_mut() = Some(frame);
    scene
}

fn report(result: Result<(), JsValue>) {
    if let Err(error) = result {
        leptos::logging::error!("the image could not be drawn: {error:?}");
    }
}

fn paint_map(stage: &mut Stage, map: &Map) {
    report(stage.paint_heat(map.as_ref().map(|(values, full)| (values.as_slice(), *full))));
}

fn drag(display: Display, canvas: NodeRef<Canvas>, mode: DragMode, by: [f64; 2]) {
    match mode {
        DragMode::Pan => display.change(|stage| stage.viewport.pan(by)),
        DragMode::Window => {
            let Some(canvas) = canvas.get_untracked() else { return };
            let share = |by: f64, of: i32| (by / f64::from(of.max(1))) as f32;
            let right = share(by[0], canvas.client_width());
            let down = share(by[1], canvas.client_height());
            display.window.update(|window| *window = window.dragged(right, down));
        }
    }
}

/// Pixels that an arrow key moves.
const STEP: f64 = 24.0;

fn key(display: Display, canvas: NodeRef<Canvas>, event: &KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let mode = display.mode.get_untracked();
    // An arrow moves what is seen: the image goes the other way.
    let sign = if mode == DragMode::Pan { -1.0 } else { 1.0 };
    match event.key().as_str() {
        "+" | "=" => display.change(|stage| stage.viewport.zoom_middle(1.25)),
        "-" => display.change(|stage| stage.viewport.zoom_middle(0.8)),
        "0" => display.reset(),
        "i" => display.polarity.update(|polarity| *polarity = polarity.inverted()),
        "w" => display.mode.update(|mode| *mode = mode.other()),
        "ArrowLeft" => drag(display, canvas, mode, [-STEP * sign, 0.0]),
        "ArrowRight" => drag(display, canvas, mode, [STEP * sign, 0.0]),
        "ArrowUp" => drag(display, canvas, mode, [0.0, -STEP * sign]),
        "ArrowDown" => drag(display, canvas, mode, [0.0, STEP * sign]),
        _ => return,
    }
    event.prevent_default();
}

/// Rows of the model's map of the image that is looked at; 0 without an answer.
fn map_side(session: &Session) -> usize {
    let answer = session.selected_item().and_then(|item| item.answer.as_ref());
    answer.and_then(|answer| answer.maps.first()).map_or(0, |map| map.side)
}

/// The weakest logit that is opaque, so that next to nothing is pale.
const LEAST: f32 = 0.5;

/// The map that is to be shown.
fn map_of(session: &Session, viewing: Viewing) -> Map {
    let item = session.selected_item()?;
    let answer = item.answer.as_ref()?;
    match viewing.overlay.get() {
        Overlay::None => None,
        Overlay::Finding => {
            let map = answer.maps.get(viewing.finding.get()?.index())?;
            Some((map.values.clone(), strongest(&map.values, LEAST)))
        }
        Overlay::Agreement => {
            let read = item.report.read()?;
            let n = read.spans.len();
            if n == 0 || read.agreement.is_empty() {
                return None;
            }
            let position = viewing.position.get().filter(|position| *position < n);
            let place = |scores: &[f32]| match position {
                Some(position) => scores[position],
                None => scores.iter().sum::<f32>() / n as f32,
            };
            Some((read.agreement.chunks_exact(n).map(place).collect(), strongest(&read.agreement, LEAST)))
        }
    }
}
