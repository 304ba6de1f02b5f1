//! `cmim table1`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use toml::{Table, Value};
use trainer::checkpoint::write_atomically;
use trainer::data::ImageSource;
use trainer::suite::table::ResultTable;
use trainer::suite::{self, Progress, Suite, TABLE1};

use super::print;

#[derive(Debug, Args)]
pub(super) struct Table1Args {
    /// Protocol, a TOML file; without one, table 1 on generated data.
    protocol: Option<PathBuf>,
    /// Folder for runs and results; what is there is not trained again.
    #[arg(long)]
    out: PathBuf,
    /// Images with their reports, split 70/10/20 by patient for each seed. Replaces the protocol's; may be repeated.
    #[arg(long, value_name = "SOURCE")]
    data: Vec<ImageSource>,
    /// How many seeds. Replaces the protocol's.
    #[arg(long)]
    seeds: Option<u64>,
    /// Runs at a time; all cores are used in any case.
    #[arg(long)]
    jobs: Option<usize>,
}

/// Trains and evaluates every row over all seeds, and prints the table.
pub(super) fn run(args: &Table1Args) -> anyhow::Result<()> {
    let mut suite = match &args.protocol {
        Some(path) => Suite::read(path)?,
        None => Suite::parse("the default protocol", TABLE1)?,
    };
    if let Some(n) = args.seeds {
        suite.seeds.n = n;
    }
    if !args.data.is_empty() {
        replace_data(&mut suite, &args.data);
    }
    // The protocol may have become another one.
    let suite = Suite::parse("the protocol with --data", &toml::to_string(&suite)?)?;
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    let results = suite::run(&suite, &args.out, jobs, &Lines)?;
    let table = ResultTable::new(&suite, &results, &super::train::command_line());
    let json = serde_json::to_string_pretty(&table)? + "\n";
    let text = table.to_text();
    write_atomically(&args.out.join(format!("{}.json", suite.name)), json.as_bytes())?;
    write_atomically(&args.out.join(format!("{}.txt", suite.name)), text.as_bytes())?;
    print(&text).context("the table is in the folder all the same")
}

/// Other studies in the protocol's place: each seed splits them anew.
fn replace_data(suite: &mut Suite, sources: &[ImageSource]) {
    let names = sources.iter().map(|source| Value::String(source.to_string())).collect();
    if let Some(Value::Table(data)) = suite.config.get_mut("data") {
        data.insert("images".to_owned(), Value::Array(names));
        data.remove("validation");
        data.remove("test");
    } else {
        let data = Table::from_iter([("images".to_owned(), Value::Array(names))]);
        suite.config.insert("data".to_owned(), Value::Table(data));
    }
    suite.split_by_seed = true;
}

/// Progress as lines on standard error.
struct Lines;

impl Progress for Lines {
    fn line(&self, text: &str) {
        // Progress that cannot be shown must not end the suite.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}
