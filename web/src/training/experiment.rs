//! What is trained in the page: three models on the same generated x-rays with reports, and how they do on others.
//!
//! The joint model reads image and report, and needs both. Its two rivals answer from the image alone: the twin, which
//! never saw a report, and CMIM, which was trained beside the reports. All three are the trainer's own models, losses and
//! optimizer, only smaller, and every step of all three takes the same pairs.

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use shared::metric::auroc;
use shared::prep::report::TokenBatch;
use shared::train::Targets;
use shared::{Finding, Result};

use super::data::{Pairs, positive_weights};
use super::learner::{Learner, Method};
use super::protocol::{Losses, Point, Scores};
use super::setting::Setting;

/// Training pairs of a seed.
const N_TRAIN: usize = 600;
/// Pairs that are asked about, the same for every seed.
const N_TEST: usize = 300;
/// Their seed, which no training has.
const TEST_SEED: u64 = 0;
/// Training seeds begin here.
const FIRST_SEED: u64 = 1000;
/// Labelled and other pairs of a step, where there are as many.
const LABELLED_PER_STEP: usize = 32;
const OTHERS_PER_STEP: usize = 16;
/// Measurements of a training, beside the one at its start.
const N_POINTS: usize = 16;
/// Images that are answered at once.
const ANSWER_BATCH: usize = 50;

/// The training of all three models with one seed.
pub struct Experiment {
    train: Pairs,
    test: Pairs,
    positive_weights: Tensor,
    labelled: Deck,
    others: Deck,
    joint: Learner,
    twin: Learner,
    cmim: Learner,
    step: usize,
    n_steps: usize,
    sums: Sums,
    is_measured: bool,
}

/// Sums since the last point, over so many steps: of each model's loss, and of the bound where there is one.
#[derive(Default)]
struct Sums {
    n: usize,
    losses: [f64; 3],
    bound: Option<f64>,
}

/// Pairs in random order, shuffled anew when all were dealt.
struct Deck {
    all: Vec<usize>,
    left: Vec<usize>,
    rng: ChaCha8Rng,
}

impl Deck {
    fn new(all: Vec<usize>, rng: ChaCha8Rng) -> Self {
        Self { all, left: Vec::new(), rng }
    }

    /// Up to `n` different ones.
    fn deal(&mut self, n: usize) -> Vec<usize> {
        let n = n.min(self.all.len());
        if self.left.len() < n {
            self.left.clone_from(&self.all);
            self.left.shuffle(&mut self.rng);
        }
        self.left.split_off(self.left.len() - n)
    }
}

impl Experiment {
    /// Draws the pairs and makes the models.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn new(setting: Setting, seed: u64) -> Result<Self> {
        let mut train = Pairs::generate(N_TRAIN, FIRST_SEED + seed);
        let mut test = Pairs::generate(N_TEST, TEST_SEED);
        let tokenizer = train.vocabulary();
        train.tokenize(&tokenizer);
        test.tokenize(&tokenizer);

