//! `cmim table1`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use toml::{Table, Value};
use trainer::checkpoint::write_atomically;
use trainer::config::{Config, Method};
use trainer::data::{ImageSource, ReportSource};
use trainer::suite::table::ResultTable;
use trainer::suite::{self, Progress, Row, Suite, TABLE1};

use super::device::DeviceArgs;
use super::print;

const EXAMPLES: &str = "\
Examples:
  cmim table1 --out runs/table1                         generated x-rays, 16 seeds
  cmim table1 --data openi:data/openi --out runs/openi --device cuda:0 --precision tf32";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Table1Args {
    /// Protocol, a TOML file; without one, table 1 on generated data.
    protocol: Option<PathBuf>,
    /// Folder for runs and results; what is there is not trained again.
    #[arg(long)]
    out: PathBuf,
    /// Images with their reports, split 70/10/20 by patient for each seed. Replaces the protocol's; may be repeated.
    #[arg(long, value_name = "SOURCE")]
    data: Vec<ImageSource>,
    /// Reports for images without their own, matched by finding set. Replaces the protocol's; may be repeated.
    #[arg(long, value_name = "SOURCE")]
    reports: Vec<ReportSource>,
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
pub(super) fn run(args: &Table1Args) -> anyhow::Result<()> {
    let mut suite = match &args.protocol {
        Some(path) => Suite::read::<Config>(path)?,
        None => Suite::parse::<Config>("the default protocol", TABLE1)?,
    };
    if let Some(n) = args.seeds {
        suite.seeds.n = n;
    }
    if !args.data.is_empty() {
        replace_data(&mut suite, &args.data);
        if !args.data.iter().all(|source| matches!(source, ImageSource::Phantom(_))) {
            drop_oracle(&mut suite);
        }
    }
    if !args.reports.is_empty() {
        let names = args.reports.iter().map(|source| Value::String(source.to_string())).collect();
        data_of(&mut suite).insert("reports".to_owned(), Value::Array(names));
    }
    // The protocol may have become another one.
    let suite = Suite::parse::<Config>("the protocol with --data", &toml::to_string(&suite)?)?;
    let (jobs, device) = (jobs(args.jobs), args.device.open()?);
    let results = suite::run::<Config>(&suite, &args.out, jobs, &device, &Lines)?;
    let table = ResultTable::new(&suite, &results, &super::train::command_line());
    let json = serde_json::to_string_pretty(&table)? + "\n";
    let text = table.to_text();
    write_atomically(&args.out.join(format!("{}.json", suite.name)), json.as_bytes())?;
    write_atomically(&args.out.join(format!("{}.txt", suite.name)), text.as_bytes())?;
    write_atomically(&args.out.join(format!("{}.svg", suite.name)), table.to_figure().as_bytes())?;
    print(&text).context("the table is in the folder all the same")
}

/// Runs at a time: as asked for, or one for each core.
pub(super) fn jobs(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

/// Other studies in the protocol's place: each seed splits them anew.
fn replace_data(suite: &mut Suite, sources: &[ImageSource]) {
    let names: Vec<String> = sources.iter().map(ToString::to_string).collect();
    let images = Value::Array(names.iter().cloned().map(Value::String).collect());
    let data = data_of(suite);
    let before = data.insert("images".to_owned(), images);
    data.remove("validation");
    data.remove("test");
    suite.split_by_seed = true;
    // A title that spoke of other data would be wrong.
    if before.and_then(|images| images.as_array().map(|images| !images.is_empty())) == Some(true) {
        suite.title = format!("{}: findings from the image alone unless said otherwise", names.join(", "));
    }
}

/// Leaves out the rows that need to know where findings are, which no real image tells.
fn drop_oracle(suite: &mut Suite) {
    let is_oracle = |row: &Row| row.set.get("method").and_then(Value::as_str) == Some(Method::Oracle.name());
    let gone: Vec<String> = suite.rows.iter().filter(|row| is_oracle(row)).map(|row| row.name.clone()).collect();
    suite.rows.retain(|row| !gone.contains(&row.name));
    suite.pairs.retain(|(a, b)| !gone.contains(a) && !gone.contains(b));
    for name in gone {
        Lines.line(&format!(
            "row {name} is left out: it needs the place of every finding, which only generated images have"
        ));
    }
}

/// The table `[config.data]` of a protocol; made if there is none.
pub(super) fn data_of(suite: &mut Suite) -> &mut Table {
    let entry = suite.config.entry("data").or_insert_with(|| Value::Table(Table::new()));
    if !entry.is_table() {
        *entry = Value::Table(Table::new());
    }
    entry.as_table_mut().expect("a table, as made above")
}

/// Progress as lines on standard error.
pub(super) struct Lines;

impl Progress for Lines {
    fn line(&self, text: &str) {
        // Progress that cannot be shown must not end the suite.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}
