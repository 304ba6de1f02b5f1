//! The compiled report path beside the trainable one, and what follows from a feature map.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::*;
use crate::infer::XrayClassifier;
use crate::io::card::{CARD_VERSION, FindingCard, ModelCard, Training, WeightsFile};
use crate::io::radiograph::{Nature, Radiograph};
use crate::io::{Encoding, weights::NamedTensor};
use crate::kernel::naive::{assert_close, uniform};
use crate::mi::{Critic, CriticConfig, CriticKind};
use crate::model::bilinear::BilinearConfig;
use crate::model::classifier::{CrossModalClassifier, CrossModalConfig, IMAGE_PREFIX, LossWeights};
use crate::model::resnet::{Depth, ImageOutput, ResNetConfig};
use crate::model::text_cnn::{TextCnn, TextCnnConfig};
use crate::nn::Parameters;
use crate::prep::image::{Normalization, Preprocessing};
use crate::prep::report::TokenBatch;

const VOCABULARY: &str = "<pad> <unk> . the heart is large no effusion lungs , clear";
const SIZE: usize = 40;

/// A model with random weights and running statistics, in both forms.
struct Twins {
    trainable: CrossModalClassifier,
    text: TextCnn,
    critic: Critic,
    /// Of the head.
    bias: Vec<f32>,
    compiled: XrayClassifier,
}

fn twins(kind: CriticKind, widths: &[usize]) -> Twins {
    let image = ResNetConfig { depth: Depth::D18, width: 4, in_channels: 1, stem_pool: false };
    let config = CrossModalConfig {
        text: TextCnnConfig { word_dim: 6, widths: widths.to_vec() },
        joint: BilinearConfig { side: 5, out: 7 },
        critic: CriticConfig { kind, hidden: 9 },
        ..CrossModalConfig::default()
    };
    let n_words = VOCABULARY.split(' ').count();
    let parameters = Parameters::new(4);
    let vb = parameters.builder(DType::F32, &Device::Cpu);
    let trainable = CrossModalClassifier::new(&image, &config, &LossWeights::default(), n_words, &vb).expect("model");
    let mut tensors = BTreeMap::new();
    for (seed, (name, var)) in (1..).zip(parameters.all()) {
        let mut values = var.flatten_all().and_then(|v| v.to_vec1::<f32>()).expect("values");
        // Fresh statistics would hide a fault in folding them.
        let noise = uniform(seed, values.len());
        let shift = if name.contains("running") || name.contains("bn") || name.contains("bias") { 0.3 } else { 0.05 };
        values.iter_mut().zip(noise).for_each(|(value, noise)| *value += shift * noise);
        var.set(&Tensor::from_slice(&values, var.shape(), &Device::Cpu).expect("tensor")).expect("sets");
        let name = name.strip_prefix(&format!("{IMAGE_PREFIX}.")).unwrap_or(&name).to_owned();
        tensors.insert(name, NamedTensor { shape: var.dims().to_vec(), data: values });
    }
    let card = ModelCard {
        version: CARD_VERSION,
        name: "test".to_owned(),
        architecture: image,
        preprocessing: Preprocessing { size: SIZE, channels: 1, normalization: Normalization::PerImage },
        findings: Finding::ALL.map(|finding| FindingCard { finding, threshold: None, auroc: None }).to_vec(),
        calibration: None,
        evaluation: None,
        report: Some(ReportCard {
            text: config.text.clone(),
            joint: config.joint,
            critic: Some(config.critic),
            vocabulary: VOCABULARY.to_owned(),
            calibration: None,
            findings: Vec::new(),
            evaluation: None,
        }),
        input_check: None,
        training: Training {
            commands: Vec::new(),
            method: String::new(),
            data: Vec::new(),
            seed: 0,
            epochs: 0,
            trainer: String::new(),
        },
        weights: WeightsFile { file: String::new(), bytes: 0, sha256: String::new(), encoding: Encoding::F32 },
    };
    let weights = Weights::new("test", tensors).expect("finite");
    Twins {
        text: TextCnn::new(&config.text, n_words, &vb.pp("text")).expect("text"),
        critic: Critic::new(image.out_channels(), widths[widths.len() - 1], config.critic, &vb.pp("critic_ll"))
            .expect("critic"),
        bias: weights.get("fc.bias", &[Finding::COUNT]).expect("a bias").to_vec(),
        trainable,
        compiled: XrayClassifier::new(card, &weights).expect("compiles"),
    }
}

fn image(seed: u64) -> Radiograph {
    let pixels = uniform(seed, SIZE * SIZE);
    Radiograph { width: SIZE, height: SIZE, pixels, source: "test".to_owned(), nature: Nature::default() }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.flatten_all().and_then(|t| t.to_dtype(DType::F64)).expect("f64");
    tensor.to_vec1::<f64>().expect("values")
}

impl Twins {
    fn image_output(&self, image: &Radiograph) -> ImageOutput {
        let input = self.compiled.card().preprocessing.apply(image);
        let input = Tensor::from_vec(input, (1, 1, SIZE, SIZE), &Device::Cpu).expect("input");
        self.trainable.image().forward_t(&input, false).expect("runs")
    }