        let stream = |number| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(number);
            rng
        };
        let mut order: Vec<usize> = (0..train.len()).collect();
        order.shuffle(&mut stream(1));
        let others = order.split_off((train.len() * setting.labelled()).div_ceil(100));
        let n_steps = setting.steps();
        let learner =
            |method| Learner::new(method, setting.lambda(), n_steps, tokenizer.vocabulary_len(), FIRST_SEED + seed);
        Ok(Self {
            positive_weights: positive_weights(&train, &order)?,
            labelled: Deck::new(order, stream(2)),
            others: Deck::new(others, stream(3)),
            joint: learner(Method::Joint)?,
            twin: learner(Method::Twin)?,
            cmim: learner(Method::Cmim)?,
            step: 0,
            n_steps,
            sums: Sums::default(),
            is_measured: false,
            train,
            test,
        })
    }

    /// Whether there is nothing left to do.
    pub fn is_finished(&self) -> bool {
        self.step == self.n_steps && self.is_measured
    }

    /// Takes one step of every model, or, where it is time, measures them.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn advance(&mut self) -> Result<Option<Point>> {
        // Evenly over the steps, the first and the last among them.
        let is_due = self.step * N_POINTS / self.n_steps != (self.step.max(1) - 1) * N_POINTS / self.n_steps;
        if !self.is_measured && (is_due || self.step == 0) {
            self.is_measured = true;
            return self.measure().map(Some);
        }
        if self.step < self.n_steps {
            self.train_step()?;
            self.is_measured = false;
        }
        Ok(None)
    }

    fn train_step(&mut self) -> Result<()> {
        let mut pairs = self.labelled.deal(LABELLED_PER_STEP);
        let n_labelled = pairs.len();
        pairs.extend(self.others.deal(OTHERS_PER_STEP));
        let images = self.train.images(&pairs)?;
        let rows = Tensor::from_iter(0..n_labelled as u32, &Device::Cpu)?;
        let findings = self.train.targets(&pairs[..n_labelled])?;
        let targets = Targets::new(pairs.len(), &rows, &findings, &self.positive_weights)?;
        let paired = self.train.paired(&pairs);
        let learners = [&mut self.joint, &mut self.twin, &mut self.cmim];
        for (sum, learner) in self.sums.losses.iter_mut().zip(learners) {
            let step = learner.step(&images, &targets, &paired)?;
            *sum += step.loss;
            if let Some(bound) = step.bound {
                *self.sums.bound.get_or_insert(0.0) += bound;
            }
        }
        self.sums.n += 1;
        self.step += 1;
        Ok(())
    }

    fn measure(&mut self) -> Result<Point> {
        let all: Vec<usize> = (0..self.test.len()).collect();
        // By model and answer: one row for each test pair.
        let mut logits: [Vec<Vec<Vec<f32>>>; 3] = Default::default();
        let (mut bound, mut n_bounds) = (0.0, 0);
        for part in all.chunks(ANSWER_BATCH) {
            let images = self.test.images(part)?;
            let dropped = TokenBatch::new(part.iter().map(|_| [].as_slice()));
            let reports = [self.test.reports(part), dropped];
            for (rows, learner) in logits.iter_mut().zip([&self.joint, &self.twin, &self.cmim]) {
                let answers = learner.answers(&images, &reports)?;
                rows.resize_with(answers.len(), Vec::new);
                for (rows, answer) in rows.iter_mut().zip(answers) {
                    rows.extend(answer.to_vec2::<f32>()?);
                }
            }
            if let Some(value) = self.cmim.bound(&images, &self.test.paired(part))? {
                bound += value;
                n_bounds += 1;
            }
        }
        let Sums { n, losses, bound: bound_trained } = std::mem::take(&mut self.sums);
        let score = |model: usize, answer: usize| self.score(&logits[model][answer]);
        let [joint, twin, cmim] = losses.map(|sum| sum / n as f64);
        Ok(Point {
            step: self.step,
            losses: (n > 0).then_some(Losses { joint, twin, cmim }),
            bound_trained: bound_trained.map(|sum| sum / n as f64),
            bound: (n_bounds > 0).then(|| bound / f64::from(n_bounds)),
            scores: Scores {
                joint: score(0, 0),
                joint_dropped: score(0, 1),
                twin: score(1, 0),
                cmim_both: score(2, 0),
                cmim: score(2, 2),
            },
        })
    }

    /// Mean area under the ROC curve over the findings that some test pairs have and others have not.
    fn score(&self, logits: &[Vec<f32>]) -> f64 {
        let areas: Vec<f64> = Finding::ALL
            .into_iter()
            .filter_map(|finding| {
                let scores: Vec<f32> = logits.iter().map(|row| row[finding.index()]).collect();
                auroc(&scores, &self.test.present(finding))
            })
            .collect();
        areas.iter().sum::<f64>() / areas.len().max(1) as f64
    }
}
