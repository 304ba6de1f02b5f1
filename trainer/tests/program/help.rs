//! What the program says of itself and of the machine, and where a run goes that was not told where to.

use std::process::Command;

use super::xray::TINY;
use super::{refused, succeeds, text};

const COMMANDS: [&str; 9] = ["train", "eval", "predict", "segment", "export", "compare", "data", "table1", "table2"];

#[test]
fn every_command_teaches_with_examples() {
    for command in COMMANDS {
        let help = succeeds(&[command, "--help"]);
        assert!(help.contains(&format!("  cmim {command} ")), "{help}");
    }
    assert!(succeeds(&["--help"]).contains("cmim doctor"));
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeeds(&["completions", shell]);
        assert!(COMMANDS.iter().all(|command| script.contains(command)), "{shell}");
        assert!(script.contains("checkpoint-minutes"), "{shell}");
    }
}

#[test]
fn the_doctor_names_what_this_machine_has() {
    let said = succeeds(&["doctor"]);
    for what in ["processor", "memory", "disk, for runs", "NVIDIA GPU", "TensorBoard"] {
        let line = said.lines().find(|line| line.get(4..).is_some_and(|line| line.starts_with(what)));
        assert!(line.is_some_and(|line| ["ok", "--", "!!"].contains(&&line[..2])), "{what}: {said}");
    }
    // Whatever is not there is followed by what to do.
    for (line, next) in said.lines().zip(said.lines().skip(1)) {
        assert_eq!(line.starts_with("--") || line.starts_with("!!"), next.trim_start().starts_with("-> "), "{said}");
    }
}

#[test]
fn a_run_without_a_folder_gets_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("tiny.toml");
    std::fs::write(&config, TINY.replace("max_epochs = 3", "max_epochs = 2").replace("n=60", "n=40")).unwrap();
    for folder in ["runs/tiny", "runs/tiny-2"] {
        let train = Command::new(env!("CARGO_BIN_EXE_cmim")).args(["train", "tiny.toml"]).current_dir(&dir).output();
        let said = String::from_utf8(train.unwrap().stdout).unwrap();
        assert!(said.contains(&format!("{folder}/curves.svg")), "{said}");
        assert!(dir.path().join(folder).join("model.safetensors").is_file());
    }
}

#[test]
fn a_mistake_in_an_experiment_is_shown_with_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("tiny.toml");
    std::fs::write(&config, TINY.replace("max_epochs", "max_epoch")).unwrap();
    let said = refused(&["train", text(&config), "--out", text(&dir.path().join("run"))]);
    let line = 1 + TINY.lines().position(|line| line.starts_with("max_epochs")).unwrap();
    assert!(said.contains(&format!("tiny.toml, line {line}, column 1: unknown field `max_epoch`")), "{said}");
    assert!(said.contains("did you mean `max_epochs`?"), "{said}");
}
