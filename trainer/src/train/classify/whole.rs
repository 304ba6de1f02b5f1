//! A trained model as a run left it, every part of it: answers of methods that are more than an image path.

use std::path::Path;

use candle_core::{Device, Tensor};
use shared::finding::Finding;
use shared::io::{Radiograph, Weights};
use shared::nn::Parameters;
use shared::prep::report::{ReportTokenizer, TokenBatch};

use super::model::Model;
use crate::config::Config;
use crate::data::Study;
use crate::error::{Error, Result};
use crate::model_dir::{CONFIG, TOKENIZER, WHOLE_WEIGHTS};

/// Images per step.
const BATCH: usize = 64;

/// A model with its tokenizer.
pub struct WholeModel {
    /// How it was trained.
    pub config: Config,
    tokenizer: ReportTokenizer,
    model: Model,
    file: String,
}

impl WholeModel {
    /// Reads configuration, tokenizer and weights from a run's folder.
    ///
    /// # Errors
    ///
    /// A missing or damaged file, named; weights that do not fit the configuration.
    pub fn read(dir: &Path) -> Result<Self> {
        let config = Config::read(&dir.join(CONFIG))?;
        let path = dir.join(TOKENIZER);
        let json = std::fs::read_to_string(&path).map_err(Error::file(&path, "cannot read the tokenizer"))?;
        let tokenizer = ReportTokenizer::from_json(&json)?;
        let path = dir.join(WHOLE_WEIGHTS);
        let bytes = std::fs::read(&path).map_err(Error::file(&path, "cannot read the weights"))?;
        let file = path.display().to_string();
        let weights = Weights::from_safetensors(&file, &bytes)?;
        // The model makes its variables; the file fills them, and an absent one is an error.
        let parameters = Parameters::new(0);
        let model = Model::new(&config, tokenizer.vocabulary_len(), &parameters)?;
        for (name, var) in parameters.all() {
            let values = weights.get(&name, var.dims())?;
            var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
        }
        Ok(Self { config, tokenizer, model, file })
    }

    /// Scores of studies, read from their files: of the image alone, or with the study's own report.
    ///
    /// # Errors
    ///
    /// An unreadable image, by name; [`Error::NoAnswer`] where the method needs what there is not, or cannot read it.
    pub fn scores(&self, studies: &[&Study], with_reports: bool) -> Result<Vec<[f32; Finding::COUNT]>> {
        let mut scores = Vec::with_capacity(studies.len());
        for part in studies.chunks(BATCH) {
            let images = part
                .iter()
                .map(|study| Ok(study.radiograph(self.config.preprocessing.size)?))
                .collect::<Result<Vec<_>>>()?;
            let images = self.input(&images)?;
            let logits = if with_reports {
                let tokens = part
                    .iter()
                    .map(|study| {
                        let missing = || self.no_answer(format!("image `{}` has no report of its own", study.image));
                        Ok(self.tokenizer.encode(study.report.as_deref().ok_or_else(missing)?))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let reports = TokenBatch::new(tokens.iter().map(Vec::as_slice));
                self.model.answer_pairs(&images, &reports)?.ok_or_else(|| {
                    self.no_answer("its method answers from the image alone; leave out --with-reports".to_owned())
                })?
            } else {
                self.answer(&images)?
            };
            for row in candle_nn::ops::sigmoid(&logits)?.to_vec2::<f32>()? {
                scores.push(std::array::from_fn(|k| row[k]));
            }
        }
        Ok(scores)
    }

    /// Scores of one image alone.
    ///
    /// # Errors
    ///
    /// [`Error::NoAnswer`] if the method needs a report.
    pub fn scores_of(&self, image: &Radiograph) -> Result<[f32; Finding::COUNT]> {
        let logits = self.answer(&self.input(std::slice::from_ref(image))?)?;
        let row = candle_nn::ops::sigmoid(&logits)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(std::array::from_fn(|k| row[k]))
    }

    fn answer(&self, images: &Tensor) -> Result<Tensor> {
        let needs = || self.no_answer("its method needs the report too; add --with-reports".to_owned());
        self.model.answer_images(images)?.ok_or_else(needs)
    }

    /// Radiographs to `[N, C, size, size]`.
    fn input(&self, images: &[Radiograph]) -> Result<Tensor> {
        let prep = &self.config.preprocessing;
        let input: Vec<f32> = images.iter().flat_map(|image| prep.normalize(&prep.square(image))).collect();
        Ok(Tensor::from_vec(input, (images.len(), prep.channels, prep.size, prep.size), &Device::Cpu)?)
    }

    fn no_answer(&self, reason: String) -> Error {
        Error::NoAnswer { file: self.file.clone(), reason }
    }
}