    fn tokens(&self, text: &str) -> TokenBatch {
        let tokenizer = self.compiled.card().report.as_ref().expect("a report path").tokenizer().expect("words");
        TokenBatch::new([tokenizer.encode(text).as_slice()])
    }
}

const REPORTS: [&str; 5] = [
    "",
    "clear",
    "The heart is large. No effusion.",
    "the lungs, the heart, lungs unknown words everywhere no no no . . .",
    "effusion heart large lungs clear . the heart is large , no effusion . lungs clear clear clear",
];

#[test]
fn the_compiled_path_is_the_trainable_one() {
    for (kind, widths) in [
        (CriticKind::ConcatAndConvolve, vec![6, 8, 8]),
        (CriticKind::EncodeAndDot, vec![5, 7]),
        (CriticKind::ConcatAndConvolve, vec![3]),
    ] {
        let mut twins = twins(kind, &widths);
        let image = image(3);
        let examined = twins.compiled.examine(&image).expect("runs");
        let reference = twins.image_output(&image);
        assert_close(&examined.features.values, &values(&reference.local), 1e-4, "features");
        for text in REPORTS {
            let what = format!("{kind:?} {widths:?} `{text}`");
            let report = twins.compiled.read_report(text).expect("reads reports");
            let tokens = twins.tokens(text);
            let reference_text = twins.text.forward_t(&tokens, false).expect("runs");
            assert_close(&report.features.local, &values(&reference_text.local), 1e-4, &what);
            assert_close(&report.features.global, &values(&reference_text.global), 1e-4, &what);

            let joint = twins.trainable.joint_logits(&reference, &tokens, false).expect("runs");
            let expected: Vec<f64> = values(&joint).iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
            let scores = twins.compiled.scores_with(&examined.features, &report).expect("runs").expect("reads reports");
            assert_close(&scores, &expected, 1e-4, &what);

            let local = reference.local.flatten(1, 2).expect("places");
            let expected = twins.critic.scores(&local, &reference_text.local).expect("scores");
            let agreement = twins.compiled.agreement(&examined.features, &report).expect("a critic");
            assert_eq!(agreement.scores.len(), agreement.side * agreement.side * agreement.n_positions);
            assert_close(&agreement.scores, &values(&expected), 1e-4, &what);
        }
    }
}

#[test]
fn the_mean_of_an_activation_map_and_the_bias_are_the_logit() {
    let mut twins = twins(CriticKind::ConcatAndConvolve, &[4]);
    for seed in 1..4 {
        let examined = twins.compiled.examine(&image(seed)).expect("runs");
        let reference = values(&twins.image_output(&image(seed)).logits);
        for finding in Finding::ALL {
            let map = twins.compiled.activation_map(&examined.features, finding);
            assert_eq!((map.side, map.values.len()), (3, 9));
            let mean = map.values.iter().sum::<f32>() / map.values.len() as f32;
            let score = examined.scores[finding.index()];
            let logit = (score / (1.0 - score)).ln();
            assert!((f64::from(logit) - reference[finding.index()]).abs() < 1e-3);
            assert!((logit - mean - twins.bias[finding.index()]).abs() < 1e-3, "{finding:?}: {logit} and {mean}");
        }
    }
}

#[test]
fn words_are_marked_and_placed() {
    let twins = twins(CriticKind::ConcatAndConvolve, &[6, 8, 8]);
    let text = "The heart is Großherz. No effusion";
    let report = twins.compiled.read_report(text).expect("reads reports");
    let unknown: Vec<&str> =
        report.words.iter().filter(|word| !word.is_known).map(|word| &text[word.range.clone()]).collect();
    assert_eq!(unknown, ["Großherz"]);
    assert!(matches!(report.spans.as_slice(), [Range { start: 0, end: 7 }]), "one position of eight words");
    let long = ["clear"; 21].join(" ");
    let spans = twins.compiled.read_report(&long).expect("reads reports").spans;
    assert_eq!(spans, [0..4, 4..12, 12..21]);
    let empty = twins.compiled.read_report("  ").expect("reads reports");
    assert!(empty.words.is_empty() && matches!(empty.spans.as_slice(), [Range { start: 0, end: 1 }]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_word_belongs_to_one_position(words in 1usize..200) {
        let twins = twins(CriticKind::ConcatAndConvolve, &[3, 3, 3]);
        let report = twins.compiled.read_report(&vec!["clear"; words].join(" ")).expect("reads reports");
        let covered: Vec<usize> = report.spans.iter().cloned().flatten().collect();
        prop_assert_eq!(covered, (0..report.words.len()).collect::<Vec<_>>());
        prop_assert!(report.spans.iter().all(|span| !span.is_empty()));
        let text = twins.text.forward_t(&twins.tokens(&vec!["clear"; words].join(" ")), false).expect("runs");
        prop_assert_eq!(report.spans.len(), text.local.dim(1).expect("positions"));
    }
}

#[test]
fn weights_that_do_not_fit_are_errors() {
    let twins = twins(CriticKind::ConcatAndConvolve, &[4]);
    let card = twins.compiled.card().report.clone().expect("a report path");
    let weights = Weights::new("empty", BTreeMap::new()).expect("finite");
    let built = ReportPlan::new(Simd::best(), &card, 32, &weights).map(|_plan| ());
    assert!(matches!(built, Err(Error::MissingTensor { .. })), "{built:?}");
}
