//! Values of several methods with their intervals on one axis.

use super::COLOURS;
use super::svg::{Anchor, Axis, FAINT, Fill, GREY, INK, Svg};

/// A method's value.
pub struct ForestRow<'a> {
    /// Its name.
    pub label: &'a str,
    /// The value.
    pub value: f64,
    /// Its interval, where there is one.
    pub interval: Option<(f64, f64)>,
    /// A value published elsewhere, drawn hollow.
    pub published: Option<f64>,
}

/// Least room for the names, width of a letter, width of the axis, and room for the numbers.
const LEFT: f64 = 320.0;
const LETTER: f64 = 6.6;
const AXIS: f64 = 390.0;
const RIGHT: f64 = 190.0;
const ROW: f64 = 28.0;
const TOP: f64 = 54.0;

/// Rows with point and interval; a vertical line at `reference`.
pub fn forest(title: &str, axis: &str, rows: &[ForestRow<'_>], reference: Option<f64>) -> String {
    let longest = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
    let left = LEFT.max(LETTER * longest as f64 + 28.0);
    let (right, width) = (left + AXIS, left + AXIS + RIGHT);
    let bottom = TOP + ROW * rows.len() as f64;
    let mut svg = Svg::new(width, bottom + 62.0, title);
    svg.text((16.0, 26.0), 15.0, Anchor::Start, INK, title);
    let ends = rows.iter().flat_map(|row| {
        let (lo, hi) = row.interval.unwrap_or((row.value, row.value));
        [Some(row.value), Some(lo), Some(hi), row.published]
    });
    let x = Axis::around(ends.flatten().chain(reference), left, right);
    for (value, name) in x.ticks(6) {
        svg.line((x.at(value), TOP - 8.0), (x.at(value), bottom), FAINT, 0.6, "");
        svg.text((x.at(value), bottom + 16.0), 11.0, Anchor::Middle, GREY, &name);
    }
    if let Some(reference) = reference {
        svg.line((x.at(reference), TOP - 8.0), (x.at(reference), bottom), GREY, 1.2, "5 4");
    }
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        svg.text((left - 12.0, y + 4.0), 12.0, Anchor::End, INK, row.label);
        if let Some(published) = row.published.filter(|value| value.is_finite()) {
            svg.dot((x.at(published), y), 4.5, COLOURS[1], Fill::Hollow);
        }
        if !row.value.is_finite() {
            continue;
        }
        let words = match row.interval {
            Some((lo, hi)) => {
                svg.line((x.at(lo), y), (x.at(hi), y), COLOURS[0], 2.2, "");
                format!("{:.3} ({lo:.3} to {hi:.3})", row.value)
            }
            None => format!("{:.3}", row.value),
        };
        svg.dot((x.at(row.value), y), 4.5, COLOURS[0], Fill::Solid);
        svg.text((right + 14.0, y + 4.0), 12.0, Anchor::Start, INK, &words);
    }
    svg.text((f64::midpoint(left, right), bottom + 36.0), 12.0, Anchor::Middle, GREY, axis);
    if rows.iter().any(|row| row.published.is_some()) {
        let note = "hollow: the paper, on its own data";
        svg.text((width - 16.0, bottom + 54.0), 11.0, Anchor::End, COLOURS[1], note);
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_marks() {
        let rows = [
            ForestRow { label: "A & B", value: 0.8, interval: Some((0.78, 0.82)), published: Some(0.793) },
            ForestRow { label: "C", value: f64::NAN, interval: None, published: None },
            ForestRow { label: "D", value: 0.7, interval: None, published: None },
        ];
        let text = forest("Title", "AUC", &rows, Some(0.75));
        let document = roxmltree::Document::parse(&text).unwrap();
        let n = |tag: &str| document.descendants().filter(|node| node.has_tag_name(tag)).count();
        assert_eq!(n("circle"), 3);
        assert!(text.contains("0.800 (0.780 to 0.820)") && !text.contains("NaN"), "{text}");
        assert!(roxmltree::Document::parse(&forest("none", "x", &[], None)).is_ok());
    }
}
