//! Everything the page knows of a training, as one plain value.

use std::collections::BTreeMap;

use super::protocol::{Point, Response};
use super::setting::Setting;
use super::verdict::{Verdict, differences};

/// What the page knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Session {
    /// What the controls show.
    pub chosen: Setting,
    /// What is done.
    pub state: State,
    /// What was trained with, once something was.
    pub trained: Option<Setting>,
    /// What was measured, by seed.
    pub runs: BTreeMap<u64, Run>,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing yet.
    #[default]
    Idle,
    /// The program comes.
    Starting,
    /// Models are trained.
    Running,
    /// They rest.
    Paused,
    /// All seeds are trained.
    Finished,
    /// Something went wrong; what was measured before stays.
    Failed(String),
}

/// The training with one seed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Run {
    /// What was measured, in the order of the steps.
    pub points: Vec<Point>,
    /// Whether all steps are done.
    pub is_finished: bool,
}

impl Session {
    /// Sets the controls. A training in progress, or its curves, stay what they are.
    pub fn choose(&mut self, setting: Setting) {
        self.chosen = setting;
    }

    /// Whether the controls show something else than what the curves are of.
    pub fn is_outdated(&self) -> bool {
        self.trained.is_some_and(|trained| trained != self.chosen)
    }

    /// Begins anew with what the controls show.
    pub fn begin(&mut self) {
        *self = Self { chosen: self.chosen, state: State::Starting, trained: Some(self.chosen), ..Self::default() };
    }

    /// The program is there.
    pub fn started(&mut self) {
        if self.state == State::Starting {
            self.state = State::Running;
        }
    }

    /// The next seed that nobody trains yet; it counts as taken from now on.
    pub fn take_seed(&mut self) -> Option<u64> {
        let n = self.trained?.seeds() as u64;
        let seed = (1..=n).find(|seed| !self.runs.contains_key(seed))?;
        self.runs.insert(seed, Run::default());
        Some(seed)
    }

    /// Takes what a worker says. Words about a training that was given up change nothing.
    pub fn receive(&mut self, response: Response) {
        match response {
            Response::Reached { seed, point } => {
                if let Some(run) = self.runs.get_mut(&seed) {
                    run.points.push(point);
                }
            }
            Response::Finished { seed } => {
                if let Some(run) = self.runs.get_mut(&seed) {
                    run.is_finished = true;
                }
                let n = self.trained.map_or(0, Setting::seeds);
                if n > 0 && self.n_finished() == n {
                    self.state = State::Finished;
                }
            }
            Response::Failed { message } => self.fail(message),
        }
    }

    /// Rests, or goes on.
    pub fn pause_or_resume(&mut self) {
        self.state = match std::mem::take(&mut self.state) {
            State::Running => State::Paused,
            State::Paused => State::Running,
            other => other,
        };
    }

    /// Training ended with an error.
    pub fn fail(&mut self, message: String) {
        self.state = State::Failed(message);
    }

    /// Forgets all that was measured; the controls stay.
    pub fn reset(&mut self) {
        *self = Self { chosen: self.chosen, ..Self::default() };
    }

