//! The three linked cuts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::ev;
use leptos::html::{Canvas, Div};
use leptos::prelude::*;
use web_sys::{KeyboardEvent, PointerEvent, WheelEvent};

use crate::language::t;
use crate::mri::Desk;
use crate::mri::painter::{Canvases, Painter, Picture};
use crate::mri::view::{Plane, Window};

/// Cuts that a page key passes over.
const PAGE: i64 = 10;

/// How far the wheel turns for one cut, in the browser's pixels; a notch is about 100.
const WHEEL_STEP: f64 = 40.0;

/// Draws once a frame at most, whatever changes in it.
#[derive(Clone, Default)]
pub struct Stage {
    painter: Rc<RefCell<Painter>>,
    canvases: Rc<RefCell<[Option<Canvases>; 3]>>,
    is_due: Rc<Cell<bool>>,
}

impl Stage {
    /// The canvases of a plane, once it is on the screen.
    pub fn canvases(&self, plane: Plane) -> Option<Canvases> {
        self.canvases.borrow()[plane.index()].clone()
    }

    /// Draws at the next frame.
    fn request(&self, desk: Desk) {
        if self.is_due.replace(true) {
            return;
        }
        let stage = self.clone();
        request_animation_frame(move || {
            stage.is_due.set(false);
            stage.draw(desk);
        });
    }

    fn draw(&self, desk: Desk) {
        let screen = desk.screen();
        desk.session().with_untracked(|session| {
            let Some(scan) = &session.scan else { return };
            let Some(image) = &scan.images[screen.shown.get_untracked().index()] else { return };
            let picture = Picture {
                scan,
                image,
                window: screen.window.get_untracked(),
                cross: screen.cross.get_untracked(),
                mask: session.outline.mask.as_ref(),
                overlay: screen.overlay.get_untracked(),
                colour: screen.colour.get_untracked(),
                opacity: screen.opacity.get_untracked(),
            };
            for plane in Plane::ALL {
                let Some(canvases) = self.canvases(plane) else { continue };
                if let Err(error) = self.painter.borrow_mut().draw(plane, &canvases, &picture) {
                    leptos::logging::error!("a cut could not be drawn: {error:?}");
                }
            }
        });
    }
}

/// Axial, coronal and sagittal cuts that meet at the crosshair.
#[component]
pub fn Viewer(
    /// Holds what is shown.
    desk: Desk,
    /// Draws it.
    stage: StoredValue<Stage, LocalStorage>,
) -> impl IntoView {
    let screen = desk.screen();
    let request = move || stage.with_value(|stage| stage.request(desk));
    Effect::new(move |_| {
        // Whatever changes one of these is drawn.
        screen.cross.track();
        screen.shown.track();
        screen.window.track();
        screen.overlay.track();
        screen.colour.track();
        screen.opacity.track();
        screen.drawn.track();
        request();
    });
    let resized = window_event_listener(ev::resize, move |_| request());
    on_cleanup(move || resized.remove());
    // The shown slice is outlined next.
    Effect::new(move |_| desk.prefer(screen.cross.get()[2]));
    view! {
        <div class="mri-stage" data-testid="mri-stage">
            {Plane::ALL.map(|plane| view! { <PlaneView desk stage plane /> }).collect_view()}
        </div>
    }
}

/// What a pointer that is held down does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Drag {
    /// Moves the crosshair.
    Cross,
    /// Changes the window, from where it was when the drag began at a place.
    Window { from: Window, at: [f64; 2] },
}

