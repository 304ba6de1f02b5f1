//! `cmim table2`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use shared::{Modality, ModalitySet};
use toml::Value;
use trainer::checkpoint::write_atomically;
use trainer::config::SegmentationConfig;
use trainer::data::VolumeSource;
use trainer::data::volumes::list;
use trainer::suite::outlines::OutlineTable;
use trainer::suite::{self, Progress as _, Suite, TABLE2};

use super::device::DeviceArgs;
use super::print;
use super::table1::{Lines, data_of, jobs};

const EXAMPLES: &str = "\
Examples:
  cmim table2 --out runs/table2                         generated heads, 10 seeds
  cmim table2 --data brats:data/brats --out runs/brats --device cuda:0 --precision tf32";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Table2Args {
    /// Protocol, a TOML file; without one, table 2 on generated data.
    protocol: Option<PathBuf>,
    /// Folder for runs and results; what is there is not trained again.
    #[arg(long)]
    out: PathBuf,
    /// Volumes, brats:DIR or phantom:brain, split 70/10/20 by patient for each seed. Replaces the protocol's; may be
    /// repeated.
    #[arg(long, value_name = "SOURCE")]
    data: Vec<VolumeSource>,
    /// How many seeds. Replaces the protocol's.
    #[arg(long)]
    seeds: Option<u64>,
    /// Runs at a time; all cores are used in any case.
    #[arg(long)]
    jobs: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Trains and evaluates every row over all seeds, and prints the table.
pub(super) fn run(args: &Table2Args) -> anyhow::Result<()> {
    let mut suite = match &args.protocol {
        Some(path) => Suite::read::<SegmentationConfig>(path)?,
        None => Suite::parse::<SegmentationConfig>("the default protocol", TABLE2)?,
    };
    if let Some(n) = args.seeds {
        suite.seeds.n = n;
    }
    if !args.data.is_empty() {
        replace_data(&mut suite, &args.data)?;
    }
    // The protocol may have become another one.
    let suite = Suite::parse::<SegmentationConfig>("the protocol with --data", &toml::to_string(&suite)?)?;
    let (jobs, device) = (jobs(args.jobs), args.device.open()?);
    let results = suite::run::<SegmentationConfig>(&suite, &args.out, jobs, &device, &Lines)?;
    let table = OutlineTable::new(&suite, &results, &super::train::command_line());
    let (json, text) = (serde_json::to_string_pretty(&table)? + "\n", table.to_text());
    let mut files = vec![("json", json), ("txt", text.clone()), ("svg", table.to_figure())];
    if !table.subsets.is_empty() {
        files.push(("subsets.svg", table.to_heat_map()));
    }
    for (ending, content) in files {
        write_atomically(&args.out.join(format!("{}.{ending}", suite.name)), content.as_bytes())?;
    }
    print(&text).context("the table is in the folder all the same")
}

/// Other volumes in the protocol's place: each seed divides the patients anew, or takes another fold. Sequences that
/// no scan has are left out.
fn replace_data(suite: &mut Suite, sources: &[VolumeSource]) -> anyhow::Result<()> {
    let sequences = ModalitySet::new(list(sources)?.entries.iter().flat_map(|entry| entry.present.iter()))?;
    let names: Vec<String> = sources.iter().map(ToString::to_string).collect();
    let data = data_of(suite);
    let before = data.insert("volumes".to_owned(), Value::Array(names.iter().cloned().map(Value::String).collect()));
    let list = sequences.iter().map(|modality| Value::String(modality.name().to_owned())).collect();
    data.insert("sequences".to_owned(), Value::Array(list));
    data.remove("validation");
    data.remove("test");
    suite.split_by_seed = true;
    let rows = suite.rows.iter_mut().map(|row| &mut row.each);
    let groups = suite.tuning.iter_mut().flat_map(|tuning| &mut tuning.groups).map(|group| &mut group.each);
    for each in rows.chain(groups).filter(|each| !each.is_empty()) {
        each.retain(|modality| sequences.contains(*modality));
        if each.is_empty() {
            bail!("a row or a group of the protocol is for sequences that no scan has; there are {sequences}");
        }
    }
    for modality in Modality::ALL.into_iter().filter(|modality| !sequences.contains(*modality)) {
        Lines.line(&format!("{modality} is left out: no scan has it"));
    }
    // A title that spoke of other data would be wrong.
    if before.is_some() {
        suite.title = format!("{}: enhancing tumour from one sequence alone", names.join(", "));
    }
    Ok(())
}
