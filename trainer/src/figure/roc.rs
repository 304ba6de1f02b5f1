//! ROC curves, one small figure for each finding.

use super::COLOURS;
use super::svg::{Anchor, Axis, FAINT, Fill, GREY, INK, Svg};

/// A ROC curve.
pub struct Roc<'a> {
    /// Whose it is.
    pub name: &'a str,
    /// Share of the controls and share of the cases that are called present, from `(0, 0)` to `(1, 1)`.
    pub points: &'a [(f64, f64)],
    /// Where the model's threshold lies.
    pub mark: Option<(f64, f64)>,
    /// What is written below the curve, line by line.
    pub notes: &'a [String],
}

const SIDE: f64 = 190.0;
const LEFT: f64 = 38.0;
const TOP: f64 = 44.0;
/// Points nearer to each other cannot be told apart.
const NEAR: f64 = 0.4;

/// A curve with the diagonal of guessing.
pub fn roc(curve: &Roc<'_>) -> String {
    let mut svg = Svg::new(LEFT + SIDE + 12.0, TOP + SIDE + 40.0, &format!("ROC curve, {}", curve.name));
    let (x, y) = (Axis::exact(0.0, 1.0, LEFT, LEFT + SIDE), Axis::exact(0.0, 1.0, TOP + SIDE, TOP));
    svg.text((6.0, 18.0), 14.0, Anchor::Start, INK, curve.name);
    for (value, name) in x.ticks(2) {
        svg.line((x.at(value), TOP), (x.at(value), TOP + SIDE), FAINT, 0.6, "");
        svg.line((LEFT, y.at(value)), (LEFT + SIDE, y.at(value)), FAINT, 0.6, "");
        let anchor = if value < 1.0 { Anchor::Middle } else { Anchor::End };
        svg.text((x.at(value), TOP + SIDE + 15.0), 11.0, anchor, GREY, &name);
        svg.text((LEFT - 5.0, y.at(value) + 4.0), 11.0, Anchor::End, GREY, &name);
    }
    svg.text((x.at(0.5), TOP + SIDE + 32.0), 11.0, Anchor::Middle, GREY, "1 - specificity");
    svg.text((6.0, TOP - 9.0), 11.0, Anchor::Start, GREY, "sensitivity");
    svg.line((x.at(0.0), y.at(0.0)), (x.at(1.0), y.at(1.0)), GREY, 1.0, "5 4");
    let mut points: Vec<(f64, f64)> = curve.points.iter().map(|point| (x.at(point.0), y.at(point.1))).collect();
    let end = points.pop();
    points.dedup_by(|next, kept| (next.0 - kept.0).abs() < NEAR && (next.1 - kept.1).abs() < NEAR);
    points.extend(end);
    svg.polyline(&points, COLOURS[0]);
    if let Some((false_alarms, hits)) = curve.mark {
        svg.dot((x.at(false_alarms), y.at(hits)), 4.5, COLOURS[1], Fill::Solid);
    }
    for (row, note) in (1..).zip(curve.notes.iter().rev()) {
        svg.text((LEFT + SIDE - 6.0, TOP + SIDE + 6.0 - 15.0 * f64::from(row)), 11.5, Anchor::End, INK, note);
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_begins_and_ends_in_its_corners() {
        let points: Vec<(f64, f64)> = (0..=10_000).map(|i| f64::from(i) / 10_000.0).map(|x| (x, x.sqrt())).collect();
        let notes = ["AUC 0.667".to_owned(), "n < 3".to_owned()];
        let text = roc(&Roc { name: "A & B", points: &points, mark: Some((0.25, 0.5)), notes: &notes });
        let document = roxmltree::Document::parse(&text).unwrap();
        let line = document.descendants().find(|node| node.has_tag_name("polyline")).unwrap();
        let drawn: Vec<&str> = line.attribute("points").unwrap().split(' ').collect();
        assert_eq!((drawn[0], drawn[drawn.len() - 1]), ("38.0,234.0", "228.0,44.0"));
        assert!(drawn.len() < 800, "{} points", drawn.len());
        assert_eq!(document.descendants().filter(|node| node.has_tag_name("circle")).count(), 1);
        assert!(text.contains("n &lt; 3"));
    }
}
