//! The curves as lines on a plane: what is drawn, before it is drawn.

use std::collections::BTreeMap;

use super::protocol::Point;
use super::session::Session;
use super::setting::Setting;

/// One of the charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart {
    /// How well the models answer about x-rays that were never trained with.
    Score,
    /// Cross-entropy of the findings in training.
    Loss,
    /// The bound on the mutual information.
    Bound,
}

/// What a line is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// The joint model, with image and report.
    Joint,
    /// The joint model, its report dropped.
    JointDropped,
    /// The image-only twin.
    Twin,
    /// CMIM, its report dropped.
    Cmim,
    /// CMIM, with image and report.
    CmimBoth,
    /// The bound on training pairs.
    BoundTrained,
    /// The bound on pairs that were never trained with.
    BoundOthers,
}

impl Chart {
    /// The lines of a chart, in the order of its key.
    pub fn lines(self) -> &'static [Line] {
        match self {
            Self::Score => &[Line::Joint, Line::CmimBoth, Line::Cmim, Line::Twin, Line::JointDropped],
            Self::Loss => &[Line::Joint, Line::Cmim, Line::Twin],
            Self::Bound => &[Line::BoundTrained, Line::BoundOthers],
        }
    }

    /// What was measured for a line.
    pub fn value(self, line: Line, point: &Point) -> Option<f64> {
        let (scores, losses) = (&point.scores, point.losses.as_ref());
        match (self, line) {
            (Self::Score, Line::Joint) => Some(scores.joint),
            (Self::Score, Line::JointDropped) => Some(scores.joint_dropped),
            (Self::Score, Line::Twin) => Some(scores.twin),
            (Self::Score, Line::Cmim) => Some(scores.cmim),
            (Self::Score, Line::CmimBoth) => Some(scores.cmim_both),
            (Self::Loss, Line::Joint) => losses.map(|losses| losses.joint),
            (Self::Loss, Line::Twin) => losses.map(|losses| losses.twin),
            (Self::Loss, Line::Cmim) => losses.map(|losses| losses.cmim),
            (Self::Bound, Line::BoundTrained) => point.bound_trained,
            (Self::Bound, Line::BoundOthers) => point.bound,
            _ => None,
        }
    }

    /// The least span of its axis; it grows where values lie beyond.
    fn least_span(self) -> [f64; 2] {
        match self {
            Self::Score => [0.45, 1.0],
            Self::Loss | Self::Bound => [0.0, 0.1],
        }
    }
}

impl Line {
    /// Its name in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Joint => "joint",
            Self::JointDropped => "joint-dropped",
            Self::Twin => "twin",
            Self::Cmim => "cmim",
            Self::CmimBoth => "cmim-both",
            Self::BoundTrained => "bound-trained",
            Self::BoundOthers => "bound-others",
        }
    }
}

/// Values by step.
type Trace = Vec<(usize, f64)>;

/// A chart ready to be drawn: the origin is the lower left corner of the plane, x from 0 to [`WIDTH`], y from 0 to
/// [`HEIGHT`] downwards, as in SVG.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawing {
    /// Of each line its mean over the seeds, as the data of a path.
    pub means: Vec<(Line, String)>,
    /// Of each line and seed its own path.
    pub seeds: Vec<(Line, String)>,
    /// Marks of the axis of values: where, and the number.
    pub marks: Vec<(f64, String)>,
    /// The last step of the axis of steps.
    pub last_step: usize,
}

/// Width of the plane.
pub const WIDTH: f64 = 300.0;
/// Height of the plane.
pub const HEIGHT: f64 = 150.0;

