//! Which of a library's algorithms computes which convolution on a GPU: a record that a run keeps, so that another one on
//! the same machine does the same arithmetic in the same order.
//!
//! The fastest algorithm is found by timing, and two are sometimes as fast as each other: without a record, the last bits
//! of a run depend on which of them won.

#![cfg_attr(not(any(test, feature = "cuda")), allow(dead_code, reason = "without a GPU nothing is chosen"))]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::train::conv::Conv;
use crate::error::{Error, Result};

/// Of the text; another one is not read.
const VERSION: u32 = 1;

/// What a choice holds for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The GPU's name, as its driver gives it.
    pub gpu: String,
    /// The CUDA version of the driver, such as 13000.
    pub driver: i32,
    /// The version of cuDNN, such as 91900.
    pub cudnn: usize,
}

/// What is computed from the two others of `x`, weight and `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    /// `y`.
    Forward,
    /// The gradient of `x`.
    Data,
    /// The gradient of the weight.
    Filter,
}

/// What an image's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Real {
    F32,
    Bf16,
}

/// How images lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// `[N, H, W, C]`, weights `[C_out, k_h, k_w, C_in]`.
    ChannelsLast,
    /// `[N, C, H, W]`, weights `[C_out, C_in, k_h, k_w]`.
    Planes,
}

/// What there is to choose an algorithm for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    direction: Direction,
    real: Real,
    /// The library's number for how it may multiply.
    math: u32,
    /// Images, up to the next power of two: the last batch of an epoch takes what the others take.
    n: usize,
    c_in: usize,
    c_out: usize,
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl Task {
    pub(super) fn new(conv: &Conv, direction: Direction, real: Real, math: u32) -> Self {
        let Conv { n, c_in, c_out, window, .. } = *conv;
        let n = n.next_power_of_two();
        let (input, kernel, stride, padding) = (window.input, window.kernel, window.stride, window.padding);
        Self { direction, real, math, n, c_in, c_out, input, kernel, stride, padding }
    }
}

/// An algorithm, by the library's own numbers, and how it multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    pub(super) order: Order,
    pub(super) algorithm: u32,
    pub(super) math: u32,
}

/// All choices of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms {
    machine: Machine,
    /// In the order in which they were made: the first that a batch can take is the one for it.
    choices: BTreeMap<Task, Vec<Choice>>,
}

/// The same as text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    machine: Machine,
    choices: Vec<(Task, Vec<Choice>)>,
}

impl Algorithms {
    /// None chosen yet.
    pub fn new(machine: Machine) -> Self {
        Self { machine, choices: BTreeMap::new() }
    }

    /// What they were chosen on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Convolutions that an algorithm was chosen for.
    pub fn len(&self) -> usize {
        self.choices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Those for a task.
    pub(super) fn of(&self, task: &Task) -> &[Choice] {
        self.choices.get(task).map_or(&[], Vec::as_slice)
    }

    /// Adds one, for batches that can take none of the earlier ones.
    pub(super) fn add(&mut self, task: Task, choice: Choice) {
        self.choices.entry(task).or_default().push(choice);
    }

    /// Adds what another record of the same machine has chosen for tasks that are not in this one. Nothing, if it is
    /// another machine's: there, no algorithm would give the same bits.
    pub fn fill(&mut self, other: &Self) {
        if self.machine == other.machine {
            for (task, choices) in &other.choices {
                self.choices.entry(*task).or_insert_with(|| choices.clone());
            }
        }
    }

    /// As text, which [`Self::of_json`] reads.
    pub fn to_json(&self) -> String {
        let choices = self.choices.iter().map(|(task, choices)| (*task, choices.clone())).collect();
        let saved = Saved { version: VERSION, machine: self.machine.clone(), choices };
        serde_json::json!(saved).to_string()
    }

    /// From text.
    ///
    /// # Errors
    ///
    /// [`Error::Algorithms`] if it is damaged, or of another version of this program.
    pub fn of_json(text: &str) -> Result<Self> {
        let refused = |reason: String| Error::Algorithms { reason };
        let Saved { version, machine, choices } =
            serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        if version != VERSION {
            return Err(refused(format!("version {version}, this program has {VERSION}")));
        }
        Ok(Self { machine, choices: choices.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::train::window::Window;

    fn machine(gpu: &str) -> Machine {
        Machine { gpu: gpu.to_owned(), driver: 13000, cudnn: 91900 }
    }

    fn task(n: usize, direction: Direction) -> Task {
        let window = Window { input: [56, 48], kernel: [3; 2], stride: [1; 2], padding: [1; 2] };
        Task::new(&Conv::new(n, [64, 32], window).unwrap(), direction, Real::Bf16, 1)
    }

    fn choice(algorithm: u32) -> Choice {
        Choice { order: Order::ChannelsLast, algorithm, math: 1 }
    }

    fn record(gpu: &str, chosen: &[(Task, u32)]) -> Algorithms {
        let mut record = Algorithms::new(machine(gpu));
        for (task, algorithm) in chosen {
            record.add(*task, choice(*algorithm));
        }
        record
    }

    #[test]
    fn what_is_written_is_read() {
        let (forward, filter) = (task(8, Direction::Forward), task(8, Direction::Filter));
        let mut chosen = record("a", &[(forward, 1), (filter, 3)]);
        chosen.add(filter, Choice { order: Order::Planes, algorithm: 5, math: 3 });
        let read = Algorithms::of_json(&chosen.to_json()).unwrap();
        assert_eq!(read, chosen);
        assert_eq!((read.len(), read.of(&filter).len(), read.of(&task(8, Direction::Data)).len()), (2, 2, 0));
        assert_eq!(Algorithms::of_json(&record("a", &[]).to_json()).unwrap().len(), 0);
    }

    #[test]
    fn damaged_and_foreign_texts_are_refused() {
        let text = record("a", &[(task(8, Direction::Data), 1)]).to_json();
        for end in 0..text.len() {
            assert!(Algorithms::of_json(&text[..end]).is_err(), "{end}");
        }
        let other = text.replacen("\"version\":1", "\"version\":2", 1);
        assert!(Algorithms::of_json(&other).unwrap_err().to_string().contains("version 2"));
        assert!(Algorithms::of_json(&text.replacen("kernel", "colour", 1)).is_err());
    }

    #[test]
    fn batches_of_nearly_one_size_take_the_same() {
        assert_eq!(task(33, Direction::Forward), task(64, Direction::Forward));
        assert_ne!(task(32, Direction::Forward), task(64, Direction::Forward));
        assert_ne!(task(64, Direction::Forward), task(64, Direction::Data));
    }

    #[test]
    fn a_record_keeps_its_own_and_takes_the_rest_of_its_machine() {
        let (forward, data) = (task(8, Direction::Forward), task(8, Direction::Data));
        let mut own = record("a", &[(forward, 1)]);
        own.fill(&record("a", &[(forward, 2), (data, 3)]));
        assert_eq!(own, record("a", &[(forward, 1), (data, 3)]));
        own.fill(&record("b", &[(task(8, Direction::Filter), 4)]));
        assert_eq!(own.len(), 2);
    }
}
