//! What every figure is made of.

use std::fmt::Write as _;

/// An SVG document being written.
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
    title: String,
}

/// Where a text is held.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Inside of a dot.
#[derive(Clone, Copy)]
pub(super) enum Fill {
    Solid,
    Hollow,
}

/// Colour of text and of lines that guide the eye.
pub(super) const INK: &str = "#222222";
pub(super) const FAINT: &str = "#d0d0d0";
pub(super) const GREY: &str = "#666666";
/// Colour of what is behind.
const PAPER: &str = "#ffffff";

impl Svg {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        Self { body: String::new(), width, height, title: title.to_owned() }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64, dash: &str) {
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
        let _ = writeln!(
            self.body,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"{dash}/>",
            from.0, from.1, to.0, to.1
        );
    }

    pub(super) fn polyline(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>",
            points.join(" ")
        );
    }

    pub(super) fn dot(&mut self, at: (f64, f64), radius: f64, colour: &str, fill: Fill) {
        let fill = match fill {
            Fill::Solid => colour,
            Fill::Hollow => PAPER,
        };
        let _ = writeln!(
            self.body,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            at.0, at.1
        );
    }

    pub(super) fn rectangle(&mut self, corner: (f64, f64), size: (f64, f64), colour: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            corner.0, corner.1, size.0, size.1
        );
    }

    pub(super) fn text(&mut self, at: (f64, f64), size: f64, anchor: Anchor, colour: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{}</text>",
            at.0,
            at.1,
            escape(text)
        );
    }

    pub(super) fn finish(self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" \
             fill=\"{PAPER}\"/>\n{}</svg>\n",
            escape(&self.title),
            self.body,
            w = self.width,
            h = self.height,
        )
    }
}

/// Style rules by which a figure within a page takes the page's colours: of text, of what guides the eye, and none of its
/// own behind it.
pub fn page_style(ink: &str, grey: &str, faint: &str) -> String {
    let rule = |colour: &str, by: &str| {
        format!("svg [fill=\"{colour}\"] {{ fill: {by}; }}\nsvg [stroke=\"{colour}\"] {{ stroke: {by}; }}\n")
    };
    [(INK, ink), (GREY, grey), (FAINT, faint), (PAPER, "transparent")].map(|(from, to)| rule(from, to)).concat()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A range of values laid on a range of the picture.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    lo: f64,
    hi: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Over all finite values, with a little room at both ends.
    pub(super) fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (lo, hi) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), value| (lo.min(value), hi.max(value)));
        let (lo, hi) = if lo <= hi { (lo, hi) } else { (0.0, 1.0) };
        let room = if hi > lo { 0.06 * (hi - lo) } else { 0.5 };
        Self { lo: lo - room, hi: hi + room, from, to }
    }

    /// Exactly these values.
    pub(super) fn exact(lo: f64, hi: f64, from: f64, to: f64) -> Self {
        Self { lo, hi, from, to }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        self.from + (value - self.lo) / (self.hi - self.lo) * (self.to - self.from)
    }

    /// About `n` round numbers within the range, with as many decimals as their step needs.
    pub(super) fn ticks(&self, n: usize) -> Vec<(f64, String)> {
        let rough = (self.hi - self.lo) / n as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(rough);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.lo / step).ceil() as i64;
        let last = (self.hi / step).floor() as i64;
        (first..=last).map(|k| k as f64 * step).map(|value| (value, format!("{value:.decimals$}"))).collect()
    }
}