/// One cut.
#[component]
fn PlaneView(
    /// Holds what is shown.
    desk: Desk,
    /// Draws it.
    stage: StoredValue<Stage, LocalStorage>,
    /// Which cut.
    plane: Plane,
) -> impl IntoView {
    let screen = desk.screen();
    let (picture, lines, frame) = (NodeRef::<Canvas>::new(), NodeRef::<Canvas>::new(), NodeRef::<Div>::new());
    Effect::new(move |_| {
        if let (Some(picture), Some(lines)) = (picture.get(), lines.get()) {
            stage.with_value(|stage| {
                stage.canvases.borrow_mut()[plane.index()] = Some(Canvases { picture, lines });
                stage.request(desk);
            });
        }
    });
    on_cleanup(move || {
        let _ = stage.try_with_value(|stage| stage.canvases.borrow_mut()[plane.index()] = None);
    });
    let session = desk.session();
    let geometry = Memo::new(move |_| session.with(|session| session.scan.as_ref().map(|scan| scan.canonical)));
    let size = move || geometry.with(|geometry| geometry.map_or([1; 3], |geometry| geometry.size));
    let n_slices = move || plane.n_slices(size());
    let slice = Memo::new(move |_| screen.cross.with(|cross| cross[plane.axes()[2]]));
    let ratio = move || {
        geometry.with(|geometry| {
            let geometry = geometry.as_ref()?;
            let ([width, height], mm) = (plane.size(geometry.size), geometry.spacing_mm());
            let [across, down, _] = plane.axes();
            Some((width as f64 * mm[across] / (height as f64 * mm[down])).clamp(0.1, 10.0).to_string())
        })
    };
    let name = move || match plane {
        Plane::Axial => t!("mri.axial"),
        Plane::Coronal => t!("mri.coronal"),
        Plane::Sagittal => t!("mri.sagittal"),
    };
    let place = move || t!("mri.slice_of", n = slice.get() + 1, of = n_slices());

    // Where a pointer is, as shares of the picture's sides.
    let share = move |event: &PointerEvent| -> Option<[f64; 2]> {
        let bounds = frame.get_untracked()?.get_bounding_client_rect();
        let at = [f64::from(event.client_x()) - bounds.left(), f64::from(event.client_y()) - bounds.top()];
        Some([at[0] / bounds.width().max(1.0), at[1] / bounds.height().max(1.0)])
    };
    let drag = StoredValue::new(None::<Drag>);
    let follow = move |event: &PointerEvent| {
        let Some([x, y]) = share(event) else { return };
        match drag.get_value() {
            None => {}
            Some(Drag::Cross) => {
                let [width, height] = plane.size(size());
                let pixel = [(x, width), (y, height)]
                    .map(|(share, side)| ((share * side as f64) as usize).min(side.saturating_sub(1)));
                let voxel = plane.voxel(pixel, slice.get_untracked(), size());
                screen.cross.set(voxel);
            }
            Some(Drag::Window { from, at }) => {
                let span = session.with_untracked(|session| {
                    let scan = session.scan.as_ref()?;
                    let image = scan.images[screen.shown.get_untracked().index()].as_ref()?;
                    Some(image.window[1] - image.window[0])
                });
                if let Some(span) = span {
                    screen.window.set(from.dragged([x - at[0], y - at[1]], span));
                }
            }
        }
    };
    let down = move |event: PointerEvent| {
        let Some(at) = share(&event) else { return };
        event.prevent_default();
        if let Some(frame) = frame.get_untracked() {
            // Without capture the drag ends at the picture's edge, which is no failure.
            let _ = frame.set_pointer_capture(event.pointer_id());
            let _ = frame.focus();
        }
        let is_window = event.button() == 2 || event.shift_key();
        let from = screen.window.get_untracked();
        drag.set_value(Some(if is_window { Drag::Window { from, at } } else { Drag::Cross }));
        follow(&event);
    };
    let turned = StoredValue::new(0.0_f64);
    let wheel = move |event: WheelEvent| {
        event.prevent_default();
        // Lines and pages in pixels.
        let unit = [1.0, 33.0, 400.0].get(event.delta_mode() as usize).copied().unwrap_or(1.0);
        let sum = turned.get_value() - event.delta_y() * unit;
        let steps = (sum / WHEEL_STEP).trunc();
        turned.set_value(sum - steps * WHEEL_STEP);
        screen.step(plane, steps as i64, size());
    };
    let key = move |event: KeyboardEvent| {
        let steps = match event.key().as_str() {
            "ArrowUp" | "ArrowRight" => 1,
            "ArrowDown" | "ArrowLeft" => -1,
            "PageUp" => PAGE,
            "PageDown" => -PAGE,
            "Home" => i64::MIN / 2,
            "End" => i64::MAX / 2,
            _ => return,
        };
        event.prevent_default();
        screen.step(plane, steps, size());
    };
    let [left, right, top, bottom] = plane.letters();
    view! {
        <figure class=format!("mri-plane mri-{}", plane.name())>
            <div
                class="mri-frame"
                node_ref=frame
                style=("--ratio", ratio)
                data-testid=format!("plane-{}", plane.name())
                data-slice=move || slice.get().to_string()
                tabindex="0"
                role="slider"
                aria-orientation="vertical"
                aria-label=move || t!("mri.slices_of", plane = name())
                aria-valuemin="1"
                aria-valuemax=move || n_slices().to_string()
                aria-valuenow=move || (slice.get() + 1).to_string()
                aria-valuetext=place
                on:pointerdown=down
                on:pointermove=move |event| follow(&event)
                on:pointerup=move |_| drag.set_value(None)
                on:pointercancel=move |_| drag.set_value(None)
                on:contextmenu=|event| event.prevent_default()
                on:wheel=wheel
                on:keydown=key
            >
                <canvas class="mri-picture" data-testid=format!("picture-{}", plane.name()) node_ref=picture></canvas>
                <canvas class="mri-lines" node_ref=lines></canvas>
            </div>
            <span class="mri-letter mri-left" aria-hidden="true">{left}</span>
            <span class="mri-letter mri-right" aria-hidden="true">{right}</span>
            <span class="mri-letter mri-top" aria-hidden="true">{top}</span>
            <span class="mri-letter mri-bottom" aria-hidden="true">{bottom}</span>
            <figcaption>
                <span>{name}</span>
                " "
                <span>{place}</span>
            </figcaption>
        </figure>
    }
}
