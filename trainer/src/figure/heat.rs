//! A table whose cells are coloured by their values.

use super::svg::{Anchor, GREY, INK, Svg};

/// A value of the table, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct HeatCell(pub f64);

const LEFT: f64 = 200.0;
const TOP: f64 = 84.0;
const CELL: (f64, f64) = (150.0, 26.0);

/// Rows and columns with their names; a cell that is missing stays empty.
pub fn heat_map(title: &str, rows: &[String], columns: &[&str], cells: &[Vec<Option<HeatCell>>]) -> String {
    let width = LEFT + CELL.0 * columns.len() as f64 + 20.0;
    let mut svg = Svg::new(width.max(480.0), TOP + CELL.1 * rows.len() as f64 + 20.0, title);
    svg.text((16.0, 26.0), 15.0, Anchor::Start, INK, title);
    let middle = |column: usize| LEFT + CELL.0 * (column as f64 + 0.5);
    for (column, name) in columns.iter().enumerate() {
        // Long names take two lines.
        let (first, second) = name.split_once(", ").unwrap_or((name, ""));
        svg.text((middle(column), TOP - 26.0), 11.0, Anchor::Middle, GREY, first);
        svg.text((middle(column), TOP - 12.0), 11.0, Anchor::Middle, GREY, second);
    }
    for (i, (name, of_row)) in rows.iter().zip(cells).enumerate() {
        let y = TOP + CELL.1 * i as f64;
        svg.text((LEFT - 12.0, y + 17.0), 12.0, Anchor::End, INK, name);
        for (column, cell) in of_row.iter().enumerate() {
            let Some(HeatCell(value)) = cell.filter(|HeatCell(value)| value.is_finite()) else { continue };
            let corner = (LEFT + CELL.0 * column as f64, y);
            svg.rectangle(corner, (CELL.0 - 2.0, CELL.1 - 2.0), &colour(value));
            let ink = if value > 0.55 { "#ffffff" } else { INK };
            svg.text((middle(column) - 1.0, y + 16.0), 12.0, Anchor::Middle, ink, &format!("{value:.3}"));
        }
    }
    svg.finish()
}

/// From white at 0 to a dark blue at 1: one hue, so that eyes blind to some colours see it too.
fn colour(value: f64) -> String {
    let mix = |from: f64, to: f64| (from + (to - from) * value.clamp(0.0, 1.0)).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(247.0, 8.0), mix(251.0, 48.0), mix(255.0, 107.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_cell() {
        let rows = ["FLAIR".to_owned(), "T1 & T2".to_owned()];
        let cells = [vec![Some(HeatCell(0.25)), None], vec![Some(HeatCell(0.9)), Some(HeatCell(f64::NAN))]];
        let text = heat_map("Title", &rows, &["A, b", "C"], &cells);
        let document = roxmltree::Document::parse(&text).unwrap();
        // The background is a rectangle, too.
        assert_eq!(document.descendants().filter(|node| node.has_tag_name("rect")).count(), 3);
        assert!(text.contains("0.250") && text.contains("0.900") && !text.contains("NaN"));
    }
}
