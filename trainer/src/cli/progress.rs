//! What a person sees of a training run while it goes on.

use std::io::Write as _;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use trainer::allocator::peak_bytes;
use trainer::train::{EpochRecord, Observer, StepRecord};

/// How often the line of a terminal changes, and how often one is written where there is no terminal.
const REFRESH: Duration = Duration::from_millis(500);
const HEARTBEAT: Duration = Duration::from_mins(1);

/// Progress on standard error: a line that changes, with the time left, and a line an epoch.
pub(super) struct Terminal {
    /// What is trained on, such as `images`.
    items: &'static str,
    bar: ProgressBar,
    /// Since the line was last written: when that was, and the items since.
    since: Instant,
    n: usize,
    measure: String,
    validation: Vec<f64>,
}

impl Terminal {
    /// Of a run on such items.
    pub(super) fn of(items: &'static str) -> Self {
        let (bar, since) = (ProgressBar::hidden(), Instant::now());
        Self { items, bar, since, n: 0, measure: String::new(), validation: Vec::new() }
    }

    fn line(&self, text: &str) {
        // A bar on a terminal makes room for the line; elsewhere the line stands alone.
        if self.bar.is_hidden() {
            // Progress that cannot be shown must not end the run.
            let _ = writeln!(std::io::stderr(), "{text}");
        } else {
            self.bar.println(text);
        }
    }

    fn remember(&mut self, record: &EpochRecord) {
        self.measure.clone_from(&record.measure);
        self.validation.extend(record.validation);
    }

    /// The validation results of all epochs as a small figure; `None` without two of them.
    pub(super) fn curve(&self) -> Option<String> {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let least = self.validation.iter().copied().reduce(f64::min)?;
        let most = self.validation.iter().copied().reduce(f64::max)?;
        if most <= least {
            return None;
        }
        let bar = |value: &f64| BARS[((value - least) / (most - least) * (BARS.len() - 1) as f64).round() as usize];
        let curve: String = self.validation.iter().map(bar).collect();
        let last = self.validation.last()?;
        Some(format!("validation {}  {curve}  {least:.3} to {most:.3}, at the end {last:.3}", self.measure))
    }
}

impl Observer for Terminal {
    fn begin(&mut self, summary: &str, records: &[EpochRecord], done: usize, steps: usize) {
        self.line(summary);
        self.validation.clear();
        for record in records {
            self.remember(record);
        }
        self.bar = ProgressBar::new(steps as u64).with_position(done as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:20} step {pos}/{len}  {msg}  at most {eta} left") {
            self.bar.set_style(style);
        }
        self.bar.reset_eta();
        self.since = Instant::now();
    }

    fn note(&mut self, text: &str) {
        self.line(&format!("note: {text}"));
    }

    fn step(&mut self, record: &StepRecord) {
        self.bar.inc(1);
        self.n += record.items;
        let (passed, is_hidden) = (self.since.elapsed(), self.bar.is_hidden());
        if passed < if is_hidden { HEARTBEAT } else { REFRESH } {
            return;
        }
        let parts = [
            Some(format!("{:.0} {}/s", self.n as f64 / passed.as_secs_f64(), self.items)),
            record.loss.map(|loss| format!("loss {loss:.4}")),
            record.information.map(|nats| format!("MI {nats:.4}")),
            Some(format!("memory {}", HumanBytes(peak_bytes() as u64))),
        ];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join("  ");
        if is_hidden {
            let (position, steps) = (self.bar.position(), self.bar.length().unwrap_or_default());
            self.line(&format!("step {position}/{steps}  {text}  at most {:.0?} left", self.bar.eta()));
        } else {
            self.bar.set_message(text);
        }
        self.since = Instant::now();
        self.n = 0;
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.remember(record);
        let mut parts = vec![format!("epoch {:>3}", record.epoch), format!("loss {:.4}", record.loss)];
        for (name, loss) in &record.losses {
            parts.push(match record.held_out.get(name) {
                Some(held_out) => format!("{name} {loss:.4} ({held_out:.4} on validation)"),
                None => format!("{name} {loss:.4}"),
            });
        }
        parts.push(match record.validation {
            Some(value) => format!("validation {} {value:.4}", record.measure),
            None => format!("validation {} not measurable", record.measure),
        });
        parts.push(format!("{:.0} s", record.seconds));
        if record.best {
            parts.push("best".to_owned());
        }
        let text = parts.join("  ");
        self.line(&text);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_validation_results_become_a_small_figure() {
        let mut terminal = Terminal::of("images");
        assert_eq!(terminal.curve(), None);
        terminal.measure = "AUC".to_owned();
        terminal.validation = vec![0.5, 0.6, 0.7, 0.65];
        assert_eq!(terminal.curve().as_deref(), Some("validation AUC  ▁▅█▆  0.500 to 0.700, at the end 0.650"));
    }
}
