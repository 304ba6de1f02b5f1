//! What is trained: the image path alone, or the image path with all that ties it to reports.

use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use shared::finding::Finding;
use shared::io::Weights;
use shared::model::classifier::{CrossModalClassifier, IMAGE_PREFIX};
use shared::model::resnet::ImageClassifier;
use shared::nn::Parameters;
use shared::prep::report::ReportTokenizer;
use shared::prep::word_vectors::WordVectors;

use crate::config::{Config, Method};
use crate::error::{Error, Result};

/// A model in training.
#[allow(clippy::large_enum_variant, reason = "there is one per run")]
pub(super) enum Model {
    /// Images alone.
    Image(ImageClassifier),
    /// Images and reports.
    CrossModal(CrossModalClassifier),
}

/// The word vectors' name among the parameters.
const EMBEDDING: &str = "text.embedding.weight";

impl Model {
    /// Builds the configured model on `parameters`; the tokenizer is there for methods that read reports.
    pub(super) fn new(config: &Config, tokenizer: Option<&ReportTokenizer>, parameters: &Parameters) -> Result<Self> {
        let vb = parameters.builder(DType::F32, &Device::Cpu);
        let model = match tokenizer {
            None => Self::Image(ImageClassifier::new(&config.image, Finding::COUNT, &vb.pp(IMAGE_PREFIX))?),
            Some(tokenizer) => {
                let words = tokenizer.vocabulary_len();
                Self::CrossModal(CrossModalClassifier::new(&config.image, &config.cross_modal, words, &vb)?)
            }
        };
        if let Some(path) = &config.data.image_weights {
            load_image_weights(path, parameters)?;
        }
        Ok(model)
    }

    /// The path that exists at test time.
    pub(super) fn image(&self) -> &ImageClassifier {
        match self {
            Self::Image(image) => image,
            Self::CrossModal(model) => model.image(),
        }
    }
}

/// The tokenizer of the reports, and for given word vectors their rows in `parameters`.
pub(super) fn tokenizer(config: &Config, texts: &[&str], parameters: &Parameters) -> Result<ReportTokenizer> {
    let dim = config.cross_modal.text.word_dim;
    let vectors = config
        .data
        .word_vectors
        .as_deref()
        .map(|path| -> Result<WordVectors> {
            let text = std::fs::read_to_string(path).map_err(Error::file(path, "cannot read the word vectors"))?;
            Ok(WordVectors::parse(&path.display().to_string(), &text, dim)?)
        })
        .transpose()?;
    let tokenizer = ReportTokenizer::fit(texts.iter().copied(), config.data.min_word_count, vectors.as_ref())?;
    if let Some(vectors) = vectors {
        let vocabulary = tokenizer.vocabulary();
        let rows = Tensor::from_vec(vectors.rows(&vocabulary), (vocabulary.len(), dim), &Device::Cpu)?;
        parameters.set(EMBEDDING, &rows)?;
    }
    Ok(tokenizer)
}

/// The variables that the optimizer changes: all but given word vectors.
pub(super) fn trained_variables(config: &Config, parameters: &Parameters) -> Vec<(String, Var)> {
    let frozen = config.data.word_vectors.is_some();
    parameters.trainable().into_iter().filter(|(name, _)| !(frozen && name == EMBEDDING)).collect()
}

/// Starts the image path from weights with torchvision's names, the head excepted.
fn load_image_weights(path: &Path, parameters: &Parameters) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::file(path, "cannot read the weights to start from"))?;
    let weights = Weights::from_safetensors(&path.display().to_string(), &bytes)?;
    let prefix = format!("{IMAGE_PREFIX}.");
    for (name, var) in parameters.all() {
        let Some(name) = name.strip_prefix(&prefix).filter(|name| !name.starts_with("fc.")) else { continue };
        let values = weights.get(name, var.dims())?;
        var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
    }
    Ok(())
}

/// The image path's tensors under torchvision's names.
pub(super) fn image_weights(parameters: &Parameters) -> Result<Weights> {
    let prefix = format!("{IMAGE_PREFIX}.");
    let tensors = parameters.to_tensors()?;
    let image = tensors.into_iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor)));
    Ok(Weights::new(crate::model_dir::WEIGHTS, image.collect())?)
}

/// The method, with or without reports.
pub(super) fn reads_reports(config: &Config) -> bool {
    config.method == Method::Cmim
}