    /// Whether workers are needed.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Starting | State::Running | State::Paused)
    }

    /// How many seeds are trained to the end.
    pub fn n_finished(&self) -> usize {
        self.runs.values().filter(|run| run.is_finished).count()
    }

    /// Steps done, and to do, over all seeds.
    pub fn progress(&self) -> (usize, usize) {
        let done = self.runs.values().filter_map(|run| Some(run.points.last()?.step)).sum();
        (done, self.trained.map_or(0, |setting| setting.seeds() * setting.steps()))
    }

    /// The last measurement of every seed that is trained to the end.
    pub fn results(&self) -> Vec<(u64, Point)> {
        let finished = self.runs.iter().filter(|(_, run)| run.is_finished);
        finished.filter_map(|(seed, run)| Some((*seed, *run.points.last()?))).collect()
    }

    /// CMIM minus its image-only twin, both without the report.
    pub fn gain(&self) -> Verdict {
        Verdict::new(&differences(&self.results(), |scores| scores.cmim - scores.twin))
    }

    /// What the joint model has with the report minus what it has without.
    pub fn loss_of_joint(&self) -> Verdict {
        Verdict::new(&differences(&self.results(), |scores| scores.joint - scores.joint_dropped))
    }

    /// The image-only twin minus the joint model whose report is dropped.
    pub fn twin_over_dropped(&self) -> Verdict {
        Verdict::new(&differences(&self.results(), |scores| scores.twin - scores.joint_dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Scores;
    use super::*;

    pub(crate) fn point(step: usize, cmim: f64, twin: f64) -> Point {
        let scores = Scores { joint: 0.9, joint_dropped: 0.5, twin, cmim_both: 0.9, cmim };
        Point { step, losses: None, bound_trained: None, bound: None, scores }
    }

    fn begun(seeds: usize) -> Session {
        let mut session = Session::default();
        session.choose(Setting::default().with_seeds(seeds).with_steps(10));
        session.begin();
        session.started();
        session
    }

    #[test]
    fn every_seed_is_taken_once_and_the_last_finishes() {
        let mut session = begun(2);
        assert_eq!((session.take_seed(), session.take_seed(), session.take_seed()), (Some(1), Some(2), None));
        session.receive(Response::Reached { seed: 1, point: point(4, 0.7, 0.6) });
        assert_eq!(session.progress(), (4, 20));
        for seed in [1, 2] {
            assert_eq!(session.state, State::Running);
            session.receive(Response::Reached { seed, point: point(10, 0.7, 0.6) });
            session.receive(Response::Finished { seed });
        }
        assert_eq!((session.state.clone(), session.progress()), (State::Finished, (20, 20)));
        assert_eq!(session.results().len(), 2);
    }

    #[test]
    fn only_finished_seeds_count() {
        let mut session = begun(3);
        for seed in 1..=3 {
            session.take_seed();
            session.receive(Response::Reached { seed, point: point(5, 0.7, 0.6) });
        }
        assert_eq!(session.gain(), Verdict::TooFew);
        session.receive(Response::Finished { seed: 1 });
        session.receive(Response::Finished { seed: 3 });
        assert!(matches!(session.gain(), Verdict::Beyond(..)), "{:?}", session.gain());
        assert_eq!(session.state, State::Running);
    }

    #[test]
    fn a_changed_control_leaves_the_curves_and_asks_for_a_reset() {
        let mut session = begun(2);
        session.take_seed();
        session.receive(Response::Reached { seed: 1, point: point(4, 0.7, 0.6) });
        assert!(!session.is_outdated());
        session.choose(session.chosen.with_labelled(77));
        assert!(session.is_outdated());
        assert_eq!((session.runs[&1].points.len(), session.state.clone()), (1, State::Running));
        session.reset();
        assert_eq!((session.chosen.labelled(), session.is_outdated(), session.runs.len()), (77, false, 0));
        // What a worker said before it was ended comes too late.
        session.receive(Response::Reached { seed: 1, point: point(5, 0.7, 0.6) });
        session.receive(Response::Finished { seed: 1 });
        assert_eq!((session.state.clone(), session.runs.len()), (State::Idle, 0));
    }

    #[test]
    fn a_pause_keeps_what_was_measured_and_a_failure_too() {
        let mut session = begun(2);
        session.take_seed();
        session.receive(Response::Reached { seed: 1, point: point(4, 0.7, 0.6) });
        let before = session.clone();
        session.pause_or_resume();
        assert_eq!(session.state, State::Paused);
        session.pause_or_resume();
        assert_eq!(session, before);
        session.receive(Response::Failed { message: "no memory".to_owned() });
        assert_eq!((session.state.clone(), session.runs[&1].points.len()), (State::Failed("no memory".to_owned()), 1));
        session.pause_or_resume();
        assert!(matches!(session.state, State::Failed(_)));
    }
}
