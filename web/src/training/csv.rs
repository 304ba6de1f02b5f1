//! The curves as a table for a spreadsheet.

use std::fmt::Write as _;

use super::session::Session;

/// All that was measured, one line for each seed and step; empty fields were not measured.
pub fn csv(session: &Session) -> String {
    let mut text = String::from(
        "seed,step,lambda,labelled_percent,loss_joint,loss_twin,loss_cmim,mi_bound_trained_nats,mi_bound_nats,auc_joint,\
         auc_joint_report_dropped,auc_twin,auc_cmim_with_report,auc_cmim\n",
    );
    let Some(setting) = session.trained else { return text };
    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.6}"));
    for (seed, run) in &session.runs {
        for point in &run.points {
            let losses = point.losses;
            let losses = [losses.map(|l| l.joint), losses.map(|l| l.twin), losses.map(|l| l.cmim)];
            let scores = point.scores;
            let scores = [scores.joint, scores.joint_dropped, scores.twin, scores.cmim_both, scores.cmim];
            let mut fields = vec![
                seed.to_string(),
                point.step.to_string(),
                setting.lambda().to_string(),
                setting.labelled().to_string(),
            ];
            fields.extend(losses.into_iter().chain([point.bound_trained, point.bound]).map(optional));
            fields.extend(scores.map(|score| optional(Some(score))));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", fields.join(","));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Losses, Point, Response, Scores};
    use super::*;

    #[test]
    fn every_point_is_a_line_of_as_many_fields_as_the_head() {
        let mut session = Session::default();
        assert_eq!(csv(&session).lines().count(), 1);
        session.begin();
        session.started();
        session.take_seed();
        let scores = Scores { joint: 0.9, joint_dropped: 0.5, twin: 0.625, cmim_both: 0.9, cmim: 0.7 };
        let point = Point { step: 0, losses: None, bound_trained: None, bound: None, scores };
        let losses = Some(Losses { joint: 0.5, twin: 0.6, cmim: 0.7 });
        session.receive(Response::Reached { seed: 1, point });
        session.receive(Response::Reached { seed: 1, point: Point { step: 8, losses, bound: Some(0.25), ..point } });
        let text = csv(&session);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        let field = |line: usize, name: &str| lines[line][lines[0].iter().position(|n| *n == name).expect("a column")];
        assert_eq!((field(1, "loss_twin"), field(1, "auc_twin")), ("", "0.625000"));
        assert_eq!((field(2, "step"), field(2, "loss_cmim"), field(2, "mi_bound_nats")), ("8", "0.700000", "0.250000"));
    }
}