impl Drawing {
    /// Lays a chart out.
    pub fn new(chart: Chart, session: &Session) -> Self {
        let last_step = session.trained.map_or(1, Setting::steps);
        let traces: Vec<(Line, Vec<Trace>)> = chart
            .lines()
            .iter()
            .map(|&line| {
                let trace = |points: &Vec<Point>| -> Trace {
                    points.iter().filter_map(|point| Some((point.step, chart.value(line, point)?))).collect()
                };
                (line, session.runs.values().map(|run| trace(&run.points)).collect())
            })
            .collect();
        let values = traces.iter().flat_map(|(_, seeds)| seeds.iter().flatten().map(|(_, value)| *value));
        let [lo, hi] = values.fold(chart.least_span(), |[lo, hi], value| [lo.min(value), hi.max(value)]);
        let step = nice_step((hi - lo) / 4.0);
        let (lo, hi) = ((lo / step).floor() * step, (hi / step).ceil() * step);
        let x = |at: usize| WIDTH * at as f64 / last_step.max(1) as f64;
        let y = |value: f64| HEIGHT * (hi - value) / (hi - lo);
        let path = |trace: &[(usize, f64)]| {
            let point = |(i, &(at, value)): (usize, &(usize, f64))| {
                format!("{}{:.1} {:.1}", if i == 0 { "M" } else { "L" }, x(at), y(value))
            };
            trace.iter().enumerate().map(point).collect::<String>()
        };
        let n_marks = ((hi - lo) / step).round() as usize;
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let mark = |i: usize| {
            let value = lo + step * i as f64;
            (y(value), format!("{value:.decimals$}"))
        };
        let seeds = traces.iter().flat_map(|(line, seeds)| {
            seeds.iter().filter(|trace| trace.len() > 1).map(move |trace| (*line, path(trace)))
        });
        Self {
            means: traces.iter().map(|(line, seeds)| (*line, path(&mean(seeds)))).collect(),
            seeds: seeds.collect(),
            marks: (0..=n_marks).map(mark).collect(),
            last_step,
        }
    }
}

/// At every step the mean of the seeds that have reached it.
fn mean(seeds: &[Trace]) -> Trace {
    let mut sums: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for &(step, value) in seeds.iter().flatten() {
        let sum = sums.entry(step).or_default();
        *sum = (sum.0 + value, sum.1 + 1);
    }
    sums.into_iter().map(|(step, (sum, n))| (step, sum / n as f64)).collect()
}

/// 1, 2 or 5 times a power of ten, not below a length.
fn nice_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= least).unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Response, Scores};
    use super::*;

    fn session() -> Session {
        let mut session = Session { chosen: Setting::default().with_seeds(2).with_steps(10), ..Session::default() };
        session.begin();
        session.started();
        for (seed, shift) in [(1, 0.0), (2, 0.1)] {
            session.take_seed();
            for (step, cmim) in [(0, 0.5), (5, 0.6), (10, 0.8)] {
                let scores = Scores { joint: 0.9, joint_dropped: 0.3, twin: 0.6, cmim_both: 0.8, cmim: cmim + shift };
                let (bound_trained, bound) = (None, Some(-0.1 + step as f64));
                let point = Point { step, losses: None, bound_trained, bound, scores };
                // The second seed is not that far yet.
                if seed == 1 || step < 10 {
                    session.receive(Response::Reached { seed, point });
                }
            }
        }
        session
    }

    #[test]
    fn the_mean_is_of_the_seeds_that_are_as_far() {
        let drawing = Drawing::new(Chart::Score, &session());
        // 0.3 lies below the least span, so the axis begins at 0.2 and ends at 1.
        let marks: Vec<&str> = drawing.marks.iter().map(|(_, mark)| mark.as_str()).collect();
        assert_eq!(marks, ["0.2", "0.4", "0.6", "0.8", "1.0"]);
        let (_, path) = drawing.means.iter().find(|(line, _)| *line == Line::Cmim).expect("drawn");
        // 0.55 at step 0, 0.65 at step 5 of 10, and 0.8 at the end, where one seed is alone.
        assert_eq!(path, "M0.0 84.4L150.0 65.6L300.0 37.5");
        assert_eq!(drawing.seeds.iter().filter(|(line, _)| *line == Line::Cmim).count(), 2);
        assert_eq!((drawing.marks[0].0, drawing.marks[4].0, drawing.last_step), (HEIGHT, 0.0, 10));
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let drawing = Drawing::new(Chart::Loss, &session());
        assert!(drawing.seeds.is_empty() && drawing.means.iter().all(|(_, path)| path.is_empty()));
        let drawing = Drawing::new(Chart::Bound, &session());
        assert!(drawing.seeds.iter().all(|(line, _)| *line == Line::BoundOthers));
    }

    #[test]
    fn marks_are_round() {
        for (least, step) in [(0.13, 0.2), (0.05, 0.05), (0.21, 0.5), (3.0, 5.0), (0.9, 1.0)] {
            assert!((nice_step(least) - step).abs() < 1e-12, "{least}: {}", nice_step(least));
        }
    }
}
