//! `cmim completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{Cli, print};

const EXAMPLES: &str = "\
Examples:
  cmim completions bash > ~/.local/share/bash-completion/completions/cmim
  cmim completions zsh > ~/.zfunc/_cmim                 with ~/.zfunc in fpath
  cmim completions fish > ~/.config/fish/completions/cmim.fish";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints what a shell needs to complete this program's commands and options.
pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "cmim", &mut script);
    print(String::from_utf8(script)?.trim_end())
}
