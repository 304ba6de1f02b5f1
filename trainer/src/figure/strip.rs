//! Every single value of several groups, with the mean and its interval.

use super::COLOURS;
use super::svg::{Anchor, Axis, FAINT, Fill, GREY, INK, Svg};

/// The values of a group.
pub struct StripRow<'a> {
    /// Its name.
    pub label: &'a str,
    /// The values, in `0..=1`.
    pub values: &'a [f64],
    /// Mean, and both ends of its interval.
    pub mean: Option<[f64; 3]>,
}

const LEFT: f64 = 190.0;
const AXIS: f64 = 380.0;
const RIGHT: f64 = 160.0;
const ROW: f64 = 38.0;
const TOP: f64 = 46.0;
/// How far dots keep from the middle of their row.
const SPREAD: f64 = 9.0;

/// A row of dots for each group; below the dots a bar for the interval, with a dot for the mean.
pub fn strip(title: &str, axis: &str, rows: &[StripRow<'_>]) -> String {
    let bottom = TOP + ROW * rows.len() as f64;
    let mut svg = Svg::new(LEFT + AXIS + RIGHT, bottom + 44.0, title);
    svg.text((16.0, 24.0), 15.0, Anchor::Start, INK, title);
    let x = Axis::exact(0.0, 1.0, LEFT, LEFT + AXIS);
    for (value, name) in x.ticks(5) {
        svg.line((x.at(value), TOP - 6.0), (x.at(value), bottom), FAINT, 0.6, "");
        svg.text((x.at(value), bottom + 16.0), 11.0, Anchor::Middle, GREY, &name);
    }
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + ROW * i as f64;
        svg.text((LEFT - 14.0, y + 18.0), 12.0, Anchor::End, INK, row.label);
        for (k, value) in row.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            // Equal values lie side by side: multiples of the golden section spread evenly.
            let aside = (k as f64 * 0.618_034).fract() * 2.0 - 1.0;
            svg.dot((x.at(*value), y + 12.0 + SPREAD * aside), 2.6, COLOURS[4], Fill::Hollow);
        }
        if let Some([mean, lo, hi]) = row.mean {
            svg.line((x.at(lo), y + 28.0), (x.at(hi), y + 28.0), COLOURS[0], 2.2, "");
            svg.dot((x.at(mean), y + 28.0), 3.6, COLOURS[0], Fill::Solid);
            let words = format!("{mean:.3} ({lo:.3} to {hi:.3})");
            svg.text((LEFT + AXIS + 12.0, y + 18.0), 12.0, Anchor::Start, INK, &words);
        }
    }
    svg.text((x.at(0.5), bottom + 34.0), 12.0, Anchor::Middle, GREY, axis);
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_dot() {
        let rows = [
            StripRow { label: "a < b", values: &[0.0, 0.5, 0.5, f64::NAN], mean: Some([0.33, 0.1, 0.6]) },
            StripRow { label: "none", values: &[], mean: None },
        ];
        let text = strip("Title", "Dice", &rows);
        let document = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(document.descendants().filter(|node| node.has_tag_name("circle")).count(), 4);
        assert!(text.contains("0.330 (0.100 to 0.600)") && !text.contains("NaN"));
    }
}
