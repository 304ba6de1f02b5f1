//! Curves over epochs.

use super::COLOURS;
use super::svg::{Anchor, Axis, FAINT, Fill, GREY, INK, Svg};

/// One curve.
pub struct Line<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Epoch and value; what is not finite is left out.
    pub points: Vec<(f64, f64)>,
}

/// Curves with one axis.
pub struct Panel<'a> {
    /// What is on the axis.
    pub title: &'a str,
    /// The curves.
    pub lines: Vec<Line<'a>>,
    /// A dashed line across, with its name.
    pub mark: Option<(f64, &'a str)>,
}

const WIDTH: f64 = 760.0;
const PANEL: f64 = 210.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 180.0;
const TOP: f64 = 40.0;

/// Panels one below the other over the same epochs.
pub fn curves(title: &str, panels: &[Panel<'_>]) -> String {
    let mut svg = Svg::new(WIDTH, TOP + PANEL * panels.len() as f64 + 30.0, title);
    svg.text((LEFT, 24.0), 15.0, Anchor::Start, INK, title);
    let epochs = panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| line.points.iter().map(|p| p.0));
    let last = epochs.filter(|x| x.is_finite()).fold(1.0, f64::max);
    let x = Axis::exact(0.0, last, LEFT, WIDTH - RIGHT);
    for (i, panel) in panels.iter().enumerate() {
        let (top, bottom) = (TOP + PANEL * i as f64 + 24.0, TOP + PANEL * (i + 1) as f64 - 20.0);
        let values = panel.lines.iter().flat_map(|line| line.points.iter().map(|p| p.1));
        let y = Axis::around(values.chain(panel.mark.map(|mark| mark.0)), bottom, top);
        svg.text((LEFT, top - 8.0), 12.0, Anchor::Start, GREY, panel.title);
        for (value, name) in y.ticks(4) {
            svg.line((LEFT, y.at(value)), (WIDTH - RIGHT, y.at(value)), FAINT, 0.6, "");
            svg.text((LEFT - 6.0, y.at(value) + 4.0), 11.0, Anchor::End, GREY, &name);
        }
        for (epoch, _) in x.ticks(6).into_iter().filter(|(epoch, _)| epoch.fract() == 0.0) {
            svg.text((x.at(epoch), bottom + 14.0), 11.0, Anchor::Middle, GREY, &format!("{epoch}"));
        }
        if let Some((value, name)) = panel.mark {
            svg.line((LEFT, y.at(value)), (WIDTH - RIGHT, y.at(value)), GREY, 1.2, "5 4");
            svg.text((WIDTH - RIGHT + 8.0, y.at(value) + 4.0), 11.0, Anchor::Start, GREY, name);
        }
        let mut row = top + 12.0;
        for (k, line) in panel.lines.iter().enumerate() {
            let colour = COLOURS[k % COLOURS.len()];
            let finite = line.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
            let points: Vec<(f64, f64)> = finite.map(|(epoch, value)| (x.at(*epoch), y.at(*value))).collect();
            match points.as_slice() {
                // A line of one point cannot be seen.
                [point] => svg.dot(*point, 2.5, colour, Fill::Solid),
                points => svg.polyline(points, colour),
            }
            // The legend keeps clear of the mark's name.
            if panel.mark.is_some_and(|(value, _)| (y.at(value) - row).abs() < 14.0) {
                row += 18.0;
            }
            svg.line((WIDTH - RIGHT + 8.0, row - 4.0), (WIDTH - RIGHT + 26.0, row - 4.0), colour, 2.0, "");
            svg.text((WIDTH - RIGHT + 32.0, row), 11.0, Anchor::Start, INK, line.name);
            row += 16.0;
        }
    }
    svg.text((x.at(last / 2.0), TOP + PANEL * panels.len() as f64 + 18.0), 12.0, Anchor::Middle, GREY, "epoch");
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_drawn_and_what_is_not_finite_is_not() {
        let line = |name| Line { name, points: vec![(1.0, 0.5), (2.0, f64::NAN), (3.0, 0.7)] };
        let panel =
            Panel { title: "L_ll <nats>", lines: vec![line("a"), line("b & c")], mark: Some((1.386, "chance")) };
        let empty = Panel { title: "nothing", lines: Vec::new(), mark: None };
        let text = curves("Loss & area", &[panel, empty]);
        let document = roxmltree::Document::parse(&text).unwrap();
        let lines: Vec<_> = document.descendants().filter(|node| node.has_tag_name("polyline")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].attribute("points").unwrap().split(' ').count(), 2);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn no_two_names_of_a_legend_are_at_one_place() {
        let line = |name| Line { name, points: vec![(1.0, 0.5), (2.0, 1.386)] };
        let lines = ["a", "b", "c", "d"].map(line).into();
        let text = curves("Loss", &[Panel { title: "nats", lines, mark: Some((1.386, "knows nothing")) }]);
        let document = roxmltree::Document::parse(&text).unwrap();
        let names = document.descendants().filter(|node| node.has_tag_name("text"));
        let names = names.filter(|node| node.attribute("x").unwrap().parse::<f64>().unwrap() > WIDTH - RIGHT);
        let mut rows: Vec<f64> = names.map(|node| node.attribute("y").unwrap().parse().unwrap()).collect();
        rows.sort_by(f64::total_cmp);
        assert_eq!(rows.len(), 5);
        assert!(rows.windows(2).all(|pair| pair[1] - pair[0] > 10.0), "{rows:?}");
    }
}
