//! Predicted probability against what was observed.

use shared::metric::Reliability;

use super::COLOURS;
use super::svg::{Anchor, Axis, FAINT, Fill, GREY, INK, Svg};

const SIDE: f64 = 340.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 44.0;

/// A diagram of bins, each a dot as large as its share of the items, and the diagonal of perfect calibration.
pub fn reliability(title: &str, reliability: &Reliability) -> String {
    let mut svg = Svg::new(LEFT + SIDE + 30.0, TOP + SIDE + 74.0, title);
    svg.text((16.0, 26.0), 14.0, Anchor::Start, INK, title);
    // Rare findings have small probabilities: both axes reach as far as the dots.
    let ends = reliability.bins.iter().flat_map(|bin| [bin.mean_prediction, bin.observed]);
    let end = (1.15 * ends.fold(0.0, f64::max)).clamp(0.05, 1.0);
    let (x, y) = (Axis::exact(0.0, end, LEFT, LEFT + SIDE), Axis::exact(0.0, end, TOP + SIDE, TOP));
    for (value, name) in x.ticks(5) {
        svg.line((x.at(value), TOP), (x.at(value), TOP + SIDE), FAINT, 0.6, "");
        svg.line((LEFT, y.at(value)), (LEFT + SIDE, y.at(value)), FAINT, 0.6, "");
        svg.text((x.at(value), TOP + SIDE + 16.0), 11.0, Anchor::Middle, GREY, &name);
        svg.text((LEFT - 6.0, y.at(value) + 4.0), 11.0, Anchor::End, GREY, &name);
    }
    svg.line((x.at(0.0), y.at(0.0)), (x.at(end), y.at(end)), GREY, 1.0, "5 4");
    let n: usize = reliability.bins.iter().map(|bin| bin.n).sum();
    let points: Vec<(f64, f64)> =
        reliability.bins.iter().map(|bin| (x.at(bin.mean_prediction), y.at(bin.observed))).collect();
    svg.polyline(&points, COLOURS[0]);
    for (bin, at) in reliability.bins.iter().zip(points) {
        svg.dot(at, 3.0 + 6.0 * (bin.n as f64 / n.max(1) as f64).sqrt(), COLOURS[0], Fill::Solid);
    }
    svg.text((LEFT + SIDE / 2.0, TOP + SIDE + 36.0), 12.0, Anchor::Middle, GREY, "predicted probability");
    svg.text((LEFT + 6.0, TOP + 14.0), 12.0, Anchor::Start, GREY, "observed share");
    let caption = format!(
        "expected calibration error {:.3}, Brier score {:.3}, n = {n}",
        reliability.expected_calibration_error, reliability.brier
    );
    svg.text((16.0, TOP + SIDE + 58.0), 12.0, Anchor::Start, INK, &caption);
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_for_each_bin() {
        let found = Reliability::new(&[0.1, 0.2, 0.8, 0.9], &[false, false, true, true], 2).unwrap();
        let text = reliability("Test", &found);
        let document = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(document.descendants().filter(|node| node.has_tag_name("circle")).count(), 2);
        assert!(text.contains("n = 4"));
    }
}
