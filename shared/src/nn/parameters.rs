//! The variables of a model: made on demand, the same for the same seed whatever the order of their making.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use sha2::{Digest, Sha256};

use crate::io::weights::NamedTensor;

/// Variables by name, on one device. A name asked for the first time is initialized from the seed and the name; clones
/// share them.
#[derive(Debug, Clone)]
pub struct Parameters {
    seed: u64,
    device: Device,
    vars: Arc<Mutex<BTreeMap<String, Var>>>,
}

impl Parameters {
    /// No variables yet; they will be on the CPU.
    pub fn new(seed: u64) -> Self {
        Self::on(&Device::Cpu, seed)
    }

    /// No variables yet; they will be on a device, with the values that they would have on any other.
    pub fn on(device: &Device, seed: u64) -> Self {
        Self { seed, device: device.clone(), vars: Arc::default() }
    }

    /// Where the variables are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A builder that models take their tensors from.
    pub fn builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device.clone())
    }

    fn vars(&self) -> MutexGuard<'_, BTreeMap<String, Var>> {
        self.vars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All variables by name, the running statistics of batch norm among them.
    pub fn all(&self) -> BTreeMap<String, Var> {
        self.vars().clone()
    }

    /// The variables that an optimizer changes.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        let is_statistic = |name: &str| name.ends_with("running_mean") || name.ends_with("running_var");
        self.vars().iter().filter(|(name, _)| !is_statistic(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    /// The values of all variables by name.
    ///
    /// # Errors
    ///
    /// If a variable is not f32.
    pub fn to_tensors(&self) -> Result<BTreeMap<String, NamedTensor>> {
        let tensor = |(name, var): (&String, &Var)| {
            let data = var.flatten_all()?.to_vec1::<f32>()?;
            Ok((name.clone(), NamedTensor { shape: var.dims().to_vec(), data }))
        };
        self.vars().iter().map(tensor).collect()
    }

    /// Sets a variable to a value from any device, making it if it is new.
    ///
    /// # Errors
    ///
    /// If a variable of that name has another shape.
    pub fn set(&self, name: &str, value: &Tensor) -> Result<()> {
        let mut vars = self.vars();
        let value = value.to_device(&self.device)?;
        if let Some(var) = vars.get(name) {
            return var.set(&value);
        }
        vars.insert(name.to_owned(), Var::from_tensor(&value.copy()?)?);
        Ok(())
    }

    fn sample(&self, name: &str, shape: &Shape, init: Init) -> Vec<f64> {
        let digest = Sha256::digest(format!("{} {name}", self.seed));
        let mut rng = ChaCha8Rng::from_seed(digest.into());
        let n = shape.elem_count();
        let mut normal = |mean: f64, stdev: f64| -> Vec<f64> {
            (0..n)
                .map(|_| mean + stdev * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng))
                .collect()
        };
        match init {
            Init::Const(value) => vec![value; n],
            Init::Randn { mean, stdev } => normal(mean, stdev),
            Init::Uniform { lo, up } => (0..n).map(|_| rng.random_range(lo..up)).collect(),
            Init::Kaiming { dist, fan, non_linearity } => {
                let stdev = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
                match dist {
                    candle_nn::init::NormalOrUniform::Normal => normal(0.0, stdev),
                    candle_nn::init::NormalOrUniform::Uniform => {
                        let bound = 3f64.sqrt() * stdev;
                        (0..n).map(|_| rng.random_range(-bound..bound)).collect()
                    }
                }
            }
        }
    }
}

impl SimpleBackend for Parameters {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut vars = self.vars();
        if let Some(var) = vars.get(name) {
            if var.shape() != &shape {
                bail!("variable {name} is {:?}, the model asks for {shape:?}", var.shape());
            }
            return Ok(var.as_tensor().clone());
        }
        let values = self.sample(name, &shape, init);
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)?;
        vars.insert(name.to_owned(), var.clone());
        Ok(var.as_tensor().clone())
    }

    fn get_unchecked(&self, name: &str, _dtype: DType, _device: &Device) -> Result<Tensor> {
        match self.vars().get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => bail!("there is no variable {name}"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.vars().contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_depend_on_seed_and_name_alone() -> Result<()> {
        let build = |seed, names: [&str; 2]| -> Result<Parameters> {
            let parameters = Parameters::new(seed);
            let vb = parameters.builder(DType::F32, &Device::Cpu);
            for name in names {
                vb.get_with_hints((4, 4), name, candle_nn::init::DEFAULT_KAIMING_NORMAL)?;
            }
            Ok(parameters)
        };
        let value = |p: &Parameters, name: &str| p.all()[name].flatten_all()?.to_vec1::<f32>();
        let (a, b, c) = (build(1, ["x", "y"])?, build(1, ["y", "x"])?, build(2, ["x", "y"])?);
        assert_eq!(value(&a, "x")?, value(&b, "x")?);
        assert_ne!(value(&a, "x")?, value(&a, "y")?);
        assert_ne!(value(&a, "x")?, value(&c, "x")?);
        Ok(())
    }

    #[test]
    fn running_statistics_are_not_trained() -> Result<()> {
        let parameters = Parameters::new(0);
        crate::nn::BatchNorm::new(2, &parameters.builder(DType::F32, &Device::Cpu).pp("bn"))?;
        let names: Vec<String> = parameters.trainable().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["bn.bias", "bn.weight"]);
        assert_eq!(parameters.all().len(), 4);
        Ok(())
    }
}
